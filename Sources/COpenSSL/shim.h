#ifndef PAIL_COPENSSL_H
#define PAIL_COPENSSL_H
#include <openssl/evp.h>
#endif
