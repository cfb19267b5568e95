#include "faults.h"

#include <stdarg.h>
#include <stdio.h>

fault_counts faults;
char first_fault[256];

void fault(uint64_t *kind, const char *text, ...)
{
    ++*kind;
    if (first_fault[0])
        return;
    va_list words;
    va_start(words, text);
    vsnprintf(first_fault, sizeof first_fault, text, words);
    va_end(words);
    for (char *p = first_fault; *p; p++)  // no escapes are needed in JSON
        if (*p == '"' || *p == '\\' || (unsigned char)*p < 32 || (unsigned char)*p > 126)
            *p = '\'';
}

uint64_t fault_total(void)
{
    return faults.missing + faults.repeated + faults.corrupt + faults.unexpected + faults.closed + faults.refused +
           faults.protocol;
}

bool in_sequence(uint32_t *expected, uint32_t got, uint32_t client)
{
    if (got < *expected) {
        fault(&faults.repeated, "client %u: %u came again or late, %u was due", client, got, *expected);
        return false;
    }
    if (got > *expected) {
        fault(&faults.missing, "client %u: %u came, %u was due", client, got, *expected);
        faults.missing += got - *expected - 1;
    }
    *expected = got + 1;
    return true;
}
