// Resource usage of a process, as accounted by the kernel.
#pragma once
#include <sys/types.h>

typedef struct {
    double user, system;  // seconds of CPU, of all threads
    long resident;        // KiB
} usage;

usage usage_of(pid_t process);
double own_cpu(void);
static inline double cpu(usage u)
{
    return u.user + u.system;
}
