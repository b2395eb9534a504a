#ifndef PAIL_CFUSE_H
#define PAIL_CFUSE_H
#define FUSE_USE_VERSION 314
#include <fuse_lowlevel.h>
#endif
