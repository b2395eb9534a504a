/* Counts what a thread allocates: a program that links this has these definitions of malloc(3) and its kin in place of
 * glibc's, which they call. */
#ifndef PAIL_CALLOCATIONS_H
#define PAIL_CALLOCATIONS_H

#include <stdint.h>

/* Allocations of the calling thread from now on. */
void pail_count_allocations(void);
/* Ends counting, and gives how many there were: malloc, calloc, realloc and the aligned ones. */
uint64_t pail_counted_allocations(void);

#endif
