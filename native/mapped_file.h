// A file mapped into memory, shared with whoever else maps it: what is written is what an inference engine multiplies with.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>

namespace brownian {

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

 private:
  uint8_t* data_ = nullptr;
  uint64_t size_ = 0;
  bool writable_;
};

}  // namespace brownian
