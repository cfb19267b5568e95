// Connections of the baseline server: unread input and unsent output.
#pragma once
#include <stddef.h>
#include <stdint.h>

enum { FILES = 65536 };

typedef struct {
    uint8_t *unread, *unsent;  // the rest of a frame; bytes that the kernel did not accept
    uint32_t unread_length, unsent_length;
    uint8_t state;  // 0 none, 1 HTTP, 2 WebSocket
} session;

extern session sessions[FILES];           // by file descriptor
extern int members[FILES], member_count;  // WebSockets
extern int poller, sessions_open;

void watch(int fd, int how, uint32_t what);
void put(int fd, const uint8_t *bytes, size_t length);
void keep(uint8_t **where, uint32_t *length, const uint8_t *bytes, size_t more);
void enlist(int fd);  // adds it to the WebSockets
void leave(int fd);
void writable(int fd);
