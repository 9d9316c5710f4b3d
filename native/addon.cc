// The addon's face to JavaScript: N-API glue only. Calls come from src/kernels/native.ts, which has checked the arguments;
// here only what would corrupt memory is checked again.
#include <napi.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "dispatch.h"
#include "engine/model_object.h"
#include "mapped_file.h"
#include "threads.h"

namespace {

using namespace brownian;

LawTable law;
std::once_flag law_once;

const Target& target_of(const Napi::CallbackInfo& info) {
  const uint32_t which = info[0].As<Napi::Number>().Uint32Value();
  if (which >= candidates().size() || candidates()[which].target == nullptr) {
    throw Napi::Error::New(info.Env(), "no such target on this machine");
  }
  return *candidates()[which].target;
}

uint32_t u32(const Napi::CallbackInfo& info, int i) { return info[i].As<Napi::Number>().Uint32Value(); }
double number(const Napi::CallbackInfo& info, int i) { return info[i].As<Napi::Number>().DoubleValue(); }

Key key_at(const Napi::CallbackInfo& info, int i) { return {u32(info, i), u32(info, i + 1)}; }

/// (target, out, k0, k1, blockLo, blockHi, skip, tick, purpose)
template <class T, void (*Target::*Fill)(T*, size_t, Key, Position)>
void fill(const Napi::CallbackInfo& info) {
  const Target& target = target_of(info);
  auto out = info[1].As<Napi::TypedArrayOf<T>>();
  const Position at = {uint64_t(u32(info, 5)) << 32 | u32(info, 4), u32(info, 6) & 3, u32(info, 7), u32(info, 8)};
  (target.*Fill)(out.Data(), out.ElementLength(), key_at(info, 2), at);
}

/// The index of a tensor's steps, and what its last draw did: what IndexSteps makes and Redraw takes.
struct StepIndex {
  int32_t format[kFormatFields];
  uint64_t weights;
  std::vector<uint8_t> classes, tiles;
  std::vector<Journal> journals;

  /// Of a tensor of so many bytes.
  StepIndex(const int32_t* given, uint64_t length) {
    memcpy(format, given, sizeof(format));
    weights = length / uint64_t(format[kBytes]) * uint64_t(format[kWeights]);
    classes.resize(size_t(weights / uint64_t(format[kGroup])));
    tiles.resize(size_t((weights + kTile - 1) / kTile * 2));
    journals.resize(size_t((weights + kStretch - 1) / kStretch));
  }

  uint64_t bytes(uint64_t weight) const { return weight / uint64_t(format[kWeights]) * uint64_t(format[kBytes]); }
  uint8_t* classes_at(uint64_t weight) { return classes.data() + weight / uint64_t(format[kGroup]); }
  uint8_t* tiles_at(uint64_t weight) { return tiles.data() + weight / kTile * 2; }
  Indexed at(uint64_t begin, uint64_t end) {
    return {classes_at(begin), tiles_at(begin), &journals[size_t(begin / kStretch)], format, begin, size_t(end - begin)};
  }
};

/// What a move needs beyond the bytes, in the order of the arguments (format, sigma, inSteps, steps, rowLength, rounding, k0, k1, index, tick,
/// columns, width of columns, weights a matrix of them).
/// Owns copies, so that it outlives the call.
struct OwnedMove {
  int32_t format[kFormatFields];
  std::vector<float> steps, columns;
  Move move{};

