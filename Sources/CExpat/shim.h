#ifndef PAIL_CEXPAT_H
#define PAIL_CEXPAT_H
#include <expat.h>
#endif
