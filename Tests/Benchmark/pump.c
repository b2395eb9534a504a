// Carries packets between two TUN devices, each way late, some lost, no faster than a rate.
//   pump DESCRIPTOR DESCRIPTOR DELAY_MICROSECONDS LOST_PER_MILLION BYTES_PER_SECOND
// Ends with its parent.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

enum { slots = 1 << 15, largest = 1600, queue_microseconds = 100000 };

struct packet {
    int64_t due;
    int size;
    char bytes[largest];
};

struct way {
    int from, to;
    struct packet *ring;
    uint64_t head, tail, seed;
    int64_t line_free;
};

static int64_t delay, lost, rate;

static int64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000ll + t.tv_nsec;
}

static int is_lost(struct way *way) {
    way->seed ^= way->seed << 13;
    way->seed ^= way->seed >> 7;
    way->seed ^= way->seed << 17;
    return (int64_t)(way->seed % 1000000) < lost;
}

// Takes in what there is. What finds the line's queue or the ring full is lost, as in a router.
static void take(struct way *way) {
    for (int i = 0; i < 256; i++) {
        struct packet *packet = &way->ring[way->tail % slots];
        char rest[largest];
        int full = way->tail - way->head == slots;
        int size = read(way->from, full ? rest : packet->bytes, largest);
        if (size <= 0) return;
        int64_t begin = now();
        if (full || is_lost(way) || way->line_free - begin > queue_microseconds * 1000ll) continue;
        if (way->line_free < begin) way->line_free = begin;
        way->line_free += size * 1000000000ll / rate;
        packet->due = way->line_free + delay;
        packet->size = size;
        way->tail++;
    }
}

static void *carry(void *argument) {
    struct way *way = argument;
    prctl(PR_SET_TIMERSLACK, 1);
    for (;;) {
        struct timespec wait = {3600, 0};
        if (way->head != way->tail) {
            int64_t left = way->ring[way->head % slots].due - now();
            if (left < 0) left = 0;
            wait = (struct timespec){left / 1000000000, left % 1000000000};
        }
        struct pollfd source = {way->from, POLLIN, 0};
        if (ppoll(&source, 1, &wait, NULL) > 0) take(way);
        for (int64_t time = now(); way->head != way->tail; way->head++) {
            struct packet *packet = &way->ring[way->head % slots];
            if (packet->due > time) break;
            if (write(way->to, packet->bytes, packet->size) < 0 && errno == EBADF) exit(1);
        }
    }
}

int main(int argc, char **argv) {
    if (argc != 6) return 2;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    int a = atoi(argv[1]), b = atoi(argv[2]);
    delay = atoll(argv[3]) * 1000;
    lost = atoll(argv[4]);
    rate = atoll(argv[5]);
    fcntl(a, F_SETFL, O_NONBLOCK);
    fcntl(b, F_SETFL, O_NONBLOCK);
    struct way ways[2] = {{.from = a, .to = b, .seed = 1}, {.from = b, .to = a, .seed = 2}};
    pthread_t threads[2];
    for (int i = 0; i < 2; i++) {
        ways[i].ring = malloc(slots * sizeof(struct packet));
        if (!ways[i].ring || pthread_create(&threads[i], NULL, carry, &ways[i])) return 1;
    }
    pthread_join(threads[0], NULL);
    return 1;
}
