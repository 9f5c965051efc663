/* For plugins with a key: its state, its timers, tables to look things up in, and state of older versions.
 *
 *     wasmill_refusal why = wasmill_state_set(wasmill_s("last"), event->data);
 *     if (why.kind != WASMILL_OK) return wasmill_refused(why);
 *
 * What a call changes takes effect together with its outputs, or not at all. */
#ifndef WASMILL_KEYED_H
#define WASMILL_KEYED_H

#include "wasmill.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Why the engine did not do what it was asked. */
typedef enum {
    WASMILL_OK,          /* it did */
    WASMILL_NO_KEY,      /* the manifest gives the plugin no key */
    WASMILL_TOO_LARGE,   /* the key's record would be larger than `limit` bytes */
    WASMILL_TOO_MANY,    /* the key has `limit` timers, as many as it may have */
    WASMILL_BAD_NAME,    /* a name is 1 to 256 bytes of UTF-8 */
    WASMILL_BAD_VALUE,   /* the field holds something else than a count */
    WASMILL_OVERFLOW,    /* the sum is no integer of 64 bits */
    WASMILL_NOT_GRANTED, /* the manifest grants no table of this name */
    WASMILL_NOT_READY,   /* the table is not loaded yet */
} wasmill_refusal_kind;

typedef struct {
    wasmill_refusal_kind kind;
    uint64_t limit;
} wasmill_refusal;

/* What to return after a refusal: a retry where the manifest is to be corrected, a table is not loaded or a field is to be
 * migrated, and else a reject. */
wasmill_answer wasmill_refused(wasmill_refusal why);

/* Texts in order. */
typedef struct {
    const wasmill_str *items;
    size_t count;
} wasmill_strs;

/* One field of the key's state, if there is one. */
wasmill_refusal wasmill_state_get(wasmill_str name, wasmill_maybe *value);
/* Sets a field. */
wasmill_refusal wasmill_state_set(wasmill_str name, wasmill_str value);
/* Removes a field; one that is not there is no error. */
wasmill_refusal wasmill_state_delete(wasmill_str name);
/* The names of the fields that begin with `prefix`, sorted. */
wasmill_refusal wasmill_state_names(wasmill_str prefix, wasmill_strs *names);
/* Adds to a field that holds a count, from zero, as a JSON integer. `count`, unless it is NULL, gets the sum. */
wasmill_refusal wasmill_state_add(wasmill_str name, int64_t more, int64_t *count);

/* A timer that has come due. While it is handled, `wasmill_now` is the time it was due. */
typedef struct {
    wasmill_str name; /* the name under which it was set */
    wasmill_str key;  /* the key it was set for */
    uint64_t due_ns;  /* when it was due, nanoseconds since the Unix epoch */
    wasmill_str data; /* what was stored with it */
} wasmill_timer;

/* Sets a timer, in place of one of the same name. It fires once, when the plugin clock reaches `due_ns`, or as soon after
 * as an engine runs. The plugin needs a handler for timers. */
wasmill_refusal wasmill_timer_set(wasmill_str name, uint64_t due_ns, wasmill_str data);
/* The same, so many milliseconds from now. */
wasmill_refusal wasmill_timer_after(wasmill_str name, uint64_t ms, wasmill_str data);
/* Removes a timer; one that is not set is no error. */
wasmill_refusal wasmill_timer_cancel(wasmill_str name);

/* Makes a function `wasmill_answer handler(const wasmill_timer *timer)` the handler of timers: once, outside of functions. */
#define WASMILL_TIMERS(handler)                                                                                        \
    const void *wasmill_export_on_timer(const char *, size_t, const char *, size_t, uint64_t, const char *, size_t);   \
    void wasmill_export_on_timer_read(const void *);                                                                   \
    WASMILL_EXPORT("wasmill:plugin/timers@0.1.0#on-timer")                                                             \
    const void *wasmill_export_on_timer(const char *name, size_t name_len, const char *key, size_t key_len,            \
                                        uint64_t due_ns, const char *data, size_t data_len) {                          \
        const wasmill_timer timer = {{name, name_len}, {key, key_len}, due_ns, {data, data_len}};                      \
        return wasmill_answered(handler(&timer));                                                                      \
    }                                                                                                                  \
    WASMILL_EXPORT("cabi_post_wasmill:plugin/timers@0.1.0#on-timer")                                                   \
    void wasmill_export_on_timer_read(const void *answer) {                                                            \
        (void)answer;                                                                                                  \
        wasmill_reset();                                                                                               \
    }
/* For the macro above. */
const void *wasmill_answered(wasmill_answer answer);

/* One row of a table that the manifest grants by name, if there is one. */
wasmill_refusal wasmill_lookup(wasmill_str table, wasmill_str key, wasmill_maybe *row);

/* What became of a field that an older version wrote. */
typedef struct {
    bool failed;
    union {
        wasmill_maybe value;
        wasmill_str error;
    };
} wasmill_migrated;

/* The field now holds this. */
wasmill_migrated wasmill_migrate_to(wasmill_str value);
/* The field is not needed any more. */
wasmill_migrated wasmill_migrate_delete(void);
/* It cannot be brought into its present shape: the old version stays in service. */
wasmill_migrated wasmill_migrate_fail(const char *format, ...) WASMILL_PRINTF(1, 2);

/* Makes a function `wasmill_migrated handler(wasmill_str from_version, wasmill_str name, wasmill_str value)` what brings
 * fields from the shape of an older version into the present one: once, outside of functions. */
#define WASMILL_MIGRATE(handler)                                                                                       \
    const void *wasmill_export_migrate(const char *, size_t, const char *, size_t, const char *, size_t);              \
    void wasmill_export_migrate_read(const void *);                                                                    \
    WASMILL_EXPORT("wasmill:plugin/migrate@0.1.0#migrate-field")                                                       \
    const void *wasmill_export_migrate(const char *from, size_t from_len, const char *name, size_t name_len,           \
                                       const char *value, size_t value_len) {                                          \
        const wasmill_str version = {from, from_len}, field = {name, name_len}, data = {value, value_len};             \
        return wasmill_migrated_to(handler(version, field, data));                                                     \
    }                                                                                                                  \
    WASMILL_EXPORT("cabi_post_wasmill:plugin/migrate@0.1.0#migrate-field")                                             \
    void wasmill_export_migrate_read(const void *answer) {                                                             \
        (void)answer;                                                                                                  \
        wasmill_reset();                                                                                               \
    }
/* For the macro above. */
const void *wasmill_migrated_to(wasmill_migrated answer);

#ifdef __cplusplus
}
#endif

#endif
