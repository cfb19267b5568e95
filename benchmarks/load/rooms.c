// Small rooms: in each, one member sends; all members of the room must receive, and no other client.
#include <stdio.h>
#include <stdlib.h>

#include "faults.h"
#include "options.h"
#include "payload.h"
#include "results.h"
#include "workloads.h"

enum { UNDER_WAY = 128, JOIN = 7 };
static const char HEAD[] = "[\"room\",\"";

typedef struct {
    uint32_t next;
    struct {
        nanos sent;
        int missing;
    } under_way[UNDER_WAY];
} room;

static room *table;
static int count;
int rooms_joined;

void rooms_prepare(void)
{
    count = opt.clients / opt.per_room;
    table = calloc((size_t)count, sizeof *table);
    if (!table)
        abort();
}

void rooms_join(client *c)
{
    char packet[64];
    c->room = c->index % (uint32_t)count;
    snprintf(packet, sizeof packet, "42%d[\"join\",\"r%06u\"]", JOIN, c->room);
    client_send(c, packet);
    tcp_flush();
}

// The first member of each room sends: client n is in room n.
static void speak(uint32_t which, nanos at)
{
    char head[40];
    room *r = &table[which];
    client *c = &clients[which];
    size_t length = (size_t)snprintf(head, sizeof head, "42[\"room\",\"r%06u\",\"", which), bytes = (size_t)opt.bytes;
    uint8_t *packet = c->carrier->begin(c, length + bytes + 2);
    memcpy(packet, head, length);
    put_digits(packet + length, r->next);
    put_digits(packet + length + 10, which);
    memcpy(packet + length + 20, padding, bytes - 20);
    memcpy(packet + length + bytes, "\"]", 2);
    c->carrier->finish(c);
    r->under_way[r->next % UNDER_WAY].sent = at;
    r->under_way[r->next % UNDER_WAY].missing = opt.per_room;
    r->next++;
    issued += (uint64_t)opt.per_room;
}

static void on_event(client *c, const uint8_t *args, size_t length, nanos at)
{
    uint32_t number, which;
    size_t head = sizeof HEAD - 1;
    room *r = &table[c->room];
    if (!is_message(args, length, HEAD, head) || !get_digits(args + head, &number) ||
        !get_digits(args + head + 10, &which) || memcmp(args + head + 20, padding, (size_t)opt.bytes - 20)) {
        fault(&faults.corrupt, "client %u: event %.*s", c->index, (int)(length < 80 ? length : 80), (const char *)args);
        return;
    }
    if (which != c->room || number >= r->next) {
        fault(&faults.unexpected, "client %u of room %u: message %u of room %u", c->index, c->room, number, which);
        return;
    }
    if (!in_sequence(&c->due_event, number, c->index))
        return;
    nanos sent = r->under_way[number % UNDER_WAY].sent;
    delivered(sent, at);
    if (--r->under_way[number % UNDER_WAY].missing)
        return;
    if (measuring)
        histogram_add(&completion, at - sent);
    if (issuing)
        speak(which, at);
}

static void on_ack(client *c, uint32_t id, const uint8_t *args, size_t length, nanos at)
{
    (void)args, (void)length, (void)at;
    if (id != JOIN || c->joined) {
        fault(&faults.unexpected, "client %u: ack %u", c->index, id);
        return;
    }
    c->joined = true;
    rooms_joined++;
}

const workload rooms = {on_event, on_ack};

void rooms_start(void)
{
    for (int n = 0; n < opt.window; n++)
        for (int which = 0; which < count; which++) {
            speak((uint32_t)which, now());
            tcp_flush();
        }
}

void rooms_check(void)
{
    for (int i = 0; i < opt.clients; i++)
        if (clients[i].due_event != table[clients[i].room].next)
            fault(&faults.missing, "client %d: has heard %u of %u", i, clients[i].due_event,
                  table[clients[i].room].next);
}
