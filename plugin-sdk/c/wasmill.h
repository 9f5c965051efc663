/* Write Wasmill plugins in C: one function, and unit tests that run natively. README.md tells the rest.
 *
 * Everything that these functions hand out lasts until the call ends and need not be freed. What shall outlive the
 * call, in `reuse` isolation, belongs into a global variable or memory from `malloc`. */
#ifndef WASMILL_H
#define WASMILL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#ifdef __cplusplus
#define WASMILL_NORETURN [[noreturn]]
#else
#define WASMILL_NORETURN _Noreturn
#endif

#ifdef __GNUC__
#define WASMILL_PRINTF(text, first) __attribute__((__format__(__printf__, text, first)))
#else
#define WASMILL_PRINTF(text, first)
#endif

/* A text, or bytes. Where the SDK made it, a zero byte follows that `len` does not count. */
typedef struct {
    const char *ptr;
    size_t len;
} wasmill_str;

/* A text that may be missing. */
typedef struct {
    bool is_some;
    wasmill_str value;
} wasmill_maybe;

/* A header of an event or an output, or a field of a log line. */
typedef struct {
    wasmill_str name;
    wasmill_str value;
} wasmill_header;

/* Headers in order; a name may stand more than once. */
typedef struct {
    const wasmill_header *items;
    size_t count;
} wasmill_headers;

/* One message on the bus with its CloudEvents attributes. */
typedef struct {
    wasmill_str id;          /* identifies the event within its source */
    wasmill_str source;      /* CloudEvents `source`, else `nats:` and the stream or subject the message came from */
    wasmill_str type;        /* CloudEvents `type`, else `nats.message` */
    wasmill_str subject;     /* the subject the message was published to */
    uint64_t time_ns;        /* when it happened, nanoseconds since the Unix epoch */
    wasmill_maybe key;       /* the event's key, where the manifest names one */
    wasmill_headers headers; /* all headers that are not attributes above */
    wasmill_str data;        /* the payload, untouched */
    uint32_t attempt;        /* which delivery this is, from 1 */
    wasmill_maybe reply_to;  /* where the publisher waits for an answer, if it does */
} wasmill_event;

/* An event that a handler emits. The engine gives it its id, source and time. */
typedef struct {
    wasmill_str subject;     /* no wildcards, and within the emit grants of the manifest */
    wasmill_maybe type;      /* CloudEvents `type`; none means the type of the event that caused it */
    wasmill_headers headers; /* `Nats-*`, `Wasmill-*` and CloudEvents attributes are the engine's to set */
    wasmill_str data;        /* the payload */
} wasmill_output;

/* Outputs in order. */
typedef struct {
    wasmill_output *items;
    size_t count;
} wasmill_outputs;

/* Why a handler did not finish an event. */
typedef enum {
    WASMILL_RETRY,     /* it may work later */
    WASMILL_REJECT,    /* it will never work: the event becomes a dead letter */
    WASMILL_EXCEPTION, /* the handler is at fault */
} wasmill_failure_kind;

/* Ask for the event to be delivered again. */
typedef struct {
    bool has_after;
    uint64_t after_ms; /* not before so many milliseconds have passed; else the plugin's configured backoff */
    wasmill_str reason;
} wasmill_retry_failure;

/* The handler is at fault. */
typedef struct {
    wasmill_str message;
    wasmill_str trace;
} wasmill_exception_failure;

/* Why a handler did not finish an event. */
typedef struct {
    uint8_t kind; /* a `wasmill_failure_kind` */
    union {
        wasmill_retry_failure retry;
        wasmill_str reject;
        wasmill_exception_failure exception;
    };
} wasmill_failure;

/* What a handler made of an event: outputs, or a failure. The functions below make it; tests read it. */
typedef struct {
    bool failed;
    union {
        wasmill_outputs outputs;
        wasmill_failure failure;
    };
} wasmill_answer;

/* THE HANDLER, which the plugin defines. All outputs of a call take effect together, or none does. */
wasmill_answer wasmill_handle(const wasmill_event *event);

/* Nothing to emit. */
wasmill_answer wasmill_nothing(void);
/* One output. */
wasmill_answer wasmill_one(wasmill_output output);
/* As many outputs as were added to the list. */
wasmill_answer wasmill_all(const wasmill_outputs *outputs);
/* Adds an output to a list, which begins as `{0}`. */
void wasmill_add(wasmill_outputs *outputs, wasmill_output output);
/* It will never work: the event becomes a dead letter with this reason. */
wasmill_answer wasmill_reject(const char *format, ...) WASMILL_PRINTF(1, 2);
/* It may work later: the event comes again after the plugin's configured backoff. */
wasmill_answer wasmill_retry(const char *format, ...) WASMILL_PRINTF(1, 2);
/* It may work later, not before so many milliseconds have passed. */
wasmill_answer wasmill_retry_after(uint64_t ms, const char *format, ...) WASMILL_PRINTF(2, 3);
/* The handler is at fault: the engine learns the text and this place, and keeps the instance. */
#define wasmill_raise(...) wasmill_raise_at(__func__, __FILE__, __LINE__, __VA_ARGS__)
wasmill_answer wasmill_raise_at(const char *function, const char *file, int line, const char *format, ...)
    WASMILL_PRINTF(4, 5);
/* Logs the text as an error and ends the instance with a trap. */
WASMILL_NORETURN void wasmill_panic(const char *format, ...) WASMILL_PRINTF(1, 2);

