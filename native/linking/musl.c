/* What the C++ library within an addon for musl asks of glibc alone, for scripts/build/prebuild.mjs alone. */

#include <pthread.h>

#define HIDDEN __attribute__((visibility("hidden")))

HIDDEN int __pthread_key_create(pthread_key_t* key, void (*drop)(void*)) { return pthread_key_create(key, drop); }

/* Whether references may be counted without atomics: never. */
HIDDEN char __libc_single_threaded = 0;