  OwnedMove(const Napi::CallbackInfo& info, int i) {
    read_format(info, i);
    move.sigma = float(number(info, i + 1));
    move.in_steps = info[i + 2].As<Napi::Boolean>().Value();
    read_steps(info, i + 3);
    move.row_length = uint64_t(number(info, i + 4));
    move.rounding = int(u32(info, i + 5));
    move.key = key_at(info, i + 6);
    move.index = uint64_t(number(info, i + 8));
    move.tick = u32(info, i + 9);
    read_columns(info, i + 10);
  }
  /// For sums: (format, steps, rowLength).
  struct ForSum {};
  OwnedMove(const Napi::CallbackInfo& info, int i, ForSum) {
    read_format(info, i);
    read_steps(info, i + 1);
    move.row_length = uint64_t(number(info, i + 2));
    move.index = 0;
  }
  /// Where the format is all that counts: (format).
  struct ForIndex {};
  OwnedMove(const Napi::CallbackInfo& info, int i, ForIndex) { read_format(info, i); }
  /// Whether there are factors for all of these weights.
  void check_columns(const Napi::CallbackInfo& info, uint64_t bytes) const {
    if (move.columns == nullptr) return;
    const uint64_t weights = move.index + bytes / uint64_t(format[kBytes]) * uint64_t(format[kWeights]);
    const uint64_t matrices = (weights + move.columns_matrix - 1) / move.columns_matrix;
    if (matrices * move.columns_width > columns.size()) throw Napi::Error::New(info.Env(), "columns are too few");
  }
  OwnedMove(const OwnedMove&) = delete;
  OwnedMove& operator=(const OwnedMove&) = delete;

 private:
  void read_format(const Napi::CallbackInfo& info, int i) {
    auto given = info[i].As<Napi::Int32Array>();
    if (given.ElementLength() != size_t(kFormatFields)) throw Napi::Error::New(info.Env(), "not an encoded format");
    memcpy(format, given.Data(), sizeof(format));
    move.format = format;
  }
  void read_steps(const Napi::CallbackInfo& info, int i) {
    move.steps = nullptr;
    if (info[i].IsNull()) return;
    auto given = info[i].As<Napi::Float32Array>();
    steps.assign(given.Data(), given.Data() + given.ElementLength());
    move.steps = steps.data();
  }
  void read_columns(const Napi::CallbackInfo& info, int i) {
    move.columns = nullptr;
    if (!info[i].IsTypedArray()) return;
    auto given = info[i].As<Napi::Float32Array>();
    columns.assign(given.Data(), given.Data() + given.ElementLength());
    move.columns = columns.data();
    move.columns_width = uint64_t(number(info, i + 1));
    move.columns_matrix = uint64_t(number(info, i + 2));
    if (move.columns_width == 0 || move.columns_matrix == 0) throw Napi::Error::New(info.Env(), "columns have no width");
  }
};

/// (target, data, format, sigma, inSteps, steps, rowLength, rounding, k0, k1, index, tick, columns, width, matrix)
Napi::Value perturb(const Napi::CallbackInfo& info) {
  const Target& target = target_of(info);
  auto data = info[1].As<Napi::Uint8Array>();
  const OwnedMove owned(info, 2);
  owned.check_columns(info, data.ByteLength());
  return Napi::Number::New(info.Env(), double(target.perturb(data.Data(), data.ByteLength(), owned.move, law)));
}

/// (target, a, b, format)
Napi::Value difference(const Napi::CallbackInfo& info) {
  const Target& target = target_of(info);
  auto a = info[1].As<Napi::Uint8Array>(), b = info[2].As<Napi::Uint8Array>();
  const OwnedMove owned(info, 3, OwnedMove::ForIndex());
  if (a.ByteLength() != b.ByteLength()) throw Napi::Error::New(info.Env(), "not of one length");
  return Napi::Number::New(info.Env(), double(target.difference(a.Data(), b.Data(), a.ByteLength(), owned.format)));
}

/// (target, data, format, steps, rowLength, index, total)
Napi::Value sum_squares(const Napi::CallbackInfo& info) {
  const Target& target = target_of(info);
  auto data = info[1].As<Napi::Uint8Array>();
  const OwnedMove owned(info, 2, OwnedMove::ForSum());
  const Move& m = owned.move;
  return Napi::Number::New(info.Env(), target.sum_squares(data.Data(), data.ByteLength(), m.format, m.steps, m.row_length,
                                                          uint64_t(number(info, 5)), number(info, 6)));
}

/// Work on a thread pool; its number, or what `value` makes on the thread of JavaScript, comes back as a promise.
class Job : public Napi::AsyncWorker {
 public:
  using Value = std::function<Napi::Value(Napi::Env)>;
  Job(Napi::Env env, std::function<double()> work, Value value)
      : Napi::AsyncWorker(env, "brownian"), deferred_(Napi::Promise::Deferred::New(env)), work_(std::move(work)), value_(std::move(value)) {}
  static Napi::Value Start(Napi::Env env, std::function<double()> work, Value value = nullptr) {
    auto* job = new Job(env, std::move(work), std::move(value));
    auto promise = job->deferred_.Promise();
    job->Queue();
    return promise;
  }

