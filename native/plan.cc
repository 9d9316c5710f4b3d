// The work of a tick, over threads or ahead of time: what plan.h declares.
#include "plan.h"

#include <algorithm>
#include <cstring>
#include <iterator>
#include <utility>

#include "parallel.h"

namespace brownian {

Plan::Made Plan::Spare::take(size_t wanted) {
  const std::lock_guard<std::mutex> lock(mutex_);
  // None that is much too large, or small parts would come to hold as much memory as large ones.
  for (size_t i = all_.size(); i-- > 0;) {
    const size_t room = all_[i].bytes.capacity();
    if (room < wanted || room / 2 > wanted + 4096) continue;
    std::swap(all_[i], all_.back());
    Made made = std::move(all_.back());
    all_.pop_back();
    made.bytes.clear();
    made.runs.clear();
    made.changed = 0;
    return made;
  }
  // One that does not fit makes room for the new one: there are never more than were at work at once.
  if (!all_.empty()) all_.erase(all_.begin());
  Made made;
  made.bytes.reserve(wanted);
  return made;
}

void Plan::Spare::give(Made made) {
  const std::lock_guard<std::mutex> lock(mutex_);
  all_.push_back(std::move(made));
}

uint64_t Plan::Spare::bytes() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  uint64_t sum = 0;
  for (const Made& made : all_) sum += made.held();
  return sum;
}

std::vector<Plan::Made> Plan::Spare::lessen() {
  constexpr uint64_t kLittle = 16 << 20;
  const std::lock_guard<std::mutex> lock(mutex_);
  uint64_t bytes = 0;
  size_t few = 0;
  while (few < all_.size() && bytes + all_[few].held() <= kLittle) bytes += all_[few++].held();
  const auto rest = all_.begin() + ptrdiff_t(few);
  std::vector<Made> surplus(std::make_move_iterator(rest), std::make_move_iterator(all_.end()));
  all_.resize(few);
  return surplus;
}

void Plan::Made::write(uint8_t* live) const {
  const uint8_t* from = bytes.data();
  for (const Run& run : runs) {
    memcpy(live + run.at, from, run.bytes);
    from += run.bytes;
  }
}

void Plan::add(PlannedTensor tensor) {
  end = std::max(end, tensor.byte_of(tensor.weights));
  tensors_.push_back(std::move(tensor));
}

Plan::Span Plan::visited(const PlannedTensor& tensor, uint32_t tick, uint64_t stride) {
  const uint64_t cells = (tensor.weights + kCell - 1) / kCell, turn = (uint64_t(tick) + tensor.owned->move.key.k0) % stride;
  const auto begin = [&](uint64_t of) { return std::min(tensor.weights, cells * of / stride * kCell); };
  return {begin(turn), begin(turn + 1)};
}

std::vector<Plan::Part> Plan::parts(uint32_t tick) const {
  std::vector<Part> parts;
  for (const PlannedTensor& tensor : tensors_) {
    const Span span = due(tensor, tick);
    for (uint64_t begin = span.begin; begin < span.end; begin += grain()) parts.push_back({&tensor, begin, std::min(span.end, begin + grain())});
  }
  return parts;
}

double Plan::expected(uint32_t tick) const {
  double weights = 0;
  for (const PlannedTensor& tensor : tensors_) {
    const Span span = due(tensor, tick);
    weights += double(span.end - span.begin);
  }
  return weights * share();
}

double Plan::run(Workers workers, uint8_t* live, const uint8_t* pristine, uint32_t tick) const {
  const std::vector<Part> all = parts(tick);
  std::atomic<uint64_t> changed{0};
  in_parallel(all.size(), 1, workers.threads,
              [&](uint64_t i, uint64_t) { changed += uint64_t(write(*workers.target, live, pristine, all[size_t(i)], tick)); });
  return double(changed);
}

Prepared::Prepared(std::shared_ptr<const Plan> of, uint32_t tick)
    : plan(std::move(of)), tick_(tick), parts_(plan->parts(tick)), items_(new Item[parts_.size()]), left_(plan->expected(tick)) {}

Prepared::~Prepared() {
  for (size_t i = 0; i < parts_.size(); i++) {
    if (items_[i].state == kMade) plan->made -= items_[i].made.held();
  }
}

void Prepared::make(const Target& target, const uint8_t* live, const uint8_t* pristine) {
  for (size_t i = 0; i < parts_.size() && !stopped_; i++) {
    Item& item = items_[i];
    const Plan::Part& part = parts_[i];
    item.made = plan->spare->take(plan->made_bytes(part));
    plan->make(target, live, pristine, part, tick_, item.made);
    made_bytes_ += item.made.bytes.size();
    left_ = left_ - double(part.end - part.begin) * plan->share();  // nobody else subtracts
    // Where it has been taken meanwhile, whoever took it writes on while this was read: what was made is worth nothing.
    int open = kOpen;
    plan->made += item.made.held();
    if (!item.state.compare_exchange_strong(open, kMade)) give_back(item);
  }
}

void Prepared::give_back(Item& item) {
  plan->made -= item.made.held();
  plan->spare->give(std::move(item.made));
}

void Prepared::drop() {
  stopped_ = true;
  for (size_t i = 0; i < parts_.size(); i++) {
    if (items_[i].state.exchange(kTaken) == kMade) give_back(items_[i]);
  }
}

uint64_t Prepared::write_part(size_t i, const Target& target, uint8_t* live, const uint8_t* pristine) {
  Item& item = items_[i];
  if (item.state.exchange(kTaken) != kMade) return uint64_t(plan->write(target, live, pristine, parts_[i], tick_));
  item.made.write(live);
  const uint64_t changed = uint64_t(item.made.changed);
  give_back(item);
  return changed;
}

double Prepared::write(Workers workers, uint8_t* live, const uint8_t* pristine) {
  stopped_ = true;
  const size_t from = std::min(next_.exchange(parts_.size()), parts_.size());
  in_parallel(parts_.size() - from, 1, workers.threads,
              [&](uint64_t i, uint64_t) { changed_ += write_part(from + size_t(i), *workers.target, live, pristine); });
  return double(changed_);
}

bool Prepared::write_some(const Target& target, uint8_t* live, const uint8_t* pristine, uint64_t bytes) {
  stopped_ = true;
  for (uint64_t done = 0; done < bytes;) {
    const size_t i = next_++;
    if (i >= parts_.size()) return true;
    done += plan->made_bytes(parts_[i]);
    changed_ += write_part(i, target, live, pristine);
  }
  return next_ >= parts_.size();
}

}  // namespace brownian
