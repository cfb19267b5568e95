// Time in nanoseconds, from a monotonic clock.
#pragma once
#include <stdint.h>
#include <time.h>

typedef uint64_t nanos;
#define SECOND 1000000000ull
#define MILLISECOND 1000000ull

static inline nanos now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (nanos)t.tv_sec * SECOND + (nanos)t.tv_nsec;
}

static inline nanos seconds(double s)
{
    return (nanos)(s * (double)SECOND);
}
