/* JSON for plugins: a reader that says what does not fit and where, and a writer.
 *
 *     wasmill_reader in = wasmill_payload(event);
 *     wasmill_str id = wasmill_read_string(&in, in.root, "id");
 *     double amount = wasmill_read_number(&in, in.root, "amount");
 *     if (in.failed) return wasmill_refuse(&in);
 *
 * The reader keeps the first fault; after it, everything that is read is empty or zero. */
#ifndef WASMILL_JSON_H
#define WASMILL_JSON_H

#include "wasmill.h"

#ifdef __cplusplus
extern "C" {
#endif

/* How deeply arrays and objects may lie within each other. */
enum { WASMILL_JSON_DEPTH_MAX = 128 };

typedef enum {
    WASMILL_JSON_NULL,
    WASMILL_JSON_FALSE,
    WASMILL_JSON_TRUE,
    WASMILL_JSON_NUMBER,
    WASMILL_JSON_STRING,
    WASMILL_JSON_ARRAY,
    WASMILL_JSON_OBJECT,
} wasmill_json_kind;

/* One value. */
typedef struct wasmill_json {
    wasmill_json_kind kind;
    uint32_t begin;             /* where it stands in the text */
    wasmill_str name;           /* its name, in an object */
    wasmill_str text;           /* of a string its characters, of all others what stands in the text */
    struct wasmill_json *first; /* of an array or object the first value */
    struct wasmill_json *next;  /* the next value of the same array or object */
} wasmill_json;

/* A text that is being read, and the first fault found. */
typedef struct {
    const wasmill_json *root; /* never NULL */
    bool failed;
    wasmill_str fault; /* what is wrong and where */
    const char *what;  /* what is read, for the fault */
    bool is_config;
    wasmill_str text;
} wasmill_reader;

/* Reads any text; `what` names it in faults. */
wasmill_reader wasmill_read(const char *what, wasmill_str text);
/* Reads the event's payload. */
wasmill_reader wasmill_payload(const wasmill_event *event);
/* Reads the plugin's `[config]` table. */
wasmill_reader wasmill_settings(void);

/* What to return after a fault: for a payload a reject, for the config a retry, because the event is sound and can be
 * handled once the manifest is corrected. */
wasmill_answer wasmill_refuse(const wasmill_reader *in);

/* A field that must be there, of this kind. */
wasmill_str wasmill_read_string(wasmill_reader *in, const wasmill_json *object, const char *name);
double wasmill_read_number(wasmill_reader *in, const wasmill_json *object, const char *name);
int64_t wasmill_read_integer(wasmill_reader *in, const wasmill_json *object, const char *name);
bool wasmill_read_bool(wasmill_reader *in, const wasmill_json *object, const char *name);
const wasmill_json *wasmill_read_array(wasmill_reader *in, const wasmill_json *object, const char *name);
const wasmill_json *wasmill_read_object(wasmill_reader *in, const wasmill_json *object, const char *name);

/* A field that may be missing or null, which both answer NULL. */
const wasmill_json *wasmill_find(wasmill_reader *in, const wasmill_json *object, const char *name);

/* A value that must be of this kind, such as one of an array. */
wasmill_str wasmill_as_string(wasmill_reader *in, const wasmill_json *value);
double wasmill_as_number(wasmill_reader *in, const wasmill_json *value);
int64_t wasmill_as_integer(wasmill_reader *in, const wasmill_json *value);
bool wasmill_as_bool(wasmill_reader *in, const wasmill_json *value);

/* Notes a fault of one's own, with the value's place. */
void wasmill_fault(wasmill_reader *in, const wasmill_json *value, const char *format, ...) WASMILL_PRINTF(3, 4);

/* A JSON text being written; begins as `{0}`. */
typedef struct {
    char *ptr;
    size_t len;
    size_t room;
    uint32_t depth;
    uint64_t arrays;   /* one bit for each open array or object: it is an array */
    bool needs_comma;
} wasmill_writer;

/* What follows goes into an object or array, until the matching close. `name` is NULL at the top and in an array. At
 * most 64 may be open. */
void wasmill_open_object(wasmill_writer *out, const char *name);
void wasmill_open_array(wasmill_writer *out, const char *name);
void wasmill_close(wasmill_writer *out);

/* One value; bytes of a string that are no UTF-8 become U+FFFD, a number that JSON lacks becomes null. */
void wasmill_put_string(wasmill_writer *out, const char *name, wasmill_str value);
void wasmill_put_text(wasmill_writer *out, const char *name, const char *value);
void wasmill_put_number(wasmill_writer *out, const char *name, double value);
void wasmill_put_integer(wasmill_writer *out, const char *name, int64_t value);
void wasmill_put_bool(wasmill_writer *out, const char *name, bool value);
void wasmill_put_null(wasmill_writer *out, const char *name);
/* JSON text as it is. */
void wasmill_put_json(wasmill_writer *out, const char *name, wasmill_str json);

/* What was written. */
wasmill_str wasmill_written(const wasmill_writer *out);
/* An output of what was written, with `content-type: application/json`. */
wasmill_output wasmill_json_output(const char *subject, const wasmill_writer *out);

#ifdef __cplusplus
}
#endif

#endif
