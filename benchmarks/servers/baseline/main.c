// Baseline: the least that a server on this kernel can do for the same traffic. One epoll loop in C that looks only at
// what it must and answers what the generator waits for. It checks nothing and serves no other purpose.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "session.h"

enum { ROOMS = 16384, PER_ROOM = 64, TURN = 1 << 16, MESSAGE = 65536 };
static const char UPGRADE[] =
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";  // for the generator's fixed key

static int rooms[ROOMS][PER_ROOM], room_size[ROOMS];
static int listener;
static uint8_t incoming[TURN + MESSAGE], answers[2 * (TURN + MESSAGE)];
static size_t answer_length;
static double ping_interval = 25;

static size_t frame(uint8_t *into, const char *head, size_t head_length, const uint8_t *tail, size_t tail_length)
{
    size_t length = head_length + tail_length, header = length < 126 ? 2 : 4;
    into[0] = 0x81;
    into[1] = length < 126 ? (uint8_t)length : 126;
    if (header == 4) {
        into[2] = (uint8_t)(length >> 8);
        into[3] = (uint8_t)length;
    }
    memcpy(into + header, head, head_length);
    memcpy(into + header + head_length, tail, tail_length);
    return header + length;
}

static void answer(const char *head, const uint8_t *tail, size_t tail_length)
{
    answer_length += frame(answers + answer_length, head, strlen(head), tail, tail_length);
}

static void fan_out(const int *to, int count, const char *head, const uint8_t *tail, size_t tail_length)
{
    static uint8_t message[MESSAGE + 64];
    size_t length = frame(message, head, strlen(head), tail, tail_length);
    for (int i = 0; i < count; i++)
        put(to[i], message, length);
}

// 42ID["echo",… 42["bcast",… 42ID["join","r000000"] 42["room","r000000",…
static void event(int fd, const uint8_t *text, size_t length)
{
    const uint8_t *args = memchr(text, '[', length), *end = text + length;
    if (!args || end - args < 12)
        return;
    char head[32];
    int room = atoi((const char *)args + 10) % ROOMS;
    switch (args[2]) {
    case 'e':
        snprintf(head, sizeof head, "43%.*s[", (int)(args - text), (const char *)text);
        answer(head, args + 8, (size_t)(end - args) - 8);
        break;
    case 'b': fan_out(members, member_count, "42", args, (size_t)(end - args)); break;
    case 'j':
        if (room_size[room] < PER_ROOM)
            rooms[room][room_size[room]++] = fd;
        snprintf(head, sizeof head, "43%.*s[", (int)(args - text), (const char *)text);
        answer(head, (const uint8_t *)"]", 1);
        break;
    case 'r': fan_out(rooms[room], room_size[room], "42[\"room\",", args + 18, (size_t)(end - args) - 18); break;
    }
}

static size_t upgrade(int fd, const uint8_t *bytes, size_t length)
{
    const uint8_t *end = memmem(bytes, length, "\r\n\r\n", 4);
    if (!end)
        return 0;
    if (!memmem(bytes, length, "Upgrade: websocket", 18)) {
        char page[200], body[80];
        int size = snprintf(body, sizeof body, "{\"sessions\": %d, \"clients\": %d, \"rooms\": 0}", sessions_open - 1,
                            member_count);
        size = snprintf(page, sizeof page, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", size, body);
        put(fd, (uint8_t *)page, (size_t)size);
        return (size_t)(end - bytes) + 4;
    }
    memcpy(answers, UPGRADE, sizeof UPGRADE - 1);
    answer_length = sizeof UPGRADE - 1;
    char open[120];
    snprintf(open, sizeof open, "0{\"sid\":\"baseline\",\"upgrades\":[],\"pingInterval\":%.0f,\"pingTimeout\":20000,",
             ping_interval * 1000);
    answer(open, (const uint8_t *)"\"maxPayload\":1000000}", 21);
    enlist(fd);
    return (size_t)(end - bytes) + 4;
}

static size_t take_frame(int fd, uint8_t *bytes, size_t length)
{
    if (length < 2)
        return 0;
    size_t size = bytes[1] & 127, header = size == 126 ? 8 : 6;
    if (length < header)
        return 0;
    if (size == 126)
        size = (size_t)bytes[2] << 8 | bytes[3];
    if (length < header + size)
        return 0;
    uint8_t *text = bytes + header, *mask = text - 4;
    for (size_t i = 0; i < size; i++)
        text[i] ^= mask[i & 3];
    if (size > 2 && text[1] == '2')
        event(fd, text + 2, size - 2);
    else if (size == 2 && text[1] == '0')
        answer("40", (const uint8_t *)"{\"sid\":\"baseline\"}", 18);
    return header + size;
}

static void readable(int fd)
{
    session *s = &sessions[fd];
    size_t before = s->unread_length, used = 0, step = 1;
    if (before)
        memcpy(incoming, s->unread, before);
    ssize_t got = recv(fd, incoming + before, TURN, 0);
    if (got <= 0) {
        if (got == 0 || errno != EAGAIN)
            leave(fd);
        return;
    }
    size_t length = before + (size_t)got;
    answer_length = 0;
    while (step && used < length)
        used += step = s->state == 2 ? take_frame(fd, incoming + used, length - used)
                                     : upgrade(fd, incoming + used, length - used);
    free(s->unread);
    s->unread = NULL;
    s->unread_length = 0;
    if (used < length)
        keep(&s->unread, &s->unread_length, incoming + used, length - used);
    if (answer_length)
        put(fd, answers, answer_length);
}

static void welcome(void)
{
    int one = 1, fd;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        if (fd >= FILES) {
            close(fd);
            continue;
        }
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        sessions[fd].state = 1;
        sessions_open++;
        watch(fd, EPOLL_CTL_ADD, EPOLLIN);
    }
}

static void start(int port)
{
    int one = 1;
    struct sockaddr_in here = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    poller = epoll_create1(EPOLL_CLOEXEC);
    watch(listener, EPOLL_CTL_ADD, EPOLLIN);
    if (bind(listener, (void *)&here, sizeof here) || listen(listener, 4096)) {
        perror("baseline_server");
        exit(1);
    }
}

static void handle(int fd, uint32_t events)
{
    if (fd == listener) {
        welcome();
        return;
    }
    if (events & EPOLLOUT)
        writable(fd);
    if (sessions[fd].state && (events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
        readable(fd);
}

int main(int count, char **words)
{
    const char *interval = getenv("BENCH_PING_INTERVAL");
    ping_interval = interval ? atof(interval) : 25;
    start(count > 1 ? atoi(words[1]) : 0);
    for (time_t pinged = time(NULL);;) {
        struct epoll_event events[1024];
        int some = epoll_wait(poller, events, 1024, 1000);
        for (int i = 0; i < some; i++)
            handle(events[i].data.fd, events[i].events);
        if ((double)(time(NULL) - pinged) >= ping_interval) {
            pinged = time(NULL);
            fan_out(members, member_count, "2", NULL, 0);
        }
    }
}
