#ifndef PAIL_CSQLITE_H
#define PAIL_CSQLITE_H
#include <sqlite3.h>
#endif
