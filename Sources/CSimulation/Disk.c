/* Definitions of an executable take the place of the C library's, for the program and for the libraries that it uses. */
#define _GNU_SOURCE
#include "CSimulation.h"
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static pail_disk_before before_call;
static pail_disk_after after_call;
static int inside;

void pail_observe_disk(pail_disk_before before, pail_disk_after after) {
    before_call = before;
    after_call = after;
}

int pail_look_away(int away) {
    int was = inside;
    inside = away;
    return was;
}

/* Whether nobody looks. */
static int is_hidden(void) { return !before_call || inside; }

static pail_disk_verdict before(const pail_disk_call *call) {
    inside = 1;
    pail_disk_verdict verdict = before_call(call);
    inside = 0;
    return verdict;
}

static void after(const pail_disk_call *call) {
    int saved = errno;
    inside = 1;
    after_call(call);
    inside = 0;
    errno = saved;
}

static long fail(int error) {
    errno = error;
    return -1;
}

/* Asks, calls and tells. */
#define OBSERVED(call, expression)                                \
    do {                                                          \
        pail_disk_verdict verdict = before(&(call));              \
        if (verdict.error) return (int)fail(verdict.error);       \
        long result = (expression);                               \
        if (result >= 0) after(&(call));                          \
        return (int)result;                                       \
    } while (0)

static int open_at(int directory, const char *path, int flags, mode_t mode) {
    if (is_hidden()) return (int)syscall(SYS_openat, directory, path, flags, mode);
    pail_disk_call call = {.operation = PAIL_DISK_OPEN, .path = path, .flags = flags, .descriptor = -1};
    pail_disk_verdict verdict = before(&call);
    if (verdict.error) return (int)fail(verdict.error);
    call.descriptor = (int)syscall(SYS_openat, directory, path, flags, mode);
    if (call.descriptor >= 0) after(&call);
    return call.descriptor;
}

#define OPEN(directory, path, flags)                                                       \
    va_list list;                                                                          \
    va_start(list, flags);                                                                 \
    mode_t mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(list, mode_t) : 0;              \
    va_end(list);                                                                          \
    return open_at(directory, path, flags, mode)

int open(const char *path, int flags, ...) { OPEN(AT_FDCWD, path, flags); }
int open64(const char *path, int flags, ...) { OPEN(AT_FDCWD, path, flags); }
int openat(int directory, const char *path, int flags, ...) { OPEN(directory, path, flags); }
int openat64(int directory, const char *path, int flags, ...) { OPEN(directory, path, flags); }

int close(int descriptor) {
    if (!is_hidden()) {
        pail_disk_call call = {.operation = PAIL_DISK_CLOSE, .descriptor = descriptor};
        after(&call);
    }
    return (int)syscall(SYS_close, descriptor);
}

ssize_t pwrite64(int descriptor, const void *bytes, size_t length, off64_t offset) {
    if (is_hidden()) return syscall(SYS_pwrite64, descriptor, bytes, length, offset);
    pail_disk_call call = {
        .operation = PAIL_DISK_WRITE, .descriptor = descriptor, .offset = offset, .length = (int64_t)length};
    pail_disk_verdict verdict = before(&call);
    if (verdict.error) {
        if (verdict.carriedOut > 0) syscall(SYS_pwrite64, descriptor, bytes, verdict.carriedOut, offset);
        return fail(verdict.error);
    }
    call.length = syscall(SYS_pwrite64, descriptor, bytes, length, offset);
    if (call.length >= 0) after(&call);
    return call.length;
}

ssize_t pwrite(int descriptor, const void *bytes, size_t length, off_t offset) {
    return pwrite64(descriptor, bytes, length, offset);
}

int ftruncate64(int descriptor, off64_t length) {
    if (is_hidden()) return (int)syscall(SYS_ftruncate, descriptor, length);
    pail_disk_call call = {.operation = PAIL_DISK_TRUNCATE, .descriptor = descriptor, .length = length};
    OBSERVED(call, syscall(SYS_ftruncate, descriptor, length));
}

