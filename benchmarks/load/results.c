#include "results.h"

#include <stdio.h>

#include "client.h"
#include "faults.h"
#include "options.h"

histogram latency, completion, probe_latency, connecting;
uint64_t issued, received, measured;
bool measuring;
window_figures window;
wave waves[WAVES_MAX];
int wave_count;
double connect_seconds, connect_cpu;
long resident_before, resident_up;

void window_open(void)
{
    window.server_from = usage_of(opt.pid);
    window.own_from = own_cpu();
    window.idle = 0;
    window.from = now();
    measuring = true;
}

void window_close(void)
{
    measuring = false;
    window.to = now();
    window.server_to = usage_of(opt.pid);
    window.own_to = own_cpu();
}

void delivered(nanos sent, nanos at)
{
    received++;
    if (measuring) {
        measured++;
        histogram_add(&latency, at - sent);
    }
}

static double ratio(double a, double b)
{
    return b > 0 ? a / b : 0;
}

static void write_latency(const char *name, const histogram *h)
{
    printf("\"%s\":{\"count\":%lu,\"mean\":%.4f", name, (unsigned long)h->count,
           ratio((double)h->sum, (double)h->count) / 1e6);
    static const struct {
        const char *name;
        double q;
    } QUANTILES[] = {{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p999", 0.999}};
    for (int i = 0; i < 4; i++)
        printf(",\"%s\":%.4f", QUANTILES[i].name, histogram_quantile(h, QUANTILES[i].q) / 1e6);
    printf(",\"max\":%.4f},", (double)h->max / 1e6);
}

static void write_window(void)
{
    double length = (double)(window.to - window.from) / 1e9, count = (double)measured;
    double user = window.server_to.user - window.server_from.user;
    double system = window.server_to.system - window.server_from.system;
    printf("\"seconds\":%.3f,\"messages\":%lu,\"per_second\":%.1f,", length, (unsigned long)measured,
           ratio(count, length));
    printf("\"cpu_us\":%.4f,\"cpu_user_us\":%.4f,\"cpu_percent\":%.3f,", ratio((user + system) * 1e6, count),
           ratio(user * 1e6, count), ratio(100 * (user + system), length));
    printf("\"generator_busy_percent\":%.1f,\"generator_cpu_percent\":%.1f,",
           length > 0 ? 100 - ratio((double)window.idle / 1e7, length) : 0,
           ratio(100 * (window.own_to - window.own_from), length));
}

static void write_waves(void)
{
    printf("\"waves\":[");
    for (int i = 0; i < wave_count; i++) {
        const wave *w = &waves[i];
        printf("%s{\"clients\":%d,\"connects_per_second\":%.1f,\"connect_us\":%.2f,\"leave_us\":%.2f,"
               "\"leave_seconds\":%.2f,\"peak_kib\":%ld,\"after_kib\":%ld}",
               i ? "," : "", w->clients, ratio(w->clients, w->connect_seconds), ratio(w->connect_cpu * 1e6, w->clients),
               ratio(w->leave_cpu * 1e6, w->clients), w->leave_seconds, w->peak, w->after);
    }
    printf("],");
}

int write_results(void)
{
    bool ok = fault_total() == 0;
    int all = opt.clients + opt.probes;
    printf("{\"ok\":%s,\"first_fault\":\"%s\",\"mode\":\"%s\",\"clients\":%d,", ok ? "true" : "false", first_fault,
           opt.mode, all);
    write_window();
    write_latency("latency_ms", &latency);
    write_latency("complete_ms", &completion);
    write_latency("probe_ms", &probe_latency);
    write_latency("connect_ms", &connecting);
    write_waves();
    printf("\"connects_per_second\":%.1f,\"connect_cpu_us\":%.2f,", ratio(all, connect_seconds),
           ratio(connect_cpu * 1e6, all));
    printf("\"resident_before_kib\":%ld,\"resident_up_kib\":%ld,\"resident_per_client_kib\":%.3f,\"pings\":%lu,",
           resident_before, resident_up, ratio((double)(resident_up - resident_before), all), (unsigned long)pings);
    printf("\"issued\":%lu,\"received\":%lu,\"faults\":{\"missing\":%lu,\"repeated\":%lu,\"corrupt\":%lu,"
           "\"unexpected\":%lu,\"closed\":%lu,\"refused\":%lu,\"protocol\":%lu}}\n",
           (unsigned long)issued, (unsigned long)received, (unsigned long)faults.missing,
           (unsigned long)faults.repeated, (unsigned long)faults.corrupt, (unsigned long)faults.unexpected,
           (unsigned long)faults.closed, (unsigned long)faults.refused, (unsigned long)faults.protocol);
    return ok ? 0 : 1;
}
