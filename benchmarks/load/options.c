#include "options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Tables: several entries on a line.
// clang-format off
options opt = {
    .mode = "echo", .clients = 100, .at_once = 100, .window = 1, .bytes = 32, .per_room = 10, .probe_rate = 1000,
    .waves = 3, .warm = 0.5, .duration = 2, .drain = 10, .limit = 120, .ping_interval = 25, .spin = true,
};
// clang-format on

static const char USAGE[] =
    "usage: load --mode echo|bcast|room|idle|storm|waves --port PORT --pid PID [--transport websocket|polling]\n"
    "  [--n CLIENTS] [--conc AT-ONCE] [--win WINDOW] [--bytes N] [--k PER-ROOM] [--rate BROADCASTS-A-SECOND]\n"
    "  [--probes CLIENTS] [--probe-rate ACKS-A-SECOND] [--waves N] [--warm S] [--dur S] [--drain S] [--max S]\n"
    "  [--pingiv S] [--spin 0|1]\n"
    "Connects to 127.0.0.1 and writes one line of JSON; ends with 0 when every message came once and in order.\n";

// clang-format off
enum { MODE = 1, TRANSPORT, PORT, PID, N, CONC, WIN, BYTES, K, RATE, PROBES, PROBE_RATE, WAVES, WARM, DUR, DRAIN, MAX,
       PINGIV, SPIN };

static const struct option FLAGS[] = {
    {"mode", 1, 0, MODE}, {"transport", 1, 0, TRANSPORT}, {"port", 1, 0, PORT}, {"pid", 1, 0, PID}, {"n", 1, 0, N},
    {"conc", 1, 0, CONC}, {"win", 1, 0, WIN}, {"bytes", 1, 0, BYTES}, {"k", 1, 0, K}, {"rate", 1, 0, RATE},
    {"probes", 1, 0, PROBES}, {"probe-rate", 1, 0, PROBE_RATE}, {"waves", 1, 0, WAVES}, {"warm", 1, 0, WARM},
    {"dur", 1, 0, DUR}, {"drain", 1, 0, DRAIN}, {"max", 1, 0, MAX}, {"pingiv", 1, 0, PINGIV}, {"spin", 1, 0, SPIN},
    {0, 0, 0, 0},
};
// clang-format on

static void refuse(const char *why)
{
    fprintf(stderr, "load: %s\n%s", why, USAGE);
    exit(2);
}

static void take(int flag, const char *word)
{
    switch (flag) {
    case MODE: opt.mode = word; break;
    case TRANSPORT: opt.polling = !strcmp(word, "polling"); break;
    case PORT: opt.port = atoi(word); break;
    case PID: opt.pid = atoi(word); break;
    case N: opt.clients = atoi(word); break;
    case CONC: opt.at_once = atoi(word); break;
    case WIN: opt.window = atoi(word); break;
    case BYTES: opt.bytes = atoi(word); break;
    case K: opt.per_room = atoi(word); break;
    case RATE: opt.rate = atof(word); break;
    case PROBES: opt.probes = atoi(word); break;
    case PROBE_RATE: opt.probe_rate = atof(word); break;
    case WAVES: opt.waves = atoi(word); break;
    case WARM: opt.warm = atof(word); break;
    case DUR: opt.duration = atof(word); break;
    case DRAIN: opt.drain = atof(word); break;
    case MAX: opt.limit = atof(word); break;
    case PINGIV: opt.ping_interval = atof(word); break;
    case SPIN: opt.spin = atoi(word); break;
    default: refuse("unknown option");
    }
}

void read_options(int count, char **words)
{
    int flag;
    while ((flag = getopt_long(count, words, "", FLAGS, NULL)) != -1)
        take(flag, optarg);
    if (opt.port < 1 || opt.port > 65535)
        refuse("--port is needed");
    if (opt.clients < 1 || opt.clients > 100000 || opt.at_once < 1)
        refuse("--n or --conc out of range");
    if (opt.window < 1 || opt.window > 64)
        refuse("--win must be from 1 to 64");
    if (opt.bytes < 20 || opt.bytes > 60000)
        refuse("--bytes must be from 20 to 60000");
    if (opt.per_room < 1 || (!strcmp(opt.mode, "room") && opt.clients % opt.per_room))
        refuse("--n must be a multiple of --k");
    if (opt.waves < 1 || opt.waves > 16)
        refuse("--waves must be from 1 to 16");
    if (opt.probes < 0 || (opt.probes && opt.probe_rate <= 0))
        refuse("--probes or --probe-rate out of range");
}
