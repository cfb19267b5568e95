#include "accounting.h"

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static int slurp(pid_t process, const char *name, char *into, size_t size)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", (int)process, name);
    FILE *file = fopen(path, "r");
    if (!file)
        return 0;
    size_t length = fread(into, 1, size - 1, file);
    fclose(file);
    into[length] = 0;
    return length > 0;
}

usage usage_of(pid_t process)
{
    usage found = {0};
    char text[1024], *after;
    unsigned long user = 0, system = 0;
    long size = 0, resident = 0;
    // The process name, in parentheses, may hold any characters: the fields begin after the last parenthesis.
    if (slurp(process, "stat", text, sizeof text) && (after = strrchr(text, ')')) &&
        sscanf(after + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system) == 2) {
        found.user = (double)user / (double)sysconf(_SC_CLK_TCK);
        found.system = (double)system / (double)sysconf(_SC_CLK_TCK);
    }
    if (slurp(process, "statm", text, sizeof text) && sscanf(text, "%ld %ld", &size, &resident) == 2)
        found.resident = resident * (sysconf(_SC_PAGESIZE) / 1024);
    return found;
}

double own_cpu(void)
{
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
           (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
}
