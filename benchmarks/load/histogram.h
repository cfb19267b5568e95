// Histogram of latencies: buckets grow with the value, 128 per octave, an error below 0.8 %.
#pragma once
#include "clock.h"

enum { HISTOGRAM_BUCKETS = 40 * 128 };

typedef struct {
    uint64_t buckets[HISTOGRAM_BUCKETS];
    uint64_t count, sum, max;
} histogram;

void histogram_add(histogram *h, nanos value);
double histogram_quantile(const histogram *h, double q);  // nanoseconds
