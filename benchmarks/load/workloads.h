// Workloads of the clients: acked echos, broadcasts, messages in rooms.
#pragma once
#include "client.h"

extern const workload echo, broadcast, rooms, silence;
extern bool issuing;  // an answer triggers the next message; when false, messages in flight finish

void echo_start(void);

void probes_start(void);
void probes_tick(nanos at);

void broadcast_start(void);
void broadcast_tick(nanos at);
void broadcast_check(void);  // checks that all clients have received all broadcasts

extern int rooms_joined;
void rooms_prepare(void);
void rooms_join(client *c);
void rooms_start(void);
void rooms_check(void);
