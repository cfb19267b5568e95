// Acked echos: a fixed number outstanding per client, or by probes on a schedule beside another workload.
#include <stdio.h>
#include <stdlib.h>

#include "faults.h"
#include "options.h"
#include "payload.h"
#include "results.h"
#include "workloads.h"

enum { PROBE_WINDOW = 1024 };

bool issuing = true;
char padding[1 << 16];
static nanos probe_due;
static int probe_turn;

static uint32_t window_of(const client *c)
{
    return c->probe ? PROBE_WINDOW : (uint32_t)opt.window;
}

static void send_echo(client *c, nanos at)
{
    char head[32];
    uint32_t number = c->next_echo++;
    size_t length = (size_t)snprintf(head, sizeof head, "42%u[\"echo\",\"", number), bytes = (size_t)opt.bytes;
    uint8_t *packet = c->carrier->begin(c, length + bytes + 2);
    memcpy(packet, head, length);
    put_digits(packet + length, number);
    memcpy(packet + length + 10, padding, bytes - 10);
    memcpy(packet + length + bytes, "\"]", 2);
    c->carrier->finish(c);
    c->sent[number % window_of(c)] = at;
    issued++;
}

static void on_ack(client *c, uint32_t id, const uint8_t *args, size_t length, nanos at)
{
    uint32_t number;
    if (!c->sent || id >= c->next_echo) {
        fault(&faults.unexpected, "client %u: ack %u of nothing", c->index, id);
        return;
    }
    if (!in_sequence(&c->due_ack, id, c->index))
        return;
    if (!is_message(args, length, "[\"", 2) || !get_digits(args + 2, &number) || number != id ||
        memcmp(args + 12, padding, (size_t)opt.bytes - 10)) {
        fault(&faults.corrupt, "client %u: ack %u holds %.*s", c->index, id, (int)(length < 80 ? length : 80),
              (const char *)args);
        return;
    }
    nanos sent = c->sent[id % window_of(c)];
    if (c->probe) {
        received++;
        if (measuring)
            histogram_add(&probe_latency, at - sent);
        return;
    }
    delivered(sent, at);
    if (issuing)
        send_echo(c, at);
}

static void on_event(client *c, const uint8_t *args, size_t length, nanos at)
{
    (void)at;
    fault(&faults.unexpected, "client %u: event %.*s", c->index, (int)(length < 80 ? length : 80), (const char *)args);
}

const workload echo = {on_event, on_ack}, silence = {on_event, on_ack};

static void get_slots(client *c)
{
    c->sent = calloc(window_of(c), sizeof *c->sent);
    if (!c->sent)
        abort();
}

void echo_start(void)
{
    for (int i = 0; i < opt.clients; i++) {
        get_slots(&clients[i]);
        for (int n = 0; n < opt.window; n++)
            send_echo(&clients[i], now());
        tcp_flush();
        if (i % 64 == 63)
            tcp_turn(0);
    }
}

void probes_start(void)
{
    for (int i = 0; i < opt.probes; i++)
        get_slots(&clients[i]);
    probe_due = now();
}

// Latency counts from when the echo was due: a server that stalls does not receive fewer echos.
void probes_tick(nanos at)
{
    for (; opt.probes && issuing && probe_due <= at; probe_due += seconds(1 / opt.probe_rate)) {
        client *c = &clients[probe_turn++ % opt.probes];
        if (c->state != UP)
            continue;
        if (c->next_echo - c->due_ack >= PROBE_WINDOW)
            fault(&faults.missing, "client %u: no answer for %d echos", c->index, PROBE_WINDOW);
        else
            send_echo(c, probe_due);
        tcp_flush();
    }
}