 protected:
  void Execute() override { result_ = work_(); }
  void OnOK() override { deferred_.Resolve(value_ ? value_(Env()) : Napi::Number::New(Env(), result_)); }
  void OnError(const Napi::Error& error) override { deferred_.Reject(error.Value()); }

 private:
  Napi::Promise::Deferred deferred_;
  std::function<double()> work_;
  Value value_;
  double result_ = 0;
};

/// Weights a thread takes at a time: a multiple of every block and of the leaf of sums.
constexpr uint64_t kGrain = 4 * kSumLeaf;

/// Moves whole blocks on up to `threads` threads, copied from `source` first unless that is null; returns how many codes changed.
double perturb_in_parallel(const Target& target, uint8_t* data, const uint8_t* source, uint64_t bytes, const OwnedMove& owned,
                           unsigned threads) {
  const uint64_t block_bytes = owned.format[kBytes], block_weights = owned.format[kWeights];
  std::atomic<uint64_t> changed{0};
  in_parallel(bytes / block_bytes * block_weights, kGrain, threads, [&](uint64_t begin, uint64_t end) {
    const uint64_t from = begin / block_weights * block_bytes;
    const size_t length = size_t((end - begin) / block_weights * block_bytes);
    if (source != nullptr) memcpy(data + from, source + from, length);
    Move move = owned.move;
    move.index += begin;
    changed += target.perturb(data + from, length, move, law);
  });
  return double(changed);
}

/// The table of src/laws/decay.ts for codes of this format.
std::vector<float> decay_at(const Napi::CallbackInfo& info, int i, const int32_t* format) {
  auto given = info[i].As<Napi::Float32Array>();
  const size_t rows = format[kLevels] == kUniform ? 1 : 15;  // of tables one a level: the last of 16 has no use for its own
  if (given.ElementLength() < kDecayHead + rows * kDecayColumns) {
    throw Napi::Error::New(info.Env(), "not the decay of this format");
  }
  return std::vector<float>(given.Data(), given.Data() + given.ElementLength());
}

/// (target, live, pristine, decay, format, sigma, inSteps, steps, rowLength, rounding, k0, k1, index, tick, columns, width, matrix)
Napi::Value relax(const Napi::CallbackInfo& info) {
  const Target& target = target_of(info);
  auto live = info[1].As<Napi::Uint8Array>(), pristine = info[2].As<Napi::Uint8Array>();
  if (live.ByteLength() != pristine.ByteLength()) throw Napi::Error::New(info.Env(), "pristine is not as long as live");
  const OwnedMove owned(info, 4);
  owned.check_columns(info, live.ByteLength());
  const std::vector<float> decay = decay_at(info, 3, owned.format);
  return Napi::Number::New(info.Env(), double(target.relax(live.Data(), pristine.Data(), live.ByteLength(), owned.move, decay.data(), law)));
}

/// (target, threads, data, format, sigma, inSteps, steps, rowLength, rounding, k0, k1, index, tick, columns, width, matrix)
Napi::Value perturb_async(const Napi::CallbackInfo& info) {
  const Target& target = target_of(info);
  const unsigned threads = u32(info, 1);
  auto data = info[2].As<Napi::Uint8Array>();
  const auto owned = std::make_shared<OwnedMove>(info, 3);
  owned->check_columns(info, data.ByteLength());
  // The array is kept from being collected until the job, which owns the reference, is destroyed on this thread.
  const auto held = std::make_shared<Napi::ObjectReference>(Napi::Persistent(info[2].As<Napi::Object>()));
  uint8_t* const bytes = data.Data();
  const uint64_t length = data.ByteLength();
  return Job::Start(info.Env(), [=, &target] {
    (void)held;
    return perturb_in_parallel(target, bytes, nullptr, length, *owned, threads);
  });
}

class MappedFile : public Napi::ObjectWrap<MappedFile> {
 public:
  static Napi::Function Define(Napi::Env env) {
    return DefineClass(env, "MappedFile",
                       {InstanceAccessor<&MappedFile::Size>("size"), InstanceMethod<&MappedFile::Perturb>("perturb"),
                        InstanceMethod<&MappedFile::CopyFrom>("copyFrom"), InstanceMethod<&MappedFile::SumSquares>("sumSquares"),
                        InstanceMethod<&MappedFile::IndexSteps>("indexSteps"), InstanceMethod<&MappedFile::Redraw>("redraw"),
                        InstanceMethod<&MappedFile::PlanCollide>("planCollide"), InstanceMethod<&MappedFile::Collide>("collide"), InstanceMethod<&MappedFile::PrepareCollide>("prepareCollide"),
                        InstanceMethod<&MappedFile::Apply>("apply"), InstanceMethod<&MappedFile::Difference>("difference"),
                        InstanceMethod<&MappedFile::Relax>("relax"),
                        InstanceMethod<&MappedFile::Close>("close")});
  }

