#include "histogram.h"

static unsigned bucket_of(nanos value)
{
    if (value < 128)
        return (unsigned)value;
    int shift = 56 - __builtin_clzll(value);
    unsigned bucket = (unsigned)(shift + 1) * 128 + ((value >> shift) & 127);
    return bucket < HISTOGRAM_BUCKETS ? bucket : HISTOGRAM_BUCKETS - 1;
}

static double middle_of(unsigned bucket)
{
    if (bucket < 128)
        return bucket;
    int shift = (int)(bucket / 128) - 1;
    return (double)((uint64_t)(128 + bucket % 128) << shift) + (double)(1ull << shift) / 2;
}

void histogram_add(histogram *h, nanos value)
{
    h->buckets[bucket_of(value)]++;
    h->count++;
    h->sum += value;
    if (value > h->max)
        h->max = value;
}

double histogram_quantile(const histogram *h, double q)
{
    if (!h->count)
        return 0;
    uint64_t wanted = (uint64_t)(q * (double)h->count), seen = 0;
    for (unsigned bucket = 0; bucket < HISTOGRAM_BUCKETS; bucket++) {
        seen += h->buckets[bucket];
        if (seen > wanted) {
            double value = middle_of(bucket);
            return value < (double)h->max ? value : (double)h->max;
        }
    }
    return (double)h->max;
}
