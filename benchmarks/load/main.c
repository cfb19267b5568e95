// Load generator for Socket.IO servers: one thread, epoll, no libraries. Each scenario is the list of its steps.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "client.h"
#include "faults.h"
#include "options.h"
#include "payload.h"
#include "results.h"
#include "workloads.h"

enum { PER_SOURCE = 15000, SETTLE_MS = 500, LINGER_MS = 150, LOOK_MS = 200, IDLE_PERCENT = 3 };
static const double LEAVE_SECONDS = 60;

static nanos hard_limit;
static bool probing, broadcasting;
static unsigned source = 1;

// Waiting.

static bool turn(int timeout)
{
    nanos before = now();
    int events = tcp_turn(timeout);
    nanos after = now();
    if (!events && measuring)
        window.idle += after - before;
    if (probing)
        probes_tick(after);
    if (broadcasting)
        broadcast_tick(after);
    if (after < hard_limit)
        return true;
    if (!first_fault[0])
        fault(&faults.missing, "not done within %.0f s", opt.limit);
    return false;
}

static void pass(nanos time, bool spin)
{
    for (nanos end = now() + time; now() < end && turn(spin ? 0 : 1);)
        ;
}

// Connections.

static void connect_more(int upto)
{
    while (clients_started < upto && clients_started - clients_up - clients_failed < opt.at_once) {
        client *c = &clients[clients_started];
        client_start(c, opt.polling ? &polling : &websocket, source + c->index / PER_SOURCE);
    }
}

static bool connect_all(int upto)
{
    nanos from = now();
    usage before = usage_of(opt.pid);
    do {
        connect_more(upto);
    } while (clients_up + clients_failed + (int)faults.closed < upto && turn(probing && opt.spin ? 0 : 50));
    connect_seconds = (double)(now() - from) / 1e9;
    connect_cpu = cpu(usage_of(opt.pid)) - cpu(before);
    return clients_up == upto;
}

static void leave_all(void)
{
    leaving = true;
    for (int i = 0; i < clients_started; i++)
        client_leave(&clients[i]);
    clients_started = clients_failed = 0;
}

// The server has finished cleaning up after the clients when it uses no more CPU.
static void await_quiet(wave *w)
{
    usage before = usage_of(opt.pid), last = before;
    nanos from = now(), quiet = from;
    while ((double)(now() - from) / 1e9 < LEAVE_SECONDS && now() < hard_limit) {
        pass(LOOK_MS * MILLISECOND, false);
        usage found = usage_of(opt.pid);
        bool idle = (cpu(found) - cpu(last)) * 1e5 / LOOK_MS < IDLE_PERCENT;
        last = found;
        if (!idle)
            quiet = now();
        else if (now() - quiet > 3 * LOOK_MS * MILLISECOND)
            break;
    }
    w->leave_cpu = cpu(last) - cpu(before);
    w->leave_seconds = (double)(quiet - from) / 1e9;
    w->after = last.resident;
}

// Scenarios.

static void drain(void)
{
    issuing = false;
    for (nanos end = now() + seconds(opt.drain); received < issued && now() < end && turn(1);)
        ;
    if (received < issued)
        fault(&faults.missing, "%lu messages never came", (unsigned long)(issued - received));
    pass(LINGER_MS * MILLISECOND, false);  // to catch repeated messages
}

static void measure(void)
{
    pass(seconds(opt.warm), opt.spin);
    window_open();
    pass(seconds(opt.duration), opt.spin);
    window_close();
    drain();
}

static void run_echo(void)
{
    current_workload = &echo;
    if (!connect_all(opt.clients))
        return;
    echo_start();
    measure();
}

static void run_broadcast(void)
{
    current_workload = &broadcast;
    if (!connect_all(opt.clients + opt.probes))
        return;
    probes_start();
    broadcast_start();
    probing = broadcasting = true;
    measure();
    broadcast_check();
}

static void run_rooms(void)
{
    current_workload = &rooms;
    rooms_prepare();
    if (!connect_all(opt.clients))
        return;
    for (int next = 0; rooms_joined < opt.clients && !fault_total() && turn(50);)
        for (; next < opt.clients && next - rooms_joined < opt.at_once; next++)
            rooms_join(&clients[next]);
    if (rooms_joined < opt.clients)
        return;
    rooms_start();
    measure();
    rooms_check();
}

static void run_idle(void)
{
    current_workload = &silence;
    if (!connect_all(opt.clients))
        return;
    pass(SETTLE_MS * MILLISECOND, false);
    uint64_t before = pings;
    window_open();
    for (nanos end = now() + seconds(opt.duration); now() < end && turn(20);)
        ;
    window_close();
    resident_up = window.server_to.resident;
    uint64_t due = (uint64_t)(opt.clients * (int)(opt.duration / opt.ping_interval));
    measured = pings - before;
    // A ping interval may begin before the window and end after it; a tenth allows for that.
    if (measured < due - due / 10)
        fault(&faults.missing, "%lu pings came, %lu were due", (unsigned long)measured, (unsigned long)due);
}

static void run_storm(void)
{
    current_workload = &echo;
    if (!connect_all(opt.probes))
        return;
    probes_start();
    probing = true;
    pass(seconds(opt.warm), opt.spin);
    window_open();
    connect_all(opt.probes + opt.clients);
    measured = (uint64_t)opt.clients;
    window_close();
    drain();
}

// The first wave is half as large: the cost per client of leaving at once must not depend on the number of clients.
static void run_waves(void)
{
    current_workload = &silence;
    for (wave_count = 0; wave_count <= opt.waves && !fault_total(); wave_count++) {
        wave *w = &waves[wave_count];
        leaving = false;
        w->clients = wave_count ? opt.clients : opt.clients / 2;
        connect_all(w->clients);
        w->connect_seconds = connect_seconds;
        w->connect_cpu = connect_cpu;
        pass(SETTLE_MS * MILLISECOND, false);
        w->peak = usage_of(opt.pid).resident;
        leave_all();
        await_quiet(w);
        source += 1 + (unsigned)opt.clients / PER_SOURCE;
    }
}

static const struct {
    const char *name;
    void (*run)(void);
} SCENARIOS[] = {
    {"echo", run_echo}, {"bcast", run_broadcast}, {"room", run_rooms},
    {"idle", run_idle}, {"storm", run_storm},     {"waves", run_waves},
};

static void prepare(void)
{
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    int all = opt.clients + opt.probes;
    if ((rlim_t)(all * (opt.polling ? 2 : 1) + 16) > files.rlim_cur) {
        fprintf(stderr, "load: %d clients need more open files than %lu\n", all, (unsigned long)files.rlim_cur);
        exit(2);
    }
    clients = calloc((size_t)all, sizeof *clients);
    if (!clients)
        abort();
    for (int i = 0; i < all; i++)
        clients[i] = (client){.index = (uint32_t)i, .probe = i < opt.probes};
    memset(padding, 'x', sizeof padding);
    hard_limit = now() + seconds(opt.limit);
    resident_before = usage_of(opt.pid).resident;
    tcp_start();
}

int main(int count, char **words)
{
    read_options(count, words);
    prepare();
    for (size_t i = 0; i < sizeof SCENARIOS / sizeof *SCENARIOS; i++)
        if (!strcmp(opt.mode, SCENARIOS[i].name)) {
            SCENARIOS[i].run();
            leaving = true;
            return write_results();
        }
    fprintf(stderr, "load: no mode %s\n", opt.mode);
    return 2;
}
