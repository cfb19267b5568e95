// Broadcasts from one client to all clients: a fixed number in flight, or at a rate.
#include <stdio.h>

#include "faults.h"
#include "options.h"
#include "payload.h"
#include "results.h"
#include "workloads.h"

enum { UNDER_WAY = 4096 };
static const char HEAD[] = "[\"bcast\",\"";

static struct {
    nanos sent;
    int missing;
} under_way[UNDER_WAY];
static uint32_t next, complete;
static nanos due;

static int audience(void)
{
    return opt.clients + opt.probes;
}

static void say(nanos at)
{
    client *c = &clients[0];
    size_t bytes = (size_t)opt.bytes, head = sizeof HEAD - 1;
    uint8_t *packet = c->carrier->begin(c, 2 + head + bytes + 2);
    memcpy(packet, "42", 2);
    memcpy(packet + 2, HEAD, head);
    put_digits(packet + 2 + head, next);
    memcpy(packet + 12 + head, padding, bytes - 10);
    memcpy(packet + 2 + head + bytes, "\"]", 2);
    c->carrier->finish(c);
    under_way[next % UNDER_WAY].sent = at;
    under_way[next % UNDER_WAY].missing = audience();
    next++;
    issued += (uint64_t)audience();
}

static void on_event(client *c, const uint8_t *args, size_t length, nanos at)
{
    uint32_t number;
    size_t head = sizeof HEAD - 1;
    if (!is_message(args, length, HEAD, head) || !get_digits(args + head, &number) || number >= next ||
        memcmp(args + head + 10, padding, (size_t)opt.bytes - 10)) {
        fault(&faults.corrupt, "client %u: event %.*s", c->index, (int)(length < 80 ? length : 80), (const char *)args);
        return;
    }
    if (!in_sequence(&c->due_event, number, c->index))
        return;
    nanos sent = under_way[number % UNDER_WAY].sent;
    delivered(sent, at);
    if (--under_way[number % UNDER_WAY].missing)
        return;
    complete++;
    if (measuring)
        histogram_add(&completion, at - sent);
    if (issuing && opt.rate <= 0)
        say(at);
}

static void on_ack(client *c, uint32_t id, const uint8_t *args, size_t length, nanos at)
{
    echo.ack(c, id, args, length, at);
}

const workload broadcast = {on_event, on_ack};

void broadcast_start(void)
{
    due = now();
    for (int i = 0; opt.rate <= 0 && i < opt.window; i++)
        say(now());
    tcp_flush();
}

void broadcast_tick(nanos at)
{
    for (; opt.rate > 0 && issuing && due <= at && next - complete < UNDER_WAY; due += seconds(1 / opt.rate)) {
        say(due);
        tcp_flush();
    }
}

static void check(client *c, uint32_t said)
{
    if (c->due_event != said)
        fault(&faults.missing, "client %u: has heard %u of %u", c->index, c->due_event, said);
}

void broadcast_check(void)
{
    for (int i = 0; i < audience(); i++)
        check(&clients[i], next);
}
