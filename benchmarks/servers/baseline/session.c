#include "session.h"

#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

session sessions[FILES];
int members[FILES], member_count;
int poller, sessions_open;
static int member_of[FILES];  // the index of each among the members

void watch(int fd, int how, uint32_t what)
{
    struct epoll_event wanted = {.events = what, .data.fd = fd};
    epoll_ctl(poller, how, fd, &wanted);
}

void enlist(int fd)
{
    sessions[fd].state = 2;
    member_of[fd] = member_count;
    members[member_count++] = fd;
}

void leave(int fd)
{
    session *s = &sessions[fd];
    if (s->state == 2) {
        int last = members[--member_count];
        members[member_of[fd]] = last;
        member_of[last] = member_of[fd];
    }
    sessions_open -= s->state != 0;
    free(s->unread);
    free(s->unsent);
    *s = (session){0};
    close(fd);
}

void keep(uint8_t **where, uint32_t *length, const uint8_t *bytes, size_t more)
{
    if (!(*where = realloc(*where, *length + more)))
        abort();
    memcpy(*where + *length, bytes, more);
    *length += (uint32_t)more;
}

void put(int fd, const uint8_t *bytes, size_t length)
{
    session *s = &sessions[fd];
    ssize_t sent = s->unsent_length ? 0 : send(fd, bytes, length, MSG_NOSIGNAL);
    if (sent == (ssize_t)length)
        return;
    if (sent < 0)
        sent = 0;  // a closed connection is detected when it is read
    keep(&s->unsent, &s->unsent_length, bytes + sent, length - (size_t)sent);
    watch(fd, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
}

void writable(int fd)
{
    session *s = &sessions[fd];
    ssize_t sent = send(fd, s->unsent, s->unsent_length, MSG_NOSIGNAL);
    if (sent < (ssize_t)s->unsent_length) {
        s->unsent_length -= sent > 0 ? (uint32_t)sent : 0;
        memmove(s->unsent, s->unsent + (sent > 0 ? sent : 0), s->unsent_length);
        return;
    }
    s->unsent_length = 0;
    free(s->unsent);
    s->unsent = NULL;
    watch(fd, EPOLL_CTL_MOD, EPOLLIN);
}
