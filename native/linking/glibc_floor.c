/* Lets an addon that is linked against a new glibc run on old ones, for scripts/build/prebuild.mjs alone: functions that glibc 2.32 to 2.36 gave
 * new versions, by the versions that every glibc of this processor has. The linker sends calls here (--wrap); behaviour is the same. */

#include <pthread.h>
#include <sys/stat.h>
#include <sys/types.h>

#if defined(__x86_64__)
#define FIRST "GLIBC_2.2.5"
#define STAT_VERSION 1
#elif defined(__aarch64__)
#define FIRST "GLIBC_2.17"
#define STAT_VERSION 0
#else
#error "which versions does glibc have on this processor?"
#endif
#define OLD(name) __asm__(".symver first_" #name ", " #name "@" FIRST)

OLD(pthread_create);
OLD(pthread_detach);
OLD(pthread_join);
OLD(pthread_once);
OLD(pthread_attr_setstacksize);
OLD(__pthread_key_create);
OLD(__fxstat64);
/* In libdl until 2.34, which Node itself has loaded where that is so. */
OLD(dlopen);
OLD(dlsym);
OLD(dlerror);

int first_pthread_create(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*);
int first_pthread_detach(pthread_t);
int first_pthread_join(pthread_t, void**);
int first_pthread_once(pthread_once_t*, void (*)(void));
int first_pthread_attr_setstacksize(pthread_attr_t*, size_t);
int first___pthread_key_create(pthread_key_t*, void (*)(void*));
int first___fxstat64(int, int, struct stat64*);
void* first_dlopen(const char*, int);
void* first_dlsym(void*, const char*);
char* first_dlerror(void);

int __wrap_pthread_create(pthread_t* thread, const pthread_attr_t* attributes, void* (*run)(void*), void* argument) {
  return first_pthread_create(thread, attributes, run, argument);
}
int __wrap_pthread_detach(pthread_t thread) { return first_pthread_detach(thread); }
int __wrap_pthread_join(pthread_t thread, void** result) { return first_pthread_join(thread, result); }
int __wrap_pthread_once(pthread_once_t* control, void (*run)(void)) { return first_pthread_once(control, run); }
int __wrap_pthread_attr_setstacksize(pthread_attr_t* attributes, size_t size) { return first_pthread_attr_setstacksize(attributes, size); }
int __wrap___pthread_key_create(pthread_key_t* key, void (*drop)(void*)) { return first___pthread_key_create(key, drop); }
int __wrap_fstat64(int file, struct stat64* out) { return first___fxstat64(STAT_VERSION, file, out); }
void* __wrap_dlopen(const char* path, int flags) { return first_dlopen(path, flags); }
void* __wrap_dlsym(void* library, const char* name) { return first_dlsym(library, name); }
char* __wrap_dlerror(void) { return first_dlerror(); }
int __wrap_fstat(int file, struct stat* out) { return first___fxstat64(STAT_VERSION, file, (struct stat64*)out); }

/* libstdc++ asks it whether it may count references without atomics: never. */
__attribute__((visibility("hidden"))) char __libc_single_threaded = 0;
