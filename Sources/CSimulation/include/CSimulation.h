/* What the simulation takes over: the runtime's queue of jobs, and the C library's calls that change the disk.
   Only for a program with one thread. */
#ifndef PAIL_CSIMULATION_H
#define PAIL_CSIMULATION_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* From now on the runtime's jobs wait here until they are run. */
void pail_take_jobs(void);
/* How many wait, in the order in which they came. */
size_t pail_job_count(void);
/* Takes the job at this place out and runs it. */
void pail_run_job(size_t index);

enum pail_disk_operation {
    PAIL_DISK_OPEN,
    PAIL_DISK_CLOSE,
    PAIL_DISK_WRITE,
    PAIL_DISK_TRUNCATE,
    PAIL_DISK_ALLOCATE,
    PAIL_DISK_MODE,
    PAIL_DISK_SYNC,
    PAIL_DISK_SYNC_DATA,
    PAIL_DISK_SYNC_MAP,
    PAIL_DISK_MAP,
    PAIL_DISK_RENAME,
    PAIL_DISK_UNLINK,
    PAIL_DISK_MAKE_DIRECTORY
};

typedef struct {
    enum pail_disk_operation operation;
    int descriptor;
    int flags;
    const char *path;
    /* rename: the new name. */
    const char *target;
    int64_t offset;
    int64_t length;
    const void *address;
} pail_disk_call;

/* What becomes of a call. */
typedef struct {
    /* 0: it is carried out; else it fails with this. */
    int error;
    /* A write that fails: so many of its bytes are written before. */
    int64_t carriedOut;
} pail_disk_verdict;

/* Asked before each call, and told after each that succeeded (open: with the new descriptor; map: with the address).
   Calls made inside of them are not shown. Syncs of the observed are not carried out: the observer is the disk. */
typedef pail_disk_verdict (*pail_disk_before)(const pail_disk_call *call);
typedef void (*pail_disk_after)(const pail_disk_call *call);
void pail_observe_disk(pail_disk_before before, pail_disk_after after);
/* While 1, calls are not shown. Returns what it was. */
int pail_look_away(int away);

/* Variadic or hidden in Swift's Glibc. */
int pail_execute(char *const *arguments);

#endif
