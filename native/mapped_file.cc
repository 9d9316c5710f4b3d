// Mapping a file: POSIX and Windows.
#include "mapped_file.h"

#include <stdexcept>
#include <system_error>

#if defined(_WIN32)
#define WIN32_LEAN_AND_MEAN
#define NOMINMAX
#include <windows.h>
#else
#include <cerrno>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#endif

namespace brownian {

#if defined(_WIN32)

namespace {

[[noreturn]] void fail(const char* what) { throw std::runtime_error(std::string(what) + ": " + std::system_category().message(int(GetLastError()))); }

struct Handle {
  HANDLE h;
  ~Handle() {
    if (h != nullptr && h != INVALID_HANDLE_VALUE) CloseHandle(h);
  }
};

}  // namespace

Mapping::Mapping(const std::string& path, bool writable) : writable_(writable) {
  const int length = MultiByteToWideChar(CP_UTF8, 0, path.c_str(), -1, nullptr, 0);
  std::wstring wide(length > 0 ? length : 1, L'\0');
  MultiByteToWideChar(CP_UTF8, 0, path.c_str(), -1, &wide[0], length);
  const Handle file{CreateFileW(wide.c_str(), GENERIC_READ | (writable ? GENERIC_WRITE : 0), FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE,
                                nullptr, OPEN_EXISTING, 0, nullptr)};
  if (file.h == INVALID_HANDLE_VALUE) fail("open");
  LARGE_INTEGER size;
  if (!GetFileSizeEx(file.h, &size)) fail("size");
  size_ = uint64_t(size.QuadPart);
  if (size_ == 0) return;
  const Handle mapping{CreateFileMappingW(file.h, nullptr, writable ? PAGE_READWRITE : PAGE_READONLY, 0, 0, nullptr)};
  if (mapping.h == nullptr) fail("map");
  data_ = static_cast<uint8_t*>(MapViewOfFile(mapping.h, writable ? FILE_MAP_WRITE : FILE_MAP_READ, 0, 0, 0));
  if (data_ == nullptr) fail("map");
}

Mapping::~Mapping() {
  if (data_ != nullptr) UnmapViewOfFile(data_);
}

#else

namespace {

[[noreturn]] void fail(const char* what) { throw std::runtime_error(std::string(what) + ": " + std::generic_category().message(errno)); }

struct Descriptor {
  int fd;
  ~Descriptor() {
    if (fd >= 0) close(fd);
  }
};

}  // namespace

Mapping::Mapping(const std::string& path, bool writable) : writable_(writable) {
  const Descriptor file{open(path.c_str(), (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC)};
  if (file.fd < 0) fail("open");
  struct stat info;
  if (fstat(file.fd, &info) != 0) fail("stat");
  size_ = uint64_t(info.st_size);
  if (size_ == 0) return;
  void* at = mmap(nullptr, size_t(size_), PROT_READ | (writable ? PROT_WRITE : 0), MAP_SHARED, file.fd, 0);
  if (at == MAP_FAILED) fail("mmap");
  data_ = static_cast<uint8_t*>(at);
}

Mapping::~Mapping() {
  if (data_ != nullptr) munmap(data_, size_t(size_));
}

#endif

}  // namespace brownian
