// WebSocket transport: a client of RFC 6455. Frames are masked with a key that is not zero.
#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>

#include "client.h"
#include "faults.h"
#include "options.h"

static const uint8_t MASK[4] = {0x5a, 0xc3, 0x17, 0x9e};
static const char KEY[] = "dGhlIHNhbXBsZSBub25jZQ==", ACCEPT[] = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";  // of the RFC
enum { TEXT = 1, CLOSE = 8, PING = 9, PONG = 10 };

static uint8_t *payload;
static size_t payload_length;

static void open_websocket(client *c)
{
    char request[300];
    int length = snprintf(request, sizeof request,
                          "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n"
                          "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: %s\r\n"
                          "Sec-WebSocket-Version: 13\r\n\r\n",
                          opt.port, KEY);
    memcpy(tcp_reserve(&c->main, (size_t)length), request, (size_t)length);
}

static uint8_t *begin_frame(client *c, int opcode, size_t length)
{
    size_t header = length < 126 ? 6 : 8;  // payloads stay below 64 KiB
    uint8_t *frame = tcp_reserve(&c->main, header + length);
    frame[0] = (uint8_t)(0x80 | opcode);
    if (length < 126) {
        frame[1] = (uint8_t)(0x80 | length);
    } else {
        frame[1] = 0x80 | 126;
        frame[2] = (uint8_t)(length >> 8);
        frame[3] = (uint8_t)length;
    }
    memcpy(frame + header - 4, MASK, 4);
    payload_length = length;
    return payload = frame + header;
}

static uint8_t *begin(client *c, size_t length)
{
    return begin_frame(c, TEXT, length);
}

static void finish(client *c)
{
    (void)c;
    for (size_t i = 0; i < payload_length; i++)
        payload[i] ^= MASK[i & 3];
}

static void pong(client *c, const uint8_t *bytes, size_t length)
{
    memcpy(begin_frame(c, PONG, length), bytes, length);
    finish(c);
}

// Returns the length of the response head; 0 = incomplete.
static size_t read_upgrade(client *c, const uint8_t *bytes, size_t length)
{
    const uint8_t *end = memmem(bytes, length, "\r\n\r\n", 4);
    if (!end)
        return 0;
    if (length < 12 || memcmp(bytes, "HTTP/1.1 101", 12) || !memmem(bytes, (size_t)(end - bytes), ACCEPT, 28)) {
        char why[120];
        snprintf(why, sizeof why, "no upgrade: %.*s", (int)(length < 90 ? length : 90), (const char *)bytes);
        client_end(c, why);
        return 0;
    }
    c->upgraded = true;
    return (size_t)(end - bytes) + 4;
}

// Returns the length of the frame; 0 = incomplete.
static size_t read_frame(client *c, const uint8_t *bytes, size_t length, nanos at)
{
    if (length < 2)
        return 0;
    size_t header = 2, size = bytes[1] & 127;
    if (size == 126) {
        if (length < 4)
            return 0;
        header = 4;
        size = (size_t)bytes[2] << 8 | bytes[3];
    }
    if (bytes[0] != (0x80 | TEXT) || bytes[1] > 126) {
        if (bytes[0] == (0x80 | CLOSE) || bytes[1] > 126 || (bytes[0] != (0x80 | PING) && bytes[0] != (0x80 | PONG))) {
            client_end(c, bytes[0] == (0x80 | CLOSE) ? "close frame" : "a frame that has no place here");
            return 0;
        }
    }
    if (length < header + size)
        return 0;
    if (bytes[0] == (0x80 | TEXT))
        client_packet(c, bytes + header, size, at);
    else if (bytes[0] == (0x80 | PING))
        pong(c, bytes + header, size);
    return header + size;
}

static size_t data(tcp *t, uint8_t *bytes, size_t length)
{
    client *c = t->owner;
    nanos at = now();
    size_t used = 0, step = 1;
    if (!c->upgraded)
        used = step = read_upgrade(c, bytes, length);
    while (step && c->state != GONE)
        used += step = read_frame(c, bytes + used, length - used, at);
    return used;
}

const transport websocket = {open_websocket, data, begin, finish};
