/* libfuse3's low-level interface, and what Swift can't reach of it. Every libfuse call that a later version turns into
 * a macro or an inline function has a shim, so that moving to that version is a relink. */
#ifndef PAIL_CFUSE_H
#define PAIL_CFUSE_H
#define FUSE_USE_VERSION 314
#include <fuse_lowlevel.h>
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/sysmacros.h>

/* The kernel's side of the protocol (linux/fuse.h, version 7.40), where libfuse 3.14 shows too little of it. */
struct pail_in_header {
    uint32_t len, opcode;
    uint64_t unique, nodeid;
    uint32_t uid, gid, pid;
    uint16_t total_extlen, padding;
};
struct pail_out_header {
    uint32_t len;
    int32_t error;
    uint64_t unique;
};
struct pail_init_in {
    uint32_t major, minor, max_readahead, flags, flags2, unused[11];
};
struct pail_init_out {
    uint32_t major, minor, max_readahead, flags;
    uint16_t max_background, congestion_threshold;
    uint32_t max_write, time_gran;
    uint16_t max_pages, map_alignment;
    uint32_t flags2, max_stack_depth;
    uint16_t request_timeout, unused[11];
};
struct pail_create_in {
    uint32_t flags, mode, umask, open_flags;
};
struct pail_write_in {
    uint64_t fh, offset;
    uint32_t size, write_flags;
    uint64_t lock_owner;
    uint32_t flags, padding;
};
struct pail_open_out {
    uint64_t fh;
    uint32_t open_flags;
    int32_t backing_id;
};
struct pail_attr {
    uint64_t ino, size, blocks, atime, mtime, ctime;
    uint32_t atimensec, mtimensec, ctimensec, mode, nlink, uid, gid, rdev, blksize, flags;
};
struct pail_entry_out {
    uint64_t nodeid, generation, entry_valid, attr_valid;
    uint32_t entry_valid_nsec, attr_valid_nsec;
    struct pail_attr attr;
};
struct pail_create_out {
    struct pail_entry_out entry;
    struct pail_open_out open;
};
struct pail_backing_map {
    int32_t fd;
    uint32_t flags;
    uint64_t padding;
};
_Static_assert(sizeof(struct pail_backing_map) == 16, "fuse_backing_map");
_Static_assert(sizeof(struct pail_in_header) == 40, "fuse_in_header");
_Static_assert(sizeof(struct pail_init_out) == 64, "fuse_init_out");
_Static_assert(sizeof(struct pail_create_out) == 144, "fuse_create_out");

/* A macro over fuse_session_new_versioned from libfuse 3.17 on. */
static inline struct fuse_session *pail_session_new(
    struct fuse_args *arguments, const struct fuse_lowlevel_ops *operations, void *user) {
    return fuse_session_new(arguments, operations, sizeof *operations, user);
}

/* `name` is `length` bytes without a NUL, which libfuse wants. Returns the bytes needed; more than `capacity` means that
 * nothing was written, and 0 that the name is too long for the kernel. */
static inline size_t pail_add_entry(
    fuse_req_t request, char *buffer, size_t capacity, const void *name, size_t length, uint64_t node, uint32_t type,
    uint64_t next) {
    char text[256];
    if (length >= sizeof text) return 0;
    memcpy(text, name, length);
    text[length] = 0;
    struct stat attributes;
    memset(&attributes, 0, sizeof attributes);
    attributes.st_ino = node;
    attributes.st_mode = type;
    return fuse_add_direntry(request, buffer, capacity, text, &attributes, (off_t)next);
}

static inline size_t pail_add_entry_plus(
    fuse_req_t request, char *buffer, size_t capacity, const void *name, size_t length,
    const struct fuse_entry_param *entry, uint64_t next) {
    char text[256];
    if (length >= sizeof text) return 0;
    memcpy(text, name, length);
    text[length] = 0;
    return fuse_add_direntry_plus(request, buffer, capacity, text, entry, (off_t)next);
}

/* Macros. */
static inline unsigned pail_major(dev_t device) { return major(device); }
static inline unsigned pail_minor(dev_t device) { return minor(device); }
#endif
