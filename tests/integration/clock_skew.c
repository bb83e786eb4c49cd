/* LD_PRELOAD: the wall clock of a process goes $SKEW_S seconds wrong; with $SKEW_SLEPT, so much time has passed. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t id, struct timespec *now) {
    int failed = syscall(SYS_clock_gettime, id, now);
    const char *skew = getenv("SKEW_S");
    int moves = id == CLOCK_REALTIME || (id == CLOCK_BOOTTIME && getenv("SKEW_SLEPT") != NULL);
    if (!failed && moves && skew != NULL) now->tv_sec += atol(skew);
    return failed;
}