  /// (path, writable)
  explicit MappedFile(const Napi::CallbackInfo& info) : Napi::ObjectWrap<MappedFile>(info) {
    try {
      mapping_ = std::make_shared<Mapping>(info[0].As<Napi::String>().Utf8Value(), info[1].As<Napi::Boolean>().Value());
    } catch (const std::exception& error) {
      throw Napi::Error::New(info.Env(), error.what());
    }
  }

 private:
  using Shared = std::shared_ptr<Mapping>;

  Napi::Value Size(const Napi::CallbackInfo& info) { return Napi::Number::New(info.Env(), double(Open(info)->size())); }

  /// (target, threads, offset, length, source | null, format, sigma, inSteps, steps, rowLength, rounding, k0, k1, index, tick, columns, width, matrix)
  Napi::Value Perturb(const Napi::CallbackInfo& info) {
    const Target& target = target_of(info);
    const unsigned threads = u32(info, 1);
    const Shared live = Writable(info);
    const uint64_t offset = Range(info, *live, 2), length = uint64_t(number(info, 3));
    const Shared source = Source(info, 4, offset, length);
    const auto owned = std::make_shared<OwnedMove>(info, 5);
    owned->check_columns(info, length);
    return Job::Start(info.Env(), [=, &target] {
      return perturb_in_parallel(target, live->data() + offset, source ? source->data() + offset : nullptr, length, *owned, threads);
    });
  }

  /// (threads, source, offset, length)
  Napi::Value CopyFrom(const Napi::CallbackInfo& info) {
    const unsigned threads = u32(info, 0);
    const Shared live = Writable(info);
    const uint64_t offset = Range(info, *live, 2), length = uint64_t(number(info, 3));
    const Shared source = Source(info, 1, offset, length);
    return Job::Start(info.Env(), [=] {
      in_parallel(length, kGrain, threads,
                  [&](uint64_t begin, uint64_t end) { memcpy(live->data() + offset + begin, source->data() + offset + begin, size_t(end - begin)); });
      return 0.0;
    });
  }

  /// (target, threads, offset, length, format, steps, rowLength)
  Napi::Value SumSquares(const Napi::CallbackInfo& info) {
    const Target& target = target_of(info);
    const unsigned threads = u32(info, 1);
    const Shared file = Open(info);
    const uint64_t offset = Range(info, *file, 2);
    const auto owned = std::make_shared<OwnedMove>(info, 4, OwnedMove::ForSum());
    const uint64_t block_bytes = owned->format[kBytes], block_weights = owned->format[kWeights];
    const uint64_t weights = uint64_t(number(info, 3)) / block_bytes * block_weights;
    return Job::Start(info.Env(), [=, &target] {
      std::vector<double> leaves(size_t((weights + kSumLeaf - 1) / kSumLeaf));
      in_parallel(weights, kSumLeaf, threads, [&](uint64_t begin, uint64_t end) {
        const Move& m = owned->move;
        leaves[size_t(begin / kSumLeaf)] =
            target.sum_squares(file->data() + offset + begin / block_weights * block_bytes,
                               size_t((end - begin) / block_weights * block_bytes), m.format, m.steps, m.row_length, begin, 0.0);
      });
      double total = 0;
      for (const double leaf : leaves) total += leaf;
      return total;
    });
  }

