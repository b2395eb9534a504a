/* Small shims for system calls that Swift can't reach: variadic functions and macros. */
#ifndef PAIL_CSYSTEM_H
#define PAIL_CSYSTEM_H

#include <signal.h>
#include <stddef.h>
#include <stdint.h>

/* ioctl(2) is variadic. */
int pail_ioctl(int fd, unsigned long request, void *argument);
/* open(2) is variadic. */
int pail_open(const char *path, int flags, unsigned mode);
int pail_openat(int directory, const char *path, int flags, unsigned mode);
/* fcntl(2) is variadic. */
int pail_fcntl(int fd, int command, long argument);
/* glibc declares it under _GNU_SOURCE only. */
int pail_fallocate(int fd, int mode, int64_t offset, int64_t length);
int64_t pail_copy_file_range(int from, int64_t fromOffset, int to, int64_t toOffset, size_t length);
int pail_renameat2(int fromDirectory, const char *from, int toDirectory, const char *to, unsigned flags);
/* FICLONE: shares extents where the file system can; -1 with errno otherwise. */
int pail_clone(int to, int from);
/* Swift's Glibc module leaves <sys/xattr.h> out. */
int64_t pail_fgetxattr(int fd, const char *name, void *value, size_t size);
int pail_fsetxattr(int fd, const char *name, const void *value, size_t size, int flags);
int pail_fremovexattr(int fd, const char *name);
/* sync_file_range(2) with SYNC_FILE_RANGE_WRITE: has what is dirty written back, without waiting for the disk. */
int pail_write_back(int fd, int64_t offset, int64_t length);
/* nr_dirty of cachestat(2) for the whole file: pages in memory that are not being written back. -1 with errno. */
int64_t pail_dirty_pages(int fd);
/* f_type of fstatfs(2), -1 if that fails: Swift's Glibc module leaves <sys/vfs.h> out. */
int64_t pail_file_system_type(int fd);
/* Sets FS_TOPDIR_FL (ioctl_iflags(2)) on a directory: ext4 spreads the directories in it over the disk. -1 with errno. */
int pail_spread_directories(int fd);
/* Stores a word after all that was stored before it, so that who sees the word sees that, too. */
static inline void pail_publish(void *place, uint64_t word) { __atomic_store_n((uint64_t *)place, word, __ATOMIC_RELEASE); }
/* CRC-32C (Castagnoli, RFC 3720 appendix B.4), by the processor's instruction where it has one; `crc` is 0 to start. */
uint32_t pail_crc32c(uint32_t crc, const void *bytes, size_t count);

/* sendmsg(2) and recvmsg(2) with descriptors, at most 16, in a message of SCM_RIGHTS (unix(7)), whose macros Swift can't
 * reach. `count` is the room for descriptors, and then how many came; those close on exec. */
int64_t pail_send_descriptors(int socket, const void *bytes, size_t size, const int *descriptors, int count);
int64_t pail_receive_descriptors(int socket, void *bytes, size_t size, int *descriptors, int *count);
/* signalfd(2), not blocking: Swift's Glibc module leaves <sys/signalfd.h> out. */
int pail_signal_descriptor(const sigset_t *signals);
/* memfd_create(2): glibc declares it under _GNU_SOURCE only. */
int pail_memory_file(const char *name);

#endif
