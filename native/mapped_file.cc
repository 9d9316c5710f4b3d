// Mapping a file: POSIX and Windows.
#include "mapped_file.h"

#include <array>
#include <mutex>
#include <stdexcept>
#include <system_error>

#if defined(_WIN32)
#define WIN32_LEAN_AND_MEAN
#define NOMINMAX
#include <windows.h>
#else
#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#endif

namespace brownian {

void Mapping::check() const {
  if (lost_) throw std::runtime_error("pages of the file are lost: it became shorter, or its disk is full");
}

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

/// A mapping as the handler of SIGBUS finds it, which may not wait for anybody.
struct Guarded {
  std::atomic<uintptr_t> begin{0}, end{0};
  std::atomic<std::atomic<bool>*> lost{nullptr};
};
std::array<Guarded, 4096> guarded;
std::mutex guarding;
struct sigaction before_us;
uintptr_t page_size;

void on_bus_error(int signal, siginfo_t* info, void* context) {
  const auto at = reinterpret_cast<uintptr_t>(info->si_addr);
  for (const Guarded& mapping : guarded) {
    const uintptr_t begin = mapping.begin.load(std::memory_order_acquire);
    if (begin == 0 || at < begin || at >= mapping.end) continue;
    void* const page = reinterpret_cast<void*>(at & ~(page_size - 1));
    if (mmap(page, page_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED) break;
    *mapping.lost.load() = true;
    return;
  }
  // Not ours: to whoever was there before. Without anybody, the signal comes again and does what it does by default.
  if ((before_us.sa_flags & SA_SIGINFO) != 0) before_us.sa_sigaction(signal, info, context);
  else if (before_us.sa_handler != SIG_DFL && before_us.sa_handler != SIG_IGN) before_us.sa_handler(signal);
  else sigaction(SIGBUS, &before_us, nullptr);
}

void guard(void* data, uint64_t size, std::atomic<bool>* lost) {
  const std::lock_guard<std::mutex> only(guarding);
  if (page_size == 0) {
    page_size = uintptr_t(sysconf(_SC_PAGESIZE));
    struct sigaction ours {};
    ours.sa_sigaction = on_bus_error;
    ours.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
    sigemptyset(&ours.sa_mask);
    if (sigaction(SIGBUS, &ours, &before_us) != 0) fail("sigaction");
  }
  for (Guarded& mapping : guarded) {
    if (mapping.begin != 0) continue;
    mapping.lost = lost;
    mapping.end = reinterpret_cast<uintptr_t>(data) + uintptr_t(size);
    mapping.begin.store(reinterpret_cast<uintptr_t>(data), std::memory_order_release);
    return;
  }
  throw std::runtime_error("too many files are mapped");
}

void unguard(const void* data) {
  const std::lock_guard<std::mutex> only(guarding);
  for (Guarded& mapping : guarded)
    if (mapping.begin == reinterpret_cast<uintptr_t>(data)) mapping.begin = 0;
}

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
  try {
    guard(at, size_, &lost_);
  } catch (...) {
    munmap(at, size_t(size_));
    throw;
  }
  data_ = static_cast<uint8_t*>(at);
}

Mapping::~Mapping() {
  if (data_ == nullptr) return;
  unguard(data_);
  munmap(data_, size_t(size_));
}

#endif

}  // namespace brownian
