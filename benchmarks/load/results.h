// Counters of a run, and the line of JSON that is written at its end.
#pragma once
#include <stdbool.h>

#include "accounting.h"
#include "histogram.h"

enum { WAVES_MAX = 16 };

typedef struct {
    int clients;
    double connect_seconds, connect_cpu, leave_cpu, leave_seconds;
    long peak, after;  // KiB
} wave;

typedef struct {
    nanos from, to;
    usage server_from, server_to;
    double own_from, own_to;
    nanos idle;
} window_figures;

extern histogram latency, completion, probe_latency, connecting;
extern uint64_t issued, received;  // totals: messages to be delivered, messages delivered
extern uint64_t measured;          // delivered within the window
extern bool measuring;
extern window_figures window;
extern wave waves[WAVES_MAX];
extern int wave_count;
extern double connect_seconds, connect_cpu;
extern long resident_before, resident_up;

void window_open(void);
void window_close(void);
void delivered(nanos sent, nanos at);
int write_results(void);  // returns the exit code