/* An output of a C string. */
wasmill_output wasmill_text(const char *subject, const char *text);
/* An output of bytes. */
wasmill_output wasmill_bytes(const char *subject, const void *data, size_t len);
/* The same output with another CloudEvents `type`. */
wasmill_output wasmill_with_type(wasmill_output output, wasmill_str type);
/* Adds a header to a list, which begins as `{0}` and can become the `headers` of an output. */
void wasmill_add_header(wasmill_headers *headers, wasmill_str name, wasmill_str value);
/* The same output with one header more; for many, fill a list. */
wasmill_output wasmill_with_header(wasmill_output output, wasmill_str name, wasmill_str value);

/* The first value of a header, or none; names compare without regard to case. */
wasmill_maybe wasmill_header_of(const wasmill_event *event, const char *name);

/* A C string as a text; none is made of NULL. */
wasmill_str wasmill_s(const char *text);
/* A text made of a format. */
wasmill_str wasmill_format(const char *format, ...) WASMILL_PRINTF(1, 2);
/* Whether a text is this C string. */
bool wasmill_is(wasmill_str text, const char *other);
/* Memory that lasts until the call ends, at a multiple of 8; never NULL. */
void *wasmill_alloc(size_t size);

/* How much a log line matters. */
typedef enum { WASMILL_TRACE, WASMILL_DEBUG, WASMILL_INFO, WASMILL_WARN, WASMILL_ERROR } wasmill_level;

/* Writes a line with fields to the engine's log, marked with the plugin and the event. */
void wasmill_log(wasmill_level level, const char *message, const wasmill_header *fields, size_t count);

#ifndef __cplusplus
/* `wasmill_info("over the limit", wasmill_field("payment", id), wasmill_field("amount", amount));` */
#define wasmill_trace(...) WASMILL_LINE(WASMILL_TRACE, __VA_ARGS__)
#define wasmill_debug(...) WASMILL_LINE(WASMILL_DEBUG, __VA_ARGS__)
#define wasmill_info(...) WASMILL_LINE(WASMILL_INFO, __VA_ARGS__)
#define wasmill_warn(...) WASMILL_LINE(WASMILL_WARN, __VA_ARGS__)
#define wasmill_error(...) WASMILL_LINE(WASMILL_ERROR, __VA_ARGS__)

/* A name and a value of any plain type. */
#define wasmill_field(name, value)                                                                                     \
    _Generic((value),                                                                                                  \
        wasmill_str: wasmill_field_str,                                                                                \
        char *: wasmill_field_text,                                                                                    \
        const char *: wasmill_field_text,                                                                              \
        bool: wasmill_field_bool,                                                                                      \
        float: wasmill_field_number,                                                                                   \
        double: wasmill_field_number,                                                                                  \
        unsigned long: wasmill_field_unsigned,                                                                         \
        unsigned long long: wasmill_field_unsigned,                                                                    \
        default: wasmill_field_integer)(name, value)

/* The list ends with an empty field, for there may be none; it is not counted. */
#define WASMILL_LINE(level, ...) WASMILL_LINE_OF(level, __VA_ARGS__, (wasmill_header){{0}, {0}})
#define WASMILL_LINE_OF(level, message, ...)                                                                           \
    wasmill_log(level, message, (const wasmill_header[]){__VA_ARGS__},                                                 \
                sizeof((const wasmill_header[]){__VA_ARGS__}) / sizeof(wasmill_header) - 1)
#endif

wasmill_header wasmill_field_str(const char *name, wasmill_str value);
wasmill_header wasmill_field_text(const char *name, const char *value);
wasmill_header wasmill_field_bool(const char *name, bool value);
wasmill_header wasmill_field_number(const char *name, double value);
wasmill_header wasmill_field_integer(const char *name, int64_t value);
wasmill_header wasmill_field_unsigned(const char *name, uint64_t value);

/* One value of the manifest's `[config]` table: a string as it is, anything else as JSON text. */
wasmill_maybe wasmill_config(const char *key);
/* The whole table as one JSON object. */
wasmill_str wasmill_config_json(void);

/* The plugin clock, nanoseconds since the Unix epoch. It stands still during a call. */
uint64_t wasmill_now(void);

/* The next 64 random bits: another delivery of the same event draws the same numbers. */
uint64_t wasmill_random(void);
/* Fills memory with random bytes. */
void wasmill_random_bytes(void *into, size_t len);

/* What a component says about itself. */
typedef struct {
    const char *name;     /* the plugin's name */
    const char *version;  /* its version, as semantic versioning has it */
    const char *summary;  /* one sentence for people */
    const char *subjects; /* the subject patterns it is made for, separated by spaces */
    const char *emits;    /* the subject patterns it emits to, separated by spaces */
} wasmill_about;

#ifdef __wasm__
#define WASMILL_EXPORT(name) __attribute__((export_name(name)))
#else
#define WASMILL_EXPORT(name)
#endif

/* Says what the plugin is: `WASMILL_DESCRIPTION(.name = "filter", .version = "1.0.0")`, once, outside of functions. */
#define WASMILL_DESCRIPTION(...)                                                                                       \
    const void *wasmill_export_describe(void);                                                                         \
    void wasmill_export_described(const void *);                                                                       \
    WASMILL_EXPORT("wasmill:plugin/description@0.1.0#describe") const void *wasmill_export_describe(void) {            \
        const wasmill_about about = {__VA_ARGS__};                                                                     \
        return wasmill_describe(&about);                                                                               \
    }                                                                                                                  \
    WASMILL_EXPORT("cabi_post_wasmill:plugin/description@0.1.0#describe")                                              \
    void wasmill_export_described(const void *answer) {                                                                \
        (void)answer;                                                                                                  \
        wasmill_reset();                                                                                               \
    }
/* For the macro above. */
const void *wasmill_describe(const wasmill_about *about);
/* For the macro above and for tests: gives back all memory of the call. */
void wasmill_reset(void);

#ifdef __cplusplus
}
#endif

#include "wasmill_json.h"
#include "wasmill_keyed.h"

#endif
