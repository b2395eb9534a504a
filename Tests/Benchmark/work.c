// The work that is measured, without an interpreter in the way. Prints seconds, one line a pass.
//   work read FILE PASSES            sequential, 1 MiB a call
//   work random FILE COUNT THREADS   4 KiB reads at random offsets, each thread with a descriptor of its own
//   work map FILE PASSES             a shared mapping, a word of each cache line
//   work write FILE MIB              a new file, 1 MiB a call, closed
//   work change FILE COUNT           4 KiB writes at random offsets, closed
//   work create DIRECTORY COUNT      new files of 4 KiB, each closed
//   work stat DIRECTORY              lists it, and stats each entry
//   work drop FILE                   its pages leave the kernel's cache, other files' stay
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { block = 1 << 20, page = 4096 };
static char *path;
static long count;
static void *prepared;

static void check(int good, const char *what) {
    if (good) return;
    fprintf(stderr, "work: %s: %s\n", what, strerror(errno));
    exit(1);
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

static uint64_t next(uint64_t *seed) {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    return *seed ^= *seed << 17;
}

static long size_of(int file) {
    struct stat s;
    check(fstat(file, &s) == 0, path);
    return s.st_size;
}

static int opened(int flags) {
    int file = open(path, flags, 0644);
    check(file >= 0, path);
    return file;
}

static void *some(long bytes) {
    uint64_t *buffer, seed = 88172645463325252ull ^ (uint64_t)getpid();
    check(posix_memalign((void **)&buffer, page, bytes) == 0, "memory");
    for (long i = 0; i < bytes / 8; i++) buffer[i] = next(&seed);
    return buffer;
}

static void read_whole(void) {
    int file = opened(O_RDONLY);
    char *buffer = some(block);
    long total = 0, got;
    while ((got = read(file, buffer, block)) > 0) total += got;
    check(got == 0, path);
    if (total != size_of(file)) errno = EIO, check(0, "read less than the file's size");
    close(file);
    free(buffer);
}

static void *read_random(void *number) {
    int file = opened(O_RDONLY);
    uint64_t seed = 0x9E3779B97F4A7C15ull * ((uintptr_t)number + 1);
    long pages = size_of(file) / page;
    char *buffer = some(page);
    for (long i = 0; i < count; i++)
        check(pread(file, buffer, page, (off_t)(next(&seed) % pages) * page) == page, path);
    close(file);
    free(buffer);
    return NULL;
}

static void read_mapped(void) {
    int file = opened(O_RDONLY);
    long size = size_of(file);
    volatile uint64_t sum = 0;
    uint64_t *words = mmap(NULL, size, PROT_READ, MAP_SHARED, file, 0), found = 0;
    check(words != MAP_FAILED, path);
    for (long i = 0; i < size / 8; i += 8) found += words[i];
    sum += found;
    munmap(words, size);
    close(file);
}

static void write_new(void) {
    int file = opened(O_WRONLY | O_CREAT | O_TRUNC);
    char *buffer = prepared;
    for (long i = 0; i < count; i++) {
        ((long *)buffer)[0] = i;  // No two blocks the same.
        check(write(file, buffer, block) == block, path);
    }
    check(close(file) == 0, path);
}

static void change(void) {
    int file = opened(O_RDWR);
    uint64_t seed = 0x9E3779B97F4A7C15ull;
    long pages = size_of(file) / page;
    char *buffer = some(page);
    for (long i = 0; i < count; i++)
        check(pwrite(file, buffer, page, (off_t)(next(&seed) % pages) * page) == page, path);
    check(close(file) == 0, path);
}

static void create(void) {
    char *buffer = some(page), name[4200];
    check(mkdir(path, 0755) == 0 || errno == EEXIST, path);
    for (long i = 0; i < count; i++) {
        snprintf(name, sizeof name, "%s/f%ld", path, i);
        int file = open(name, O_WRONLY | O_CREAT | O_EXCL, 0644);
        check(file >= 0, name);
        ((long *)buffer)[0] = i;
        check(write(file, buffer, page) == page, name);
        check(close(file) == 0, name);
    }
}

static void stat_all(void) {
    DIR *directory = opendir(path);
    check(directory != NULL, path);
    struct dirent *entry;
    struct stat s;
    while ((entry = readdir(directory)))
        check(fstatat(dirfd(directory), entry->d_name, &s, AT_SYMLINK_NOFOLLOW) == 0, entry->d_name);
    closedir(directory);
}

static void drop(void) {
    int file = opened(O_RDONLY);
    check(posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED) == 0, path);
    close(file);
}

static void random_threads(long threads) {
    pthread_t all[threads];
    for (long i = 0; i < threads; i++) check(pthread_create(&all[i], NULL, read_random, (void *)i) == 0, "thread");
    for (long i = 0; i < threads; i++) pthread_join(all[i], NULL);
}

static void timed(void (*body)(void), long passes) {
    for (long i = 0; i < passes; i++) {
        double begin = now();
        body();
        printf("%.9f\n", now() - begin);
    }
}

int main(int argc, char **argv) {
    if (argc < 3) return 2;
    const char *what = argv[1];
    path = argv[2];
    count = argc > 3 ? atol(argv[3]) : 1;
    if (!strcmp(what, "read")) timed(read_whole, count);
    else if (!strcmp(what, "map")) timed(read_mapped, count);
    else if (!strcmp(what, "write")) { prepared = some(block); timed(write_new, 1); }
    else if (!strcmp(what, "change")) timed(change, 1);
    else if (!strcmp(what, "create")) timed(create, 1);
    else if (!strcmp(what, "stat")) timed(stat_all, 1);
    else if (!strcmp(what, "drop")) drop();
    else if (!strcmp(what, "random")) {
        double begin = now();
        random_threads(argc > 4 ? atol(argv[4]) : 1);
        printf("%.9f\n", now() - begin);
    } else return 2;
    return 0;
}