  /// (target, threads, offset, length, format): of a whole tensor.
  Napi::Value IndexSteps(const Napi::CallbackInfo& info) {
    const Target& target = target_of(info);
    const unsigned threads = u32(info, 1);
    const Shared file = Open(info);
    const uint64_t offset = Range(info, *file, 2);
    const auto index = std::make_shared<StepIndex>(OwnedMove(info, 4, OwnedMove::ForIndex()).format, uint64_t(number(info, 3)));
    return Job::Start(
        info.Env(),
        [=, &target] {
          in_parallel(index->weights, kStretch, threads, [&](uint64_t begin, uint64_t end) {
            const size_t blocks = size_t((end - begin) / uint64_t(index->format[kWeights]));
            target.index_steps(index->classes_at(begin), index->tiles_at(begin), file->data() + offset + index->bytes(begin), blocks, index->format);
          });
          return 0.0;
        },
        [=](Napi::Env env) { return Held(env, index); });
  }

  /// (target, threads, offset, length, source, index, weights of the tensor's that come before, move)
  Napi::Value Redraw(const Napi::CallbackInfo& info) {
    const Target& target = target_of(info);
    const unsigned threads = u32(info, 1);
    const Shared live = Writable(info);
    const uint64_t offset = Range(info, *live, 2), length = uint64_t(number(info, 3));
    const Shared source = Source(info, 4, offset, length);
    const auto index = Taken<StepIndex>(info[5]);
    const uint64_t first = uint64_t(number(info, 6));
    const auto owned = std::make_shared<OwnedMove>(info, 7);
    const uint64_t weights = length / uint64_t(owned->format[kBytes]) * uint64_t(owned->format[kWeights]);
    if (!source || first % kStretch != 0 || first + weights > index->weights || memcmp(owned->format, index->format, sizeof(index->format)) != 0) {
      throw Napi::Error::New(info.Env(), "the index is not of this tensor");
    }
    return Job::Start(info.Env(), [=, &target] {
      std::atomic<uint64_t> changed{0};
      in_parallel(weights, 4 * kStretch, threads, [&](uint64_t begin, uint64_t end) {
        const uint64_t at = offset + index->bytes(begin);
        changed += target.redraw(live->data() + at, source->data() + at, index->at(first + begin, first + end), owned->move, law);
      });
      return double(changed);
    });
  }

  /// (source, then of each tensor: offset, length, move): what Collide and PrepareCollide are told once, since ticks are to take no time.
  Napi::Value PlanCollide(const Napi::CallbackInfo& info) { return Held(info.Env(), std::make_shared<Plan>(info, *Writable(info))); }

  /// (target, threads, plan, tick, threshold)
  Napi::Value Collide(const Napi::CallbackInfo& info) {
    const Target& target = target_of(info);
    const unsigned threads = u32(info, 1);
    const Shared live = Writable(info);
    const auto all = std::make_shared<Collisions>(info);
    const auto work = [=, &target](unsigned workers) {
      std::atomic<uint64_t> changed{0};
      in_parallel(all->plan->parts.size(), 1, workers, [&](uint64_t which, uint64_t) {
        const auto ahead = [&](uint64_t from, uint64_t to) {
          for (uint64_t at = from; at < to; at += kLine) {
            prefetch<false>(all->plan->source->data() + at);
            prefetch<true>(live->data() + at);
          }
        };
        all->each_run(target, all->plan->parts[size_t(which)], ahead, [&](uint64_t at, size_t bytes, const Move& move) {
          memcpy(live->data() + at, all->plan->source->data() + at, bytes);
          changed += target.perturb(live->data() + at, bytes, move, law);
        });
      });
      return double(changed);
    };
    // Going to a thread and back takes longer than a little work does.
    if (all->expected < kBrief) return Napi::Number::New(info.Env(), work(1));
    return Job::Start(info.Env(), [=] { return work(threads); });
  }
  /// Bytes of a cache line.
  static constexpr uint64_t kLine = 64;
  /// Weights that are moved in a fraction of a millisecond.
  static constexpr double kBrief = 300000;

