#ifndef PAIL_CCURL_H
#define PAIL_CCURL_H
#include <curl/curl.h>
#endif
