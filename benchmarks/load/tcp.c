#define _GNU_SOURCE
#include "tcp.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef IP_BIND_ADDRESS_NO_PORT
#define IP_BIND_ADDRESS_NO_PORT 24
#endif

enum { TURN_BYTES = 1 << 20, TURN_EVENTS = 1024 };

static int poller;
static uint8_t incoming[TURN_BYTES];
static uint8_t outgoing[TURN_BYTES];
static size_t outgoing_length;
static tcp *outgoing_to;  // the connection whose bytes are in `outgoing`

void buffer_append(buffer *b, const void *bytes, size_t length)
{
    if (b->start + b->length + length > b->room) {
        memmove(b->bytes, b->bytes + b->start, b->length);
        b->start = 0;
        if (b->length + length > b->room) {
            b->room = (b->length + length) * 2;
            b->bytes = realloc(b->bytes, b->room);
            if (!b->bytes)
                abort();
        }
    }
    memcpy(b->bytes + b->start + b->length, bytes, length);
    b->length += length;
}

void buffer_free(buffer *b)
{
    free(b->bytes);
    *b = (buffer){0};
}

void tcp_start(void)
{
    signal(SIGPIPE, SIG_IGN);
    poller = epoll_create1(EPOLL_CLOEXEC);
}

static void watch(tcp *t, int how, bool writes)
{
    struct epoll_event wanted = {.events = EPOLLIN | (writes ? EPOLLOUT : 0u), .data.ptr = t};
    epoll_ctl(poller, how, t->fd, &wanted);
    t->watching_writes = writes;
}

static struct sockaddr_in address(uint32_t host, int port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(host)};
}

bool tcp_connect(tcp *t, int port, unsigned source)
{
    int one = 1;
    struct sockaddr_in from = address(0x7f000000u + source, 0), to = address(0x7f000001u, port);
    t->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (t->fd < 0) {
        t->fd = 0;
        return false;
    }
    setsockopt(t->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    // The port is chosen at connect, so that each source address has all of them for each server.
    setsockopt(t->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
    if (bind(t->fd, (void *)&from, sizeof from) < 0 ||
        (connect(t->fd, (void *)&to, sizeof to) < 0 && errno != EINPROGRESS)) {
        tcp_close(t);
        return false;
    }
    t->connecting = true;
    watch(t, EPOLL_CTL_ADD, true);
    return true;
}

void tcp_close(tcp *t)
{
    if (!t->fd)
        return;
    if (outgoing_to == t)
        outgoing_length = 0;
    close(t->fd);
    t->fd = 0;
    t->connecting = false;
    buffer_free(&t->unread);
    buffer_free(&t->unsent);
}

static void end(tcp *t, const char *why)
{
    tcp_close(t);
    t->on_end(t, why);
}

static void put(tcp *t, const uint8_t *bytes, size_t length)
{
    if (!t->fd)
        return;
    if (!t->unsent.length) {
        ssize_t sent = send(t->fd, bytes, length, MSG_NOSIGNAL);
        if (sent == (ssize_t)length)
            return;
        if (sent < 0 && errno != EAGAIN) {
            end(t, strerror(errno));
            return;
        }
        if (sent > 0) {
            bytes += sent;
            length -= (size_t)sent;
        }
    }
    buffer_append(&t->unsent, bytes, length);
    if (!t->watching_writes)
        watch(t, EPOLL_CTL_MOD, true);
}

void tcp_flush(void)
{
    size_t length = outgoing_length;
    outgoing_length = 0;
    if (length)
        put(outgoing_to, outgoing, length);
}

uint8_t *tcp_reserve(tcp *t, size_t length)
{
    if (outgoing_to != t || outgoing_length + length > TURN_BYTES)
        tcp_flush();
    outgoing_to = t;
    uint8_t *here = outgoing + outgoing_length;
    outgoing_length += length;
    return here;
}

static void readable(tcp *t)
{
    size_t before = t->unread.length;
    memcpy(incoming, t->unread.bytes ? t->unread.bytes + t->unread.start : incoming, before);
    t->unread.length = t->unread.start = 0;
    ssize_t got = recv(t->fd, incoming + before, TURN_BYTES - before, 0);
    if (got == 0 || (got < 0 && errno != EAGAIN)) {
        end(t, got ? strerror(errno) : "end of stream");
        return;
    }
    size_t length = before + (got > 0 ? (size_t)got : 0);
    size_t used = t->on_data(t, incoming, length);
    if (t->fd && used < length)
        buffer_append(&t->unread, incoming + used, length - used);
    if (t->fd && length - used >= TURN_BYTES)
        end(t, "a message larger than this generator takes");
    tcp_flush();
}

static void writable(tcp *t)
{
    if (t->connecting) {
        int error = 0;
        socklen_t size = sizeof error;
        getsockopt(t->fd, SOL_SOCKET, SO_ERROR, &error, &size);
        if (error) {
            end(t, strerror(error));
            return;
        }
        t->connecting = false;
        watch(t, EPOLL_CTL_MOD, false);
        t->on_open(t);
        tcp_flush();
        return;
    }
    ssize_t sent = send(t->fd, t->unsent.bytes + t->unsent.start, t->unsent.length, MSG_NOSIGNAL);
    if (sent < 0) {
        if (errno != EAGAIN)
            end(t, strerror(errno));
        return;
    }
    t->unsent.start += (size_t)sent;
    t->unsent.length -= (size_t)sent;
    if (!t->unsent.length)
        watch(t, EPOLL_CTL_MOD, false);
}

int tcp_turn(int timeout)
{
    static struct epoll_event events[TURN_EVENTS];
    int count = epoll_wait(poller, events, TURN_EVENTS, timeout);
    for (int i = 0; i < count; i++) {
        tcp *t = events[i].data.ptr;
        if (t->fd && (events[i].events & EPOLLOUT))
            writable(t);
        if (t->fd && !t->connecting && (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
            readable(t);
    }
    return count > 0 ? count : 0;
}
