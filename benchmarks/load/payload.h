// Payloads: a number of ten digits, then `x` up to the length. Every byte is checked.
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "options.h"

extern char padding[1 << 16];

static inline void put_digits(uint8_t *at, uint32_t number)
{
    for (int i = 9; i >= 0; i--, number /= 10)
        at[i] = (uint8_t)('0' + number % 10);
}

static inline bool get_digits(const uint8_t *at, uint32_t *number)
{
    uint64_t value = 0;
    for (int i = 0; i < 10; i++) {
        if (at[i] < '0' || at[i] > '9')
            return false;
        value = value * 10 + (at[i] - '0');
    }
    *number = (uint32_t)value;
    return true;
}

// `text` is the JSON before the payload, such as ["echo",".
static inline bool is_message(const uint8_t *args, size_t length, const char *text, size_t text_length)
{
    return length == text_length + (size_t)opt.bytes + 2 && !memcmp(args, text, text_length) &&
           args[length - 2] == '"' && args[length - 1] == ']';
}
