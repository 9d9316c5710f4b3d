/* For scripts/platforms/hosts.mjs alone: lets this machine's C++ library, which was made for glibc, load under musl, so that a program for musl can be tried
 * where there is no C++ library for musl. It stands in for glibc's loader (ld-linux-x86-64.so.2) and has what that library asks of glibc alone. */

#define _GNU_SOURCE
#include <stdint.h>
#include <sys/random.h>
#include <time.h>

char __libc_single_threaded = 0;
struct {
  unsigned vendor, type, subtype, features;
} __cpu_model;

int __cpu_indicator_init(void) { return 0; }
int _dl_find_object(void* address, void* found) { return (void)address, (void)found, -1; } /* asks dl_iterate_phdr then */
int __cxa_thread_atexit_impl(void (*drop)(void*), void* object, void* library) { return (void)drop, (void)object, (void)library, 0; }
size_t __strftime_l(char* out, size_t size, const char* format, const struct tm* time, locale_t locale) {
  return strftime_l(out, size, format, time, locale);
}
uint32_t arc4random(void) {
  uint32_t word;
  return getrandom(&word, sizeof word, 0) == sizeof word ? word : 0;
}
