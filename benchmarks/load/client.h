// A Socket.IO client (protocol 5 on Engine.IO 4, main namespace), whatever carries its packets.
#pragma once
#include "clock.h"
#include "tcp.h"

typedef enum { NEW, OPENING, JOINING, UP, GONE } client_state;

typedef struct client client;

typedef struct {
    void (*open)(client *);  // the TCP connection stands
    size_t (*data)(tcp *, uint8_t *bytes, size_t length);
    uint8_t *(*begin)(client *, size_t length);  // where to write one packet of exactly this length…
    void (*finish)(client *);                    // …which is then on its way
} transport;

extern const transport websocket, polling;

struct client {
    tcp main, post;  // `post` only in polling
    const transport *carrier;
    uint32_t index;
    client_state state;
    nanos started;
    bool probe;          // sends echos beside the workload, on a schedule
    uint32_t next_echo;  // numbers: of the next echo to send, of the ack that is due, of the event that is due
    uint32_t due_ack, due_event;
    nanos *sent;  // times of the echos under way, by number modulo their window
    uint32_t room;
    bool joined;       // its room
    bool upgraded;     // WebSocket
    char session[40];  // polling: id; a POST is under way; packets that wait for the next
    bool posting;
    buffer waiting;
};

// What becomes of packets. Set by the scenario.
typedef struct {
    void (*event)(client *, const uint8_t *args, size_t length, nanos at);
    void (*ack)(client *, uint32_t id, const uint8_t *args, size_t length, nanos at);
} workload;

extern const workload *current_workload;

extern client *clients;
extern int clients_up, clients_started, clients_failed;
extern uint64_t pings;
extern bool leaving;  // connections that end are no fault any more

void client_start(client *c, const transport *carrier, unsigned source);
void client_leave(client *c);
void client_packet(client *c, const uint8_t *packet, size_t length, nanos at);
void client_end(client *c, const char *why);
void client_send(client *c, const char *text);
