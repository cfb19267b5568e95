// HTTP long-polling transport: one connection always has a GET pending, the other POSTs. Like the JavaScript client it
// has one POST in flight; packets sent meanwhile go with the next.
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "client.h"
#include "faults.h"
#include "options.h"

static void get(client *c)
{
    char request[300];
    int length = snprintf(request, sizeof request,
                          "GET /socket.io/?EIO=4&transport=polling%s%s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n"
                          "Accept: */*\r\n\r\n",
                          c->session[0] ? "&sid=" : "", c->session, opt.port);
    memcpy(tcp_reserve(&c->main, (size_t)length), request, (size_t)length);
}

static void post(client *c)
{
    char head[400];
    int length = snprintf(head, sizeof head,
                          "POST /socket.io/?EIO=4&transport=polling&sid=%s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n"
                          "Accept: */*\r\nContent-Type: text/plain;charset=UTF-8\r\nContent-Length: %zu\r\n\r\n",
                          c->session, opt.port, c->waiting.length);
    uint8_t *request = tcp_reserve(&c->post, (size_t)length + c->waiting.length);
    memcpy(request, head, (size_t)length);
    memcpy(request + length, c->waiting.bytes + c->waiting.start, c->waiting.length);
    c->waiting.length = c->waiting.start = 0;
    c->posting = true;
}

static void open_polling(client *c)
{
    if (!c->session[0])
        get(c);
    else if (c->waiting.length && !c->posting)
        post(c);
}

static uint8_t *begin(client *c, size_t length)
{
    static uint8_t blank[1 << 16];
    if (c->waiting.length)
        buffer_append(&c->waiting, "\x1e", 1);
    buffer_append(&c->waiting, blank, length);
    return c->waiting.bytes + c->waiting.start + c->waiting.length - length;
}

static void finish(client *c)
{
    if (!c->post.fd) {
        if (!tcp_connect(&c->post, opt.port, 1))
            client_end(c, "cannot connect for POST");
    } else if (!c->posting && !c->post.connecting) {
        post(c);
    }
}

static void take_session(client *c, const uint8_t *text, size_t length)
{
    const uint8_t *at = memmem(text, length, "\"sid\":\"", 7);
    size_t size = 0;
    if (at)
        for (at += 7; at + size < text + length && at[size] != '"';)
            size++;
    if (!at || size >= sizeof c->session) {
        client_end(c, "no session id in the handshake");
        return;
    }
    memcpy(c->session, at, size);
}

static void packets(client *c, const uint8_t *text, size_t length, nanos at)
{
    if (!c->session[0])
        take_session(c, text, length);
    const uint8_t *end = text + length;
    while (text <= end && c->state != GONE) {
        const uint8_t *mark = memchr(text, 0x1e, (size_t)(end - text));
        const uint8_t *stop = mark ? mark : end;
        client_packet(c, text, (size_t)(stop - text), at);
        text = stop + 1;
    }
}

// Returns the length of the body; -1 without a Content-Length.
static long content_length(const uint8_t *head, const uint8_t *end)
{
    for (const uint8_t *line = head; line && line < end; line = memchr(line, '\n', (size_t)(end - line))) {
        line += *line == '\n';
        if (end - line > 15 && !strncasecmp((const char *)line, "content-length:", 15))
            return strtol((const char *)line + 15, NULL, 10);
    }
    return -1;
}

static void answer(client *c, tcp *t, const uint8_t *body, size_t length, nanos at)
{
    if (t == &c->main) {
        packets(c, body, length, at);
        if (c->state != GONE)
            get(c);
        return;
    }
    c->posting = false;
    if (length != 2 || strncasecmp((const char *)body, "ok", 2))  // python-socketio answers in upper case
        fault(&faults.protocol, "client %u: a POST was not answered with ok", c->index);
    if (c->waiting.length)
        post(c);
}

static size_t data(tcp *t, uint8_t *bytes, size_t length)
{
    client *c = t->owner;
    nanos at = now();
    const uint8_t *end = memmem(bytes, length, "\r\n\r\n", 4);
    if (!end)
        return 0;
    size_t head = (size_t)(end - bytes) + 4;
    long size = content_length(bytes, end);
    if (length < 12 || memcmp(bytes, "HTTP/1.1 200", 12) || size < 0) {
        char why[160];
        snprintf(why, sizeof why, "bad answer: %.*s", (int)(length < 130 ? length : 130), (const char *)bytes);
        client_end(c, why);
        return 0;
    }
    if (length < head + (size_t)size)
        return 0;
    answer(c, t, bytes + head, (size_t)size, at);  // one request at a time, so one answer
    return head + (size_t)size;
}

const transport polling = {open_polling, data, begin, finish};
