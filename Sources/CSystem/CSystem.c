#define _GNU_SOURCE
#define _FILE_OFFSET_BITS 64
#include "CSystem.h"
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <unistd.h>

int pail_ioctl(int fd, unsigned long request, void *argument) { return ioctl(fd, request, argument); }

int pail_open(const char *path, int flags, unsigned mode) { return open(path, flags, mode); }

int pail_openat(int directory, const char *path, int flags, unsigned mode) {
    return openat(directory, path, flags, mode);
}

int pail_fcntl(int fd, int command, long argument) { return fcntl(fd, command, argument); }

int pail_fallocate(int fd, int mode, int64_t offset, int64_t length) { return fallocate(fd, mode, offset, length); }

int64_t pail_copy_file_range(int from, int64_t fromOffset, int to, int64_t toOffset, size_t length) {
    off_t source = fromOffset, target = toOffset;
    return copy_file_range(from, &source, to, &target, length, 0);
}

int pail_renameat2(int fromDirectory, const char *from, int toDirectory, const char *to, unsigned flags) {
    return renameat2(fromDirectory, from, toDirectory, to, flags);
}

int pail_clone(int to, int from) { return ioctl(to, FICLONE, from); }

int64_t pail_fgetxattr(int fd, const char *name, void *value, size_t size) { return fgetxattr(fd, name, value, size); }

int pail_fsetxattr(int fd, const char *name, const void *value, size_t size, int flags) {
    return fsetxattr(fd, name, value, size, flags);
}

int pail_fremovexattr(int fd, const char *name) { return fremovexattr(fd, name); }

int pail_write_back(int fd, int64_t offset, int64_t length) {
    return sync_file_range(fd, offset, length, SYNC_FILE_RANGE_WRITE);
}

int64_t pail_dirty_pages(int fd) {
    /* Linux 6.5; the number is the same on all architectures. Later than the headers of Debian 12. */
    enum { cachestat = 451 };
    struct { uint64_t offset, length; } range = {0, 0};
    struct { uint64_t cached, dirty, writeback, evicted, recentlyEvicted; } found;
    return syscall(cachestat, fd, &range, &found, 0) == 0 ? (int64_t)found.dirty : -1;
}

int64_t pail_file_system_type(int fd) {
    struct statfs status;
    return fstatfs(fd, &status) == 0 ? (int64_t)status.f_type : -1;
}

int pail_spread_directories(int fd) {
    int flags = 0;
    if (ioctl(fd, FS_IOC_GETFLAGS, &flags) != 0) return -1;
    flags |= FS_TOPDIR_FL;
    return ioctl(fd, FS_IOC_SETFLAGS, &flags);
}

static uint32_t table[8][256];

__attribute__((constructor)) static void make_table(void) {
    for (uint32_t byte = 0; byte < 256; byte++) {
        uint32_t crc = byte;
        for (int bit = 0; bit < 8; bit++) crc = (crc >> 1) ^ (crc & 1 ? 0x82F63B78u : 0);
        table[0][byte] = crc;
    }
    for (uint32_t byte = 0; byte < 256; byte++)
        for (int slice = 1; slice < 8; slice++)
            table[slice][byte] = (table[slice - 1][byte] >> 8) ^ table[0][table[slice - 1][byte] & 0xFF];
}

static uint32_t crc_by_table(uint32_t crc, const unsigned char *bytes, size_t count) {
    while (count >= 8) {
        uint64_t word;
        __builtin_memcpy(&word, bytes, 8);
        word ^= crc;
        crc = 0;
        for (int slice = 0; slice < 8; slice++) crc ^= table[7 - slice][(word >> (8 * slice)) & 0xFF];
        bytes += 8;
        count -= 8;
    }
    while (count--) crc = (crc >> 8) ^ table[0][(crc ^ *bytes++) & 0xFF];
    return crc;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) static uint32_t crc_by_instruction(
    uint32_t crc, const unsigned char *bytes, size_t count) {
    uint64_t wide = crc;
    while (count >= 8) {
        uint64_t word;
        __builtin_memcpy(&word, bytes, 8);
        wide = __builtin_ia32_crc32di(wide, word);
        bytes += 8;
        count -= 8;
    }
    crc = (uint32_t)wide;
    while (count--) crc = __builtin_ia32_crc32qi(crc, *bytes++);
    return crc;
}
#endif

uint32_t pail_crc32c(uint32_t crc, const void *bytes, size_t count) {
    crc = ~crc;
#if defined(__x86_64__)
    if (__builtin_cpu_supports("sse4.2")) return ~crc_by_instruction(crc, bytes, count);
#endif
    return ~crc_by_table(crc, bytes, count);
}
