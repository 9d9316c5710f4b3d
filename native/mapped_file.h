// A file mapped into memory, shared with whoever else maps it: what is written is what an inference engine multiplies with.
#pragma once
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>

namespace brownian {

/// Where a file has no bytes any more (someone cut it off, or its disk has no room to write a page to), the system would end the process at a
/// touch. On POSIX systems memory of zeros that belongs to nobody takes the place of such a page, and `check` says so from then on.
class Mapping {
 public:
  /// Throws std::runtime_error with the system's message.
  Mapping(const std::string& path, bool writable);
  ~Mapping();
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;

  uint8_t* data() const { return data_; }
  uint64_t size() const { return size_; }
  bool writable() const { return writable_; }
  /// Throws std::runtime_error where pages were lost: what was read there was not the file's, what was written there is gone.
  void check() const;

 private:
  uint8_t* data_ = nullptr;
  uint64_t size_ = 0;
  bool writable_;
  std::atomic<bool> lost_{false};
};

}  // namespace brownian
