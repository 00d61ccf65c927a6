/* Containers are told their share through cgroup files (v2, then v1), not through sysconf(). */
#include "server/machine.h"

#include <sched.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

/* Up to two numbers from the first line; "max" ends it. */
static int numbers_read(const char *path, double numbers[2])
{
    FILE *file = fopen(path, "re");
    int count = 0;

    if (!file)
        return 0;
    count = fscanf(file, "%lf %lf", &numbers[0], &numbers[1]);
    fclose(file);
    return count;
}

static double quota(void)
{
    double v2[2], v1[2], period[2];

    if (numbers_read("/sys/fs/cgroup/cpu.max", v2) == 2 && v2[1] > 0)
        return v2[0] / v2[1];
    if (numbers_read("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", v1) >= 1 && v1[0] > 0 &&
        numbers_read("/sys/fs/cgroup/cpu/cpu.cfs_period_us", period) >= 1 && period[0] > 0)
        return v1[0] / period[0];
    return 1e6;
}

int machine_cores(void)
{
    cpu_set_t set;
    int cores = sched_getaffinity(0, sizeof set, &set) ? (int)sysconf(_SC_NPROCESSORS_ONLN)
                                                       : CPU_COUNT(&set);
    double share = quota();

    if (share < cores)
        cores = (int)(share + 0.5);
    return cores < 1 ? 1 : cores;
}

size_t machine_memory(void)
{
    static const char *const paths[] = { "/sys/fs/cgroup/memory.max",
                                         "/sys/fs/cgroup/memory/memory.limit_in_bytes" };
    double memory = (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGESIZE), limit[2];

    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++)
        if (numbers_read(paths[i], limit) >= 1 && limit[0] > 0 && limit[0] < memory)
            memory = limit[0];
    return (size_t)memory;
}

size_t machine_files(size_t wanted)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit))
        return 1024;
    if (limit.rlim_cur < wanted) {
        limit.rlim_cur = limit.rlim_max < wanted ? limit.rlim_max : wanted;
        setrlimit(RLIMIT_NOFILE, &limit);
        getrlimit(RLIMIT_NOFILE, &limit);
    }
    return limit.rlim_cur;
}
