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

/* `result<option<list<u8>>, error>` of state, and its other results: they differ in what succeeds. */
typedef struct {
    bool failed;
    union {
        wasmill_maybe value;
        wasmill_strs names;
        struct {
            uint8_t kind;
            uint64_t limit;
        } error;
    };
} state_answer;

typedef struct {
    bool failed;
    struct {
        uint8_t kind;
        uint32_t limit;
    } error;
} timer_answer;

typedef struct {
    bool failed;
    union {
        wasmill_maybe row;
        uint8_t error;
    };
} lookup_answer;

AT(state_answer, value, 8);
AT(state_answer, error.limit, 16);
AT(timer_answer, error.limit, 8);
AT(lookup_answer, row, 4);
AT(wasmill_migrated, value, 4);
_Static_assert(sizeof(state_answer) == 24 && sizeof(timer_answer) == 12 && sizeof(lookup_answer) == 16 &&
                   sizeof(wasmill_migrated) == 16,
               "not as the canonical ABI has it");

IMPORT("state", "get") void import_state_get(const char *name, size_t len, state_answer *answer);
IMPORT("state", "set")
void import_state_set(const char *name, size_t len, const char *value, size_t value_len, state_answer *answer);
IMPORT("state", "delete") void import_state_delete(const char *name, size_t len, state_answer *answer);
IMPORT("state", "names") void import_state_names(const char *prefix, size_t len, state_answer *answer);
IMPORT("timer-control", "set")
void import_timer_set(const char *name, size_t len, uint64_t due_ns, const char *data, size_t data_len,
                      timer_answer *answer);
IMPORT("timer-control", "cancel") void import_timer_cancel(const char *name, size_t len, timer_answer *answer);
IMPORT("lookup", "get")
void import_lookup(const char *table, size_t len, const char *key, size_t key_len, lookup_answer *answer);

#define HANDLE "wasmill:plugin/handler@0.1.0#handle"

const void *wasmill_export_handle(const wasmill_event *event);
WASMILL_EXPORT(HANDLE) const void *wasmill_export_handle(const wasmill_event *event) {
    return wasmill_answered(wasmill_handle(event));
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

static wasmill_refusal of_state(const state_answer *answer) {
    static const wasmill_refusal_kind kinds[] = {WASMILL_NO_KEY, WASMILL_TOO_LARGE, WASMILL_BAD_NAME};
    if (!answer->failed) return (wasmill_refusal){WASMILL_OK, 0};
    return (wasmill_refusal){kinds[answer->error.kind], answer->error.limit};
}

static wasmill_refusal of_timer(const timer_answer *answer) {
    static const wasmill_refusal_kind kinds[] = {WASMILL_NO_KEY, WASMILL_TOO_MANY, WASMILL_BAD_NAME};
    if (!answer->failed) return (wasmill_refusal){WASMILL_OK, 0};
    return (wasmill_refusal){kinds[answer->error.kind], answer->error.limit};
}

wasmill_refusal wasmill_host_state_get(wasmill_str name, wasmill_maybe *value) {
    state_answer answer;
    import_state_get(name.ptr, name.len, &answer);
    if (!answer.failed) *value = answer.value;
    return of_state(&answer);
}

wasmill_refusal wasmill_host_state_set(wasmill_str name, wasmill_str value) {
    state_answer answer;
    import_state_set(name.ptr, name.len, value.ptr, value.len, &answer);
    return of_state(&answer);
}

wasmill_refusal wasmill_host_state_delete(wasmill_str name) {
    state_answer answer;
    import_state_delete(name.ptr, name.len, &answer);
    return of_state(&answer);
}

wasmill_refusal wasmill_host_state_names(wasmill_str prefix, wasmill_strs *names) {
    state_answer answer;
    import_state_names(prefix.ptr, prefix.len, &answer);
    if (!answer.failed) *names = answer.names;
    return of_state(&answer);
}

wasmill_refusal wasmill_host_timer_set(wasmill_str name, uint64_t due_ns, wasmill_str data) {
    timer_answer answer;
    import_timer_set(name.ptr, name.len, due_ns, data.ptr, data.len, &answer);
    return of_timer(&answer);
}

wasmill_refusal wasmill_host_timer_cancel(wasmill_str name) {
    timer_answer answer;
    import_timer_cancel(name.ptr, name.len, &answer);
    return of_timer(&answer);
}

wasmill_refusal wasmill_host_lookup(wasmill_str table, wasmill_str key, wasmill_maybe *row) {
    lookup_answer answer;
    import_lookup(table.ptr, table.len, key.ptr, key.len, &answer);
    if (answer.failed) return (wasmill_refusal){answer.error == 0 ? WASMILL_NOT_GRANTED : WASMILL_NOT_READY, 0};
    *row = answer.row;
    return (wasmill_refusal){WASMILL_OK, 0};
}

#endif
