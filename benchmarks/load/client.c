#define _GNU_SOURCE
#include "client.h"

#include <stdlib.h>
#include <string.h>

#include "faults.h"
#include "options.h"
#include "results.h"

const workload *current_workload;
client *clients;
int clients_up, clients_started, clients_failed;
uint64_t pings;
bool leaving;

static void opened(tcp *t)
{
    client *c = t->owner;
    c->carrier->open(c);
}

static void ended(tcp *t, const char *why)
{
    client_end(t->owner, why);
}

void client_start(client *c, const transport *carrier, unsigned source)
{
    nanos *sent = c->sent;
    bool probe = c->probe;
    uint32_t index = c->index;
    *c = (client){.carrier = carrier, .index = index, .probe = probe, .sent = sent, .state = OPENING, .started = now()};
    c->main = c->post = (tcp){.owner = c, .on_open = opened, .on_data = carrier->data, .on_end = ended};
    clients_started++;
    if (!tcp_connect(&c->main, opt.port, source))
        client_end(c, "cannot connect");
}

static void forget(client *c)
{
    if (c->state == UP)
        clients_up--;
    c->state = GONE;
    tcp_close(&c->main);
    tcp_close(&c->post);
    buffer_free(&c->waiting);
}

void client_leave(client *c)
{
    if (c->state != NEW && c->state != GONE)
        forget(c);
}

void client_end(client *c, const char *why)
{
    if (c->state == GONE)
        return;
    if (c->state != UP)
        clients_failed++;
    if (!leaving)
        fault(c->state == UP ? &faults.closed : &faults.refused, "client %u ended in state %d: %s", c->index, c->state,
              why);
    forget(c);
}

void client_send(client *c, const char *text)
{
    size_t length = strlen(text);
    memcpy(c->carrier->begin(c, length), text, length);
    c->carrier->finish(c);
}

static void connected(client *c, const uint8_t *text, size_t length, nanos at)
{
    if (c->state != JOINING || !memmem(text, length, "\"sid\"", 5)) {
        fault(&faults.protocol, "client %u: CONNECT out of turn", c->index);
        return;
    }
    c->state = UP;
    clients_up++;
    histogram_add(&connecting, at - c->started);
}

static void ack(client *c, const uint8_t *text, size_t length, nanos at)
{
    uint32_t id = 0;
    size_t i = 0;
    while (i < length && text[i] >= '0' && text[i] <= '9')
        id = id * 10 + (text[i++] - '0');
    current_workload->ack(c, id, text + i, length - i, at);
}

void client_packet(client *c, const uint8_t *packet, size_t length, nanos at)
{
    char kind = length ? (char)packet[0] : 0, inner = length > 1 ? (char)packet[1] : 0;
    if (kind == '4' && inner == '2') {
        current_workload->event(c, packet + 2, length - 2, at);
    } else if (kind == '4' && inner == '3') {
        ack(c, packet + 2, length - 2, at);
    } else if (kind == '2') {
        pings++;
        client_send(c, "3");
    } else if (kind == '4' && inner == '0') {
        connected(c, packet + 2, length - 2, at);
    } else if (kind == '0' && c->state == OPENING) {
        c->state = JOINING;
        client_send(c, "40");
    } else if (kind != '6') {
        fault(&faults.protocol, "client %u: unexpected packet %.*s", c->index, (int)(length < 60 ? length : 60),
              (const char *)packet);
    }
}
