#ifndef PAIL_CCURL_H
#define PAIL_CCURL_H
#include <curl/curl.h>

/* curl_easy_setopt, curl_easy_getinfo and curl_multi_setopt are variadic and so can't be called from Swift:
   one function for each kind of argument. */
static inline CURLcode pail_curl_long(CURL *easy, CURLoption option, long value) {
    return curl_easy_setopt(easy, option, value);
}
static inline CURLcode pail_curl_offset(CURL *easy, CURLoption option, curl_off_t value) {
    return curl_easy_setopt(easy, option, value);
}
static inline CURLcode pail_curl_string(CURL *easy, CURLoption option, const char *value) {
    return curl_easy_setopt(easy, option, value);
}
static inline CURLcode pail_curl_pointer(CURL *easy, CURLoption option, void *value) {
    return curl_easy_setopt(easy, option, value);
}
/* Also for CURLOPT_READFUNCTION and CURLOPT_HEADERFUNCTION: they have the same type. */
static inline CURLcode pail_curl_data(CURL *easy, CURLoption option, size_t (*call)(char *, size_t, size_t, void *)) {
    return curl_easy_setopt(easy, option, call);
}
static inline CURLcode pail_curl_seek(CURL *easy, int (*call)(void *, curl_off_t, int)) {
    return curl_easy_setopt(easy, CURLOPT_SEEKFUNCTION, call);
}
static inline CURLcode pail_curl_before_request(CURL *easy, int (*call)(void *, char *, char *, int, int)) {
    return curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, call);
}
static inline CURLcode pail_curl_get_long(CURL *easy, CURLINFO info, long *value) {
    return curl_easy_getinfo(easy, info, value);
}
static inline CURLcode pail_curl_get_pointer(CURL *easy, CURLINFO info, void **value) {
    return curl_easy_getinfo(easy, info, value);
}
static inline CURLMcode pail_curl_multi_long(CURLM *multi, CURLMoption option, long value) {
    return curl_multi_setopt(multi, option, value);
}
/* `data` is a union, of which Swift would have to guess the member. */
static inline CURLcode pail_curl_result(const CURLMsg *message) { return message->data.result; }
/* CURLVERSION_NOW is a macro. The path of the certificates that this libcurl was built to trust, or NULL. */
static inline const char *pail_curl_default_ca_file(void) { return curl_version_info(CURLVERSION_NOW)->cainfo; }
/* CURL_GLOBAL_ALL is a macro that Swift doesn't take. */
static inline CURLcode pail_curl_global_init(void) { return curl_global_init(CURL_GLOBAL_ALL); }
#endif
