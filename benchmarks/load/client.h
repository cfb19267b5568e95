// Socket.IO client (protocol 5 on Engine.IO 4, main namespace), independent of the transport.
#pragma once
#include "clock.h"
#include "tcp.h"

typedef enum { NEW, OPENING, JOINING, UP, GONE } client_state;

typedef struct client client;

typedef struct {
    void (*open)(client *);  // the TCP connection is established
    size_t (*data)(tcp *, uint8_t *bytes, size_t length);
    uint8_t *(*begin)(client *, size_t length);  // returns where to write one packet of exactly this length
    void (*finish)(client *);                    // sends that packet
} transport;

extern const transport websocket, polling;

struct client {
    tcp main, post;  // `post` only in polling
    const transport *carrier;
    uint32_t index;
    client_state state;
    nanos started;
    bool probe;          // sends echos on a schedule, in addition to the workload
    uint32_t next_echo;  // numbers of: the next echo to send, the expected ack, the expected event
    uint32_t due_ack, due_event;
    nanos *sent;  // times of the echos in flight, by number modulo their window
    uint32_t room;
    bool joined;       // has joined its room
    bool upgraded;     // WebSocket
    char session[40];  // polling: id; a POST is in flight; packets that wait for the next
    bool posting;
    buffer waiting;
};

// Handlers of packets. Set by the scenario.
typedef struct {
    void (*event)(client *, const uint8_t *args, size_t length, nanos at);
    void (*ack)(client *, uint32_t id, const uint8_t *args, size_t length, nanos at);
} workload;

extern const workload *current_workload;

extern client *clients;
extern int clients_up, clients_started, clients_failed;
extern uint64_t pings;
extern bool leaving;  // closed connections are no longer faults

void client_start(client *c, const transport *carrier, unsigned source);
void client_leave(client *c);
void client_packet(client *c, const uint8_t *packet, size_t length, nanos at);
void client_end(client *c, const char *why);
void client_send(client *c, const char *text);
