/* What the files of the SDK share, and authors need not know. */
#ifndef WASMILL_INTERNAL_H
#define WASMILL_INTERNAL_H

#include <stdarg.h>

#include "wasmill.h"

/* What the engine answers: its imports in a component, an engine made up by wasmill_testing.c in a native test. */
void wasmill_host_log(wasmill_level level, wasmill_str message, wasmill_headers fields);
uint64_t wasmill_host_now(void);
wasmill_maybe wasmill_host_config_get(wasmill_str key);
wasmill_str wasmill_host_config_json(void);
uint64_t wasmill_host_random(void);
/* At most 65,536 bytes at a time. */
void wasmill_host_random_bytes(void *into, uint32_t len);
wasmill_refusal wasmill_host_state_get(wasmill_str name, wasmill_maybe *value);
wasmill_refusal wasmill_host_state_set(wasmill_str name, wasmill_str value);
wasmill_refusal wasmill_host_state_delete(wasmill_str name);
wasmill_refusal wasmill_host_state_names(wasmill_str prefix, wasmill_strs *names);
wasmill_refusal wasmill_host_timer_set(wasmill_str name, uint64_t due_ns, wasmill_str data);
wasmill_refusal wasmill_host_timer_cancel(wasmill_str name);
wasmill_refusal wasmill_host_lookup(wasmill_str table, wasmill_str key, wasmill_maybe *row);

/* Memory of the call, at a multiple of `align`; a block that is the last one taken grows in place. */
void *wasmill_realloc(void *old, size_t old_len, size_t align, size_t len);

wasmill_str wasmill_vformat(const char *format, va_list args) WASMILL_PRINTF(1, 0);

/* The text itself, or a copy with U+FFFD in place of bytes that are no UTF-8. The engine takes no other strings. */
wasmill_str wasmill_lossy(wasmill_str text);
/* The length of the UTF-8 sequence that `text` begins with, 0 if it begins with none. */
size_t wasmill_utf8_sequence(const char *text, size_t len);
bool wasmill_is_utf8(wasmill_str text);

/* A handler's answer, or the exception that it is in place of one that the engine could not read. */
wasmill_answer wasmill_sound(wasmill_answer answer);

#endif
