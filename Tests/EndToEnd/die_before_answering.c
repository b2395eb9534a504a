/* For LD_PRELOAD: the daemon dies right before an answer to the kernel, when what was asked for is done already. It has
 * served for more than a second then, and the answer is one of the next few, by chance. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static struct timespec begin;
static int left;

__attribute__((constructor)) static void start(void) {
    clock_gettime(CLOCK_MONOTONIC, &begin);
    left = (int)(begin.tv_nsec / 1000 % 30);
}

ssize_t writev(int descriptor, const struct iovec *parts, int count) {
    static ssize_t (*real)(int, const struct iovec *, int);
    if (!real) real = (ssize_t(*)(int, const struct iovec *, int))dlsym(RTLD_NEXT, "writev");
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    if ((now.tv_sec - begin.tv_sec) * 1000 + (now.tv_nsec - begin.tv_nsec) / 1000000 > 1300) {
        char path[64] = "", link[64];
        snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
        ssize_t length = readlink(link, path, sizeof path - 1);
        if (length > 0 && strcmp(path, "/dev/fuse") == 0 && __sync_fetch_and_sub(&left, 1) == 0) raise(SIGKILL);
    }
    return real(descriptor, parts, count);
}
