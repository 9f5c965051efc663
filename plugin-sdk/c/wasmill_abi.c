/* The engine's calls and the calls to the engine: the component model's canonical ABI, written out by hand. The types of
 * wasmill.h lie in memory as the contract's do, so nothing is copied on the way. */
#ifdef __wasm__

#include <string.h>

#include "wasmill_internal.h"

#define AT(type, field, offset) _Static_assert(offsetof(type, field) == offset, "not as the canonical ABI has it")

AT(wasmill_event, time_ns, 32);
AT(wasmill_event, key, 40);
AT(wasmill_event, headers, 52);
AT(wasmill_event, attempt, 68);
AT(wasmill_event, reply_to, 72);
AT(wasmill_output, type, 8);
AT(wasmill_output, headers, 20);
AT(wasmill_output, data, 28);
AT(wasmill_answer, outputs, 8);
AT(wasmill_answer, failure.retry, 16);
AT(wasmill_answer, failure.retry.after_ms, 24);
AT(wasmill_answer, failure.retry.reason, 32);
AT(wasmill_answer, failure.exception.trace, 24);
_Static_assert(sizeof(wasmill_event) == 88 && sizeof(wasmill_output) == 36 && sizeof(wasmill_answer) == 40,
               "not as the canonical ABI has it");

#define IMPORT(interface, function)                                                                                    \
    __attribute__((import_module("wasmill:plugin/" interface "@0.1.0"), import_name(function))) extern

IMPORT("log", "log")
void import_log(int level, const char *message, size_t len, const wasmill_header *fields, size_t count);
IMPORT("clock", "now") uint64_t import_now(void);
IMPORT("config", "get") void import_config_get(const char *key, size_t len, wasmill_maybe *answer);
IMPORT("config", "json") void import_config_json(wasmill_str *answer);
IMPORT("random", "next") uint64_t import_random_next(void);
IMPORT("random", "bytes") void import_random_bytes(uint32_t len, wasmill_str *answer);

#define HANDLE "wasmill:plugin/handler@0.1.0#handle"

static wasmill_answer answer;

const wasmill_answer *wasmill_export_handle(const wasmill_event *event);
WASMILL_EXPORT(HANDLE) const wasmill_answer *wasmill_export_handle(const wasmill_event *event) {
    answer = wasmill_call(event);
    return &answer;
}

/* The engine has read the answer. */
void wasmill_export_handled(const void *read);
WASMILL_EXPORT("cabi_post_" HANDLE) void wasmill_export_handled(const void *read) {
    (void)read;
    wasmill_reset();
}

/* Memory for what the engine hands over. A text gets one byte more, which is zero. */
void *wasmill_export_realloc(void *old, size_t old_len, size_t align, size_t len);
WASMILL_EXPORT("cabi_realloc") void *wasmill_export_realloc(void *old, size_t old_len, size_t align, size_t len) {
    /* Nothing needs no room, but its address must lie within the memory. */
    static char nothing[16];
    if (len == 0) return nothing;
    if (align != 1) return wasmill_realloc(old, old_len, align, len);
    char *text = wasmill_realloc(old, old_len == 0 ? 0 : old_len + 1, 1, len + 1);
    text[len] = 0;
    return text;
}

void wasmill_host_log(wasmill_level level, wasmill_str message, wasmill_headers fields) {
    import_log((int)level, message.ptr, message.len, fields.items, fields.count);
}

uint64_t wasmill_host_now(void) {
    return import_now();
}

wasmill_maybe wasmill_host_config_get(wasmill_str key) {
    wasmill_maybe value;
    import_config_get(key.ptr, key.len, &value);
    return value;
}

wasmill_str wasmill_host_config_json(void) {
    wasmill_str json;
    import_config_json(&json);
    return json;
}

uint64_t wasmill_host_random(void) {
    return import_random_next();
}

void wasmill_host_random_bytes(void *into, uint32_t len) {
    wasmill_str bytes;
    import_random_bytes(len, &bytes);
    memcpy(into, bytes.ptr, len);
}

#endif
