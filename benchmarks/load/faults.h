// Faults, counted by kind. A run with any fault does not count.
#pragma once
#include <stdbool.h>
#include <stdint.h>

typedef struct {
    uint64_t missing;     // lost, or overtaken by a later one
    uint64_t repeated;    // received again, or late
    uint64_t corrupt;     // not the bytes that were sent
    uint64_t unexpected;  // not requested
    uint64_t closed;      // connections that the server closed
    uint64_t refused;     // connections that were not established
    uint64_t protocol;    // packets or frames that violate the protocol
} fault_counts;

extern fault_counts faults;
extern char first_fault[256];

void fault(uint64_t *kind, const char *text, ...) __attribute__((format(printf, 2, 3)));
uint64_t fault_total(void);

// Checks that each number arrives once, in order, without a gap. False when this one has been counted before.
bool in_sequence(uint32_t *expected, uint32_t got, uint32_t client);