int ftruncate(int descriptor, off_t length) { return ftruncate64(descriptor, length); }

int fallocate64(int descriptor, int mode, off64_t offset, off64_t length) {
    if (is_hidden()) return (int)syscall(SYS_fallocate, descriptor, mode, offset, length);
    pail_disk_call call = {
        .operation = PAIL_DISK_ALLOCATE, .descriptor = descriptor, .offset = offset, .length = length, .flags = mode};
    OBSERVED(call, syscall(SYS_fallocate, descriptor, mode, offset, length));
}

int fallocate(int descriptor, int mode, off_t offset, off_t length) {
    return fallocate64(descriptor, mode, offset, length);
}

int posix_fallocate64(int descriptor, off64_t offset, off64_t length) {
    return fallocate64(descriptor, 0, offset, length) == 0 ? 0 : errno;
}

int posix_fallocate(int descriptor, off_t offset, off_t length) { return posix_fallocate64(descriptor, offset, length); }

int fchmod(int descriptor, mode_t mode) {
    if (is_hidden()) return (int)syscall(SYS_fchmod, descriptor, mode);
    pail_disk_call call = {.operation = PAIL_DISK_MODE, .descriptor = descriptor, .flags = (int)mode};
    OBSERVED(call, syscall(SYS_fchmod, descriptor, mode));
}

static int sync_file(int descriptor, enum pail_disk_operation operation, long number) {
    if (is_hidden()) return (int)syscall(number, descriptor);
    pail_disk_call call = {.operation = operation, .descriptor = descriptor};
    OBSERVED(call, 0);
}

int fsync(int descriptor) { return sync_file(descriptor, PAIL_DISK_SYNC, SYS_fsync); }
int fdatasync(int descriptor) { return sync_file(descriptor, PAIL_DISK_SYNC_DATA, SYS_fdatasync); }

int msync(void *address, size_t length, int flags) {
    if (is_hidden()) return (int)syscall(SYS_msync, address, length, flags);
    pail_disk_call call = {.operation = PAIL_DISK_SYNC_MAP, .address = address, .length = (int64_t)length};
    OBSERVED(call, 0);
}

void *mmap(void *wanted, size_t length, int protection, int flags, int descriptor, off_t offset) {
    void *address = (void *)syscall(SYS_mmap, wanted, length, protection, flags, descriptor, offset);
    if (descriptor >= 0 && address != MAP_FAILED && !is_hidden()) {
        pail_disk_call call = {
            .operation = PAIL_DISK_MAP, .descriptor = descriptor, .address = address, .length = (int64_t)length};
        after(&call);
    }
    return address;
}

int rename(const char *path, const char *target) {
    if (is_hidden()) return (int)syscall(SYS_rename, path, target);
    pail_disk_call call = {.operation = PAIL_DISK_RENAME, .path = path, .target = target, .descriptor = -1};
    OBSERVED(call, syscall(SYS_rename, path, target));
}

// Paths are absolute where it is used.
int renameat2(int directory, const char *path, int target_directory, const char *target, unsigned flags) {
    if (is_hidden()) return (int)syscall(SYS_renameat2, directory, path, target_directory, target, flags);
    pail_disk_call call = {.operation = PAIL_DISK_RENAME, .path = path, .target = target, .descriptor = -1};
    OBSERVED(call, syscall(SYS_renameat2, directory, path, target_directory, target, flags));
}

int unlink(const char *path) {
    if (is_hidden()) return (int)syscall(SYS_unlink, path);
    pail_disk_call call = {.operation = PAIL_DISK_UNLINK, .path = path, .descriptor = -1};
    OBSERVED(call, syscall(SYS_unlink, path));
}

int mkdir(const char *path, mode_t mode) {
    if (is_hidden()) return (int)syscall(SYS_mkdir, path, mode);
    pail_disk_call call = {.operation = PAIL_DISK_MAKE_DIRECTORY, .path = path, .descriptor = -1};
    OBSERVED(call, syscall(SYS_mkdir, path, mode));
}