  /// The same arguments: what Collide would write, made in the background and to be written by Apply. Null where the system gives no thread.
  Napi::Value PrepareCollide(const Napi::CallbackInfo& info) {
    const Target& target = target_of(info);
    const auto all = std::make_shared<Collisions>(info);
    const auto prepared = std::make_shared<Prepared>();
    if (!background_) background_ = std::make_unique<Background>();
    const bool started = background_->start([=, &target] {
      prepared->bytes.reserve(size_t(all->expected * 1.5) + 65536);
      for (const auto& part : all->plan->parts) {
        const auto ahead = [&](uint64_t from, uint64_t to) {
          for (uint64_t at = from; at < to; at += kLine) prefetch<false>(all->plan->source->data() + at);
        };
        all->each_run(target, part, ahead, [&](uint64_t at, size_t bytes, const Move& move) {
          if (prepared->given_up) return;
          const size_t from = prepared->bytes.size();
          const uint8_t* source = all->plan->source->data() + at;
          prepared->bytes.insert(prepared->bytes.end(), source, source + bytes);
          prepared->changed += double(target.perturb(prepared->bytes.data() + from, bytes, move, law));
          prepared->runs.push_back({at, bytes});
        });
      }
      prepared->done = true;
    });
    return started ? Held(info.Env(), prepared) : info.Env().Null();
  }

  /// (what PrepareCollide returned): how many codes changed; or null where it was not done in time, and then it never will be.
  Napi::Value Apply(const Napi::CallbackInfo& info) {
    const Shared live = Writable(info);
    Prepared& prepared = *Taken<Prepared>(info[0]);
    if (!prepared.done) {
      prepared.given_up = true;
      return info.Env().Null();
    }
    const uint8_t* from = prepared.bytes.data();
    for (const auto& run : prepared.runs) {
      if (run.at + run.bytes > live->size()) throw Napi::Error::New(info.Env(), "the range lies beyond the end of the file");
      memcpy(live->data() + run.at, from, run.bytes);
      from += run.bytes;
    }
    return Napi::Number::New(info.Env(), prepared.changed);
  }

  struct Prepared {
    struct Run {
      uint64_t at;
      size_t bytes;
    };
    std::vector<uint8_t> bytes;
    std::vector<Run> runs;
    double changed = 0;
    std::atomic<bool> done{false}, given_up{false};
  };

  /// An object of ours in JavaScript's hands.
  template <class T>
  static Napi::Value Held(Napi::Env env, std::shared_ptr<T> object) {
    return Napi::External<std::shared_ptr<T>>::New(env, new std::shared_ptr<T>(std::move(object)),
                                                   [](Napi::Env, std::shared_ptr<T>* held) { delete held; });
  }
  template <class T>
  static std::shared_ptr<T> Taken(const Napi::Value& value) {
    return *value.As<Napi::External<std::shared_ptr<T>>>().Data();
  }

  /// Tensors whose cells collide, and how those move.
  struct Plan {
    struct Part {
      std::shared_ptr<OwnedMove> owned;
      uint64_t offset, begin, end;  // of the tensor in the file; weights
    };
    std::vector<Part> parts;
    Shared source;
    double weights = 0;

    Plan(const Napi::CallbackInfo& info, const Mapping& live) {
      constexpr int kFixed = 1, kEach = 15;
      for (int i = kFixed; i + kEach <= int(info.Length()); i += kEach) {
        const uint64_t offset = Range(info, live, i), length = uint64_t(number(info, i + 1));
        source = Source(info, 0, offset, length);
        const auto owned = std::make_shared<OwnedMove>(info, i + 2);
        owned->check_columns(info, length);
        const uint64_t count = length / owned->format[kBytes] * owned->format[kWeights];
        for (uint64_t begin = 0; begin < count; begin += kGrain) parts.push_back({owned, offset, begin, std::min(count, begin + kGrain)});
        weights += double(count);
      }
    }
  };

  /// Which of those cells collide at a tick.
  struct Collisions {
    std::shared_ptr<Plan> plan;
    uint32_t tick;
    uint64_t threshold;
    double expected;  // weights

