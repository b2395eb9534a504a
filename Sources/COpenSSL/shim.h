#ifndef PAIL_COPENSSL_H
#define PAIL_COPENSSL_H
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>

/* A MAC context with its digest chosen, or NULL. OSSL_PARAM arrays are built with macros and hold bare pointers. */
static inline EVP_MAC_CTX *pail_mac_context(EVP_MAC *mac, const char *digest) {
    EVP_MAC_CTX *context = EVP_MAC_CTX_new(mac);
    OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)digest, 0),
        OSSL_PARAM_construct_end(),
    };
    if (context && !EVP_MAC_CTX_set_params(context, parameters)) {
        EVP_MAC_CTX_free(context);
        return NULL;
    }
    return context;
}
#endif
