// Command line.
#pragma once
#include <stdbool.h>
#include <sys/types.h>

typedef struct {
    const char *mode;  // echo, bcast, room, idle, storm, waves
    bool polling;      // HTTP long-polling instead of WebSocket
    int port;
    pid_t pid;  // of the server, whose CPU time and memory are read
    int clients;
    int at_once;  // connections being opened at the same time
    int window;   // messages in flight: per client (echo), per room (room), in all (bcast)
    int bytes;    // of a payload
    int per_room;
    int probes;         // additional clients that send acked echos on a schedule
    double probe_rate;  // of all probes together, per second
    double rate;        // of broadcasts, per second; 0: each one when the last is complete
    int waves;
    double warm, duration, drain, limit, ping_interval;  // seconds
    bool spin;                                           // poll without sleeping, so that the generator adds no latency
} options;

extern options opt;

void read_options(int count, char **words);
