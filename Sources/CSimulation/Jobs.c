#include "CSimulation.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Swift's runtime: include/swift/Runtime/Concurrency.h and ABI/Executor.h of the toolchain's sources. */
#define SWIFT __attribute__((swiftcall))
typedef SWIFT void (*original_enqueue)(void *job);
extern SWIFT void (*swift_task_enqueueGlobal_hook)(void *job, original_enqueue original);
extern SWIFT void (*swift_task_enqueueMainExecutor_hook)(void *job, original_enqueue original);
SWIFT void swift_job_run(void *job, void *identity, uintptr_t implementation);

static void **jobs;
static size_t count, capacity;

static SWIFT void keep(void *job, original_enqueue original) {
    (void)original;
    if (count == capacity) {
        capacity = capacity ? 2 * capacity : 256;
        jobs = realloc(jobs, capacity * sizeof *jobs);
        if (!jobs) abort();
    }
    jobs[count++] = job;
}

void pail_take_jobs(void) {
    swift_task_enqueueGlobal_hook = keep;
    swift_task_enqueueMainExecutor_hook = keep;
}

size_t pail_job_count(void) { return count; }

void pail_run_job(size_t index) {
    void *job = jobs[index];
    memmove(jobs + index, jobs + index + 1, (--count - index) * sizeof *jobs);
    swift_job_run(job, NULL, 0);
}

int pail_execute(char *const *arguments) { return execv("/proc/self/exe", arguments); }
