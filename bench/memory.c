/* The machine's own limits, in loops that do nothing else: memory KIND BYTES prints the seconds of one pass over a buffer of so many bytes
   (median of the passes' batches). KIND is copy (memcpy), rmw (adds 1 to every byte in place) or read (sums 64-bit words).
   Compiled by bench/run.mjs with the machine's compiler. */
#define _POSIX_C_SOURCE 199309L
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BATCHES 15
#define BATCH_SECONDS 0.02

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static uint64_t *data, *other;
static size_t bytes;
static volatile uint64_t sink;

/* Every pass ends in a barrier: the compiler must take memory as read and written, and so cannot drop or merge passes. */
#define BARRIER __asm__ volatile("" : : "r"(data), "r"(other) : "memory")

static void copy(void) {
  memcpy(other, data, bytes);
  BARRIER;
}

static void rmw(void) {
  int8_t *p = (int8_t *)data;
  for (size_t i = 0; i < bytes; i++) p[i] = (int8_t)(p[i] + 1);
  BARRIER;
}

static void read_all(void) {
  uint64_t sum = 0;
  for (size_t i = 0; i < bytes / 8; i++) sum += data[i];
  sink = sum;
  BARRIER;
}

static int ascending(const void *a, const void *b) {
  const double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

int main(int count, char **arguments) {
  if (count != 3) return 2;
  void (*pass)(void) = strcmp(arguments[1], "copy") == 0  ? copy
                       : strcmp(arguments[1], "rmw") == 0 ? rmw
                       : strcmp(arguments[1], "read") == 0 ? read_all
                                                           : NULL;
  bytes = (size_t)strtoull(arguments[2], NULL, 10) / 64 * 64;
  data = aligned_alloc(64, bytes);
  other = aligned_alloc(64, bytes);
  if (pass == NULL || data == NULL || other == NULL || bytes == 0) return 2;
  memset(data, 1, bytes);
  memset(other, 2, bytes);
  double seconds[BATCHES];
  for (int batch = -1; batch < BATCHES; batch++) { /* the first one warms up */
    long passes = 0;
    const double begin = now();
    double took;
    do {
      pass();
      passes++;
    } while ((took = now() - begin) < BATCH_SECONDS);
    if (batch >= 0) seconds[batch] = took / (double)passes;
  }
  qsort(seconds, BATCHES, sizeof(double), ascending);
  printf("{\"seconds\": %.9g, \"elements\": %zu, \"bytes\": %zu}\n", seconds[BATCHES / 2], bytes, bytes);
  return 0;
}