    explicit Collisions(const Napi::CallbackInfo& info)
        : plan(Taken<Plan>(info[2])), tick(u32(info, 3)), threshold(uint64_t(number(info, 4))), expected(plan->weights * double(threshold) / 4294967296.0) {}

    /// Calls use(byte in the file, bytes, move) for every run of neighbouring cells that collide; ahead(first, last byte) has been called a run earlier.
    template <class Ahead, class Use>
    void each_run(const Target& target, const Plan::Part& part, Ahead ahead, Use use) const {
      const OwnedMove& owned = *part.owned;
      const uint64_t block_weights = owned.format[kWeights], block_bytes = owned.format[kBytes], first = part.begin / kCell;
      uint32_t words[kGrain / kCell];
      const size_t cells = size_t((part.end - part.begin + kCell - 1) / kCell);
      target.bits(words, cells, owned.move.key, {first >> 2, uint32_t(first & 3), tick, kCollisionPurpose});
      // The first cell from here on that collides, and the first after it that does not.
      const auto next = [&](size_t cell) {
        while (cell < cells && words[cell] >= threshold) cell++;
        size_t end = cell;
        while (end < cells && words[end] < threshold) end++;
        return std::make_pair(cell, end);
      };
      const auto weight_of = [&](size_t cell) { return std::min(part.end, part.begin + cell * kCell); };
      const auto byte_of = [&](size_t cell) { return part.offset + weight_of(cell) / block_weights * block_bytes; };
      for (auto run = next(0); run.first < cells;) {
        const auto after = next(run.second);
        ahead(byte_of(after.first), byte_of(after.second));
        Move move = owned.move;
        move.index += weight_of(run.first);
        move.tick = tick;
        use(byte_of(run.first), size_t(byte_of(run.second) - byte_of(run.first)), move);
        run = after;
      }
    }
  };

  /// (target, threads, offset, length, format, source)
  Napi::Value Difference(const Napi::CallbackInfo& info) {
    const Target& target = target_of(info);
    const unsigned threads = u32(info, 1);
    const Shared file = Open(info);
    const uint64_t offset = Range(info, *file, 2), length = uint64_t(number(info, 3));
    const auto owned = std::make_shared<OwnedMove>(info, 4, OwnedMove::ForIndex());
    const Shared source = Source(info, 5, offset, length);
    const uint64_t block_bytes = owned->format[kBytes], block_weights = owned->format[kWeights];
    return Job::Start(info.Env(), [=, &target] {
      std::atomic<uint64_t> different{0};
      in_parallel(length / block_bytes * block_weights, kGrain, threads, [&](uint64_t begin, uint64_t end) {
        const uint64_t at = offset + begin / block_weights * block_bytes;
        different += target.difference(file->data() + at, source->data() + at, size_t((end - begin) / block_weights * block_bytes), owned->format);
      });
      return double(different);
    });
  }

  /// (target, threads, offset, length, source, decay, move)
  Napi::Value Relax(const Napi::CallbackInfo& info) {
    const Target& target = target_of(info);
    const unsigned threads = u32(info, 1);
    const Shared live = Writable(info);
    const uint64_t offset = Range(info, *live, 2), length = uint64_t(number(info, 3));
    const Shared source = Source(info, 4, offset, length);
    if (!source) throw Napi::Error::New(info.Env(), "there is no source");
    const auto owned = std::make_shared<OwnedMove>(info, 6);
    owned->check_columns(info, length);
    const std::vector<float> decay = decay_at(info, 5, owned->format);
    const uint64_t block_bytes = owned->format[kBytes], block_weights = owned->format[kWeights];
    return Job::Start(info.Env(), [=, &target] {
      std::atomic<uint64_t> changed{0};
      in_parallel(length / block_bytes * block_weights, kGrain, threads, [&](uint64_t begin, uint64_t end) {
        const uint64_t from = offset + begin / block_weights * block_bytes;
        Move move = owned->move;
        move.index += begin;
        changed += target.relax(live->data() + from, source->data() + from, size_t((end - begin) / block_weights * block_bytes), move,
                                decay.data(), law);
      });
      return double(changed);
    });
  }

  /// Work under way keeps the mapping until it is done.
  void Close(const Napi::CallbackInfo&) {
    background_.reset();
    mapping_.reset();
  }

