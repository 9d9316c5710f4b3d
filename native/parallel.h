// Threads of the addon: several for one piece of work, and one in the background for work that nobody waits for. Knows nothing of JavaScript:
// what is thrown on a thread is thrown again where the work was asked for.
#pragma once

#if defined(_WIN32)
#define WIN32_LEAN_AND_MEAN
#define NOMINMAX
#include <windows.h>
#else
#include <pthread.h>
#endif
#if defined(__linux__)
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <system_error>
#include <thread>
#include <vector>

namespace brownian {

#if defined(_WIN32)
using Thread = std::thread;
#else
/// A thread with room for the kernels' tiles, of which a call has 100 kB on the stack: musl gives a thread 128 kB in all unless more is asked for.
class Thread {
 public:
  /// `run` outlives the thread. Throws std::system_error.
  template <class Run>
  explicit Thread(const Run& run) {
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, size_t(1) << 20);
    const auto begin = [](void* given) -> void* {
      (*static_cast<const Run*>(given))();
      return nullptr;
    };
    const int failure = pthread_create(&thread_, &attributes, begin, const_cast<Run*>(&run));
    pthread_attr_destroy(&attributes);
    if (failure != 0) throw std::system_error(failure, std::generic_category());
  }
  void join() { pthread_join(thread_, nullptr); }

 private:
  pthread_t thread_;
};
#endif

/// Lets the process's other threads go first, of which one has the event loop: as many threads as there are cores would keep it waiting for one.
inline void step_back() {
#if defined(__linux__)
  setpriority(PRIO_PROCESS, id_t(syscall(SYS_gettid)), 5);  // of this thread alone
#endif
}

/// Runs work(begin, end) on chunks of [0, count), each a multiple of `grain` but the last, on up to `threads` threads. Throws what the first
/// chunk that failed has thrown; the others may be done, or not.
inline void in_parallel(uint64_t count, uint64_t grain, unsigned threads, const std::function<void(uint64_t, uint64_t)>& work) {
  const uint64_t chunks = count / grain + (count % grain != 0);
  std::atomic<uint64_t> next{0};
  std::exception_ptr failure;
  std::mutex failing;
  const auto run = [&] {
    try {
      for (uint64_t chunk; (chunk = next++) < chunks;) work(chunk * grain, std::min(count, (chunk + 1) * grain));
    } catch (...) {
      next = chunks;
      const std::lock_guard<std::mutex> lock(failing);
      if (!failure) failure = std::current_exception();
    }
  };
  const auto behind = [&] {
    step_back();
    run();
  };
  std::vector<Thread> others;
  if (threads > 1 && chunks > 1) {
    const size_t wanted = size_t(std::min<uint64_t>(threads, chunks));
    others.reserve(wanted);
    try {
      while (others.size() < wanted) others.emplace_back(behind);
    } catch (const std::system_error&) {
      // The system gives no more threads: those that there are do all the work, with the same result.
    }
  }
  if (others.empty()) run();
  for (auto& other : others) other.join();
  if (failure) std::rethrow_exception(failure);
}

/// One thread for work whose result is wanted later, if at all. It takes a processor only while nobody else wants it: an engine that wakes up beside it
/// is not kept waiting. So work may not be done when it is asked for.
class Background {
 public:
  Background() : run_([this] { run(); }) {}
  /// One for all who ask while another has it: a model may lie in hundreds of files.
  static std::shared_ptr<Background> of_all() {
    static std::mutex asking;
    static std::weak_ptr<Background> last;
    const std::lock_guard<std::mutex> lock(asking);
    std::shared_ptr<Background> one = last.lock();
    if (!one) last = one = std::make_shared<Background>();
    return one;
  }
  Background(const Background&) = delete;
  Background& operator=(const Background&) = delete;
  /// Waits for the work that has begun; what has not is left undone.
  ~Background() {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      stopping_ = true;
    }
    wake_.notify_one();
    if (thread_) thread_->join();
  }

  /// After what was given before; what throws counts as not done. False where the system gives no thread.
  bool start(std::function<void()> work) {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      work_.push_back(std::move(work));
    }
    try {
      if (!thread_) thread_.emplace(run_);
    } catch (const std::system_error&) {
      return false;
    }
    wake_.notify_one();
    return true;
  }

 private:
  void run() {
    yield_to_all();
    for (;;) {
      std::function<void()> work;
      {
        std::unique_lock<std::mutex> lock(mutex_);
        wake_.wait(lock, [this] { return stopping_ || !work_.empty(); });
        if (stopping_) return;
        work = std::move(work_.front());
        work_.pop_front();
      }
      try {
        work();
      } catch (const std::exception&) {
      }
    }
  }

  static void yield_to_all() {
#if defined(__linux__)
    const struct {
      int priority;
    } none = {0};
    syscall(SYS_sched_setscheduler, 0, 5 /* SCHED_IDLE */, &none);  // of this thread; musl's function of that name does nothing
#elif defined(__APPLE__)
    pthread_set_qos_class_self_np(QOS_CLASS_UTILITY, 0);
#elif defined(_WIN32)
    SetThreadPriority(GetCurrentThread(), THREAD_PRIORITY_LOWEST);
#endif
  }

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> work_;
  bool stopping_ = false;
  const std::function<void()> run_;
  std::optional<Thread> thread_;
};

}  // namespace brownian
