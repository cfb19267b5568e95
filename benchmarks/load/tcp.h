// Non-blocking TCP connections on one epoll. Data written during one turn is sent in one write.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
    uint8_t *bytes;
    size_t start, length, room;
} buffer;

typedef struct tcp tcp;
struct tcp {
    int fd;  // 0 = none
    bool connecting, watching_writes;
    buffer unread, unsent;
    void *owner;
    void (*on_open)(tcp *);
    size_t (*on_data)(tcp *, uint8_t *bytes, size_t length);  // returns the number of bytes consumed
    void (*on_end)(tcp *, const char *why);
};

void tcp_start(void);
bool tcp_connect(tcp *t, int port, unsigned source);  // from 127.0.0.source
void tcp_close(tcp *t);                               // does not call on_end

uint8_t *tcp_reserve(tcp *t, size_t length);  // space for bytes to send; valid until the next reservation for another
void tcp_flush(void);
int tcp_turn(int timeout);  // milliseconds; returns the number of events

void buffer_append(buffer *b, const void *bytes, size_t length);
void buffer_free(buffer *b);
