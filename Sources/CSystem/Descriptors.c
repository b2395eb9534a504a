#define _GNU_SOURCE
#include "CSystem.h"
#include <string.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/uio.h>

enum { most = 16 };

int64_t pail_send_descriptors(int socket, const void *bytes, size_t size, const int *descriptors, int count) {
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(most * sizeof(int))];
    } control;
    if (count < 0 || count > most) return -1;
    struct iovec vector = {(void *)bytes, size};
    struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1};
    if (count > 0) {
        memset(&control, 0, sizeof control);
        message.msg_control = control.room;
        message.msg_controllen = CMSG_SPACE(count * sizeof(int));
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(count * sizeof(int));
        memcpy(CMSG_DATA(header), descriptors, count * sizeof(int));
    }
    return sendmsg(socket, &message, MSG_NOSIGNAL);
}

int64_t pail_receive_descriptors(int socket, void *bytes, size_t size, int *descriptors, int *count) {
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(most * sizeof(int))];
    } control;
    struct iovec vector = {bytes, size};
    struct msghdr message = {
        .msg_iov = &vector, .msg_iovlen = 1, .msg_control = control.room, .msg_controllen = sizeof control.room};
    int64_t received = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
    int room = *count;
    *count = 0;
    if (received < 0) return received;
    for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header; header = CMSG_NXTHDR(&message, header)) {
        if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
        int present = (int)((header->cmsg_len - CMSG_LEN(0)) / sizeof(int));
        if (present > room) present = room;
        memcpy(descriptors, CMSG_DATA(header), present * sizeof(int));
        *count = present;
    }
    return received;
}

int pail_signal_descriptor(const sigset_t *signals) { return signalfd(-1, signals, SFD_CLOEXEC | SFD_NONBLOCK); }

int pail_memory_file(const char *name) { return memfd_create(name, MFD_CLOEXEC); }