  const Shared& Open(const Napi::CallbackInfo& info) const {
    if (!mapping_) throw Napi::Error::New(info.Env(), "the file is closed");
    return mapping_;
  }
  const Shared& Writable(const Napi::CallbackInfo& info) const {
    if (!Open(info)->writable()) throw Napi::Error::New(info.Env(), "the file is mapped for reading only");
    return mapping_;
  }
  /// The offset in argument i, after checking that it and the length after it lie in the file.
  static uint64_t Range(const Napi::CallbackInfo& info, const Mapping& file, int i) {
    const double offset = number(info, i), length = number(info, i + 1);
    if (!(offset >= 0 && length >= 0 && offset + length <= double(file.size()))) {
      throw Napi::Error::New(info.Env(), "the range lies beyond the end of the file");
    }
    return uint64_t(offset);
  }
  static Shared Source(const Napi::CallbackInfo& info, int i, uint64_t offset, uint64_t length) {
    if (info[i].IsNull()) return nullptr;
    const Shared source = Unwrap(info[i].As<Napi::Object>())->Open(info);
    if (offset + length > source->size()) throw Napi::Error::New(info.Env(), "the range lies beyond the end of the source");
    return source;
  }

  Shared mapping_;
  std::unique_ptr<Background> background_;
};

/// [{ name, runs, reason }], best first.
Napi::Value targets(const Napi::CallbackInfo& info) {
  const auto& all = candidates();
  auto list = Napi::Array::New(info.Env(), all.size());
  for (size_t i = 0; i < all.size(); i++) {
    auto entry = Napi::Object::New(info.Env());
    entry.Set("name", all[i].name);
    entry.Set("runs", all[i].target != nullptr);
    entry.Set("reason", all[i].reason);
    list.Set(uint32_t(i), entry);
  }
  return list;
}

/// (Float32Array, Uint32Array, Int8Array): the tables of src/laws/tables.ts, and that of alias.ts.
void set_law(const Napi::CallbackInfo& info) {
  auto table = info[0].As<Napi::Float32Array>();
  auto hits = info[1].As<Napi::Uint32Array>();
  auto alias = info[2].As<Napi::Int8Array>();
  if (table.ElementLength() != size_t(kLawRows * kLawColumns) || hits.ElementLength() != size_t(kHitsClasses * kHitsMost) ||
      alias.ElementLength() != sizeof(law.alias)) {
    throw Napi::Error::New(info.Env(), "not the tables of the law");
  }
  std::call_once(law_once, [&] {
    memcpy(law.tails, table.Data(), sizeof(law.tails));
    memcpy(law.hits, hits.Data(), sizeof(law.hits));
    memcpy(law.alias, alias.Data(), sizeof(law.alias));
    for (int row = 0; row < kLawRows; row++) {
      int& columns = law.columns[row];
      for (columns = 0; columns < kLawColumns && law.tails[row * kLawColumns + columns] != 0.0f;) columns++;
      for (int column = 0; column < kLawColumns; column++) law.columns_of_tails[column][row] = law.tails[row * kLawColumns + column];
    }
  });
}

Napi::Object init(Napi::Env env, Napi::Object exports) {
  exports.Set("targets", Napi::Function::New(env, targets));
  exports.Set("setLaw", Napi::Function::New<set_law>(env));
  exports.Set("bits", Napi::Function::New<fill<uint32_t, &Target::bits>>(env));
  exports.Set("uniform", Napi::Function::New<fill<float, &Target::uniform>>(env));
  exports.Set("normal", Napi::Function::New<fill<float, &Target::normal>>(env));
  exports.Set("perturb", Napi::Function::New<perturb>(env));
  exports.Set("relax", Napi::Function::New(env, relax));
  exports.Set("perturbAsync", Napi::Function::New<perturb_async>(env));
  exports.Set("sumSquares", Napi::Function::New<sum_squares>(env));
  exports.Set("difference", Napi::Function::New<difference>(env));
  exports.Set("MappedFile", MappedFile::Define(env));
  engine::define(env, exports);
  return exports;
}

NODE_API_MODULE(brownian, init)

}  // namespace
