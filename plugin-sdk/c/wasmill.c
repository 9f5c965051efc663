#include "wasmill.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wasmill_internal.h"

static const wasmill_str NOTHING = {"", 0};

wasmill_str wasmill_s(const char *text) {
    return text == NULL ? NOTHING : (wasmill_str){text, strlen(text)};
}

bool wasmill_is(wasmill_str text, const char *other) {
    return text.len == strlen(other) && memcmp(text.ptr, other, text.len) == 0;
}

wasmill_str wasmill_vformat(const char *format, va_list args) {
    va_list again;
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, format, args);
    if (len < 0) wasmill_panic("no text can be made of the format %s", format);
    char *text = wasmill_realloc(NULL, 0, 1, (size_t)len + 1);
    vsnprintf(text, (size_t)len + 1, format, again);
    va_end(again);
    return (wasmill_str){text, (size_t)len};
}

wasmill_str wasmill_format(const char *format, ...) {
    va_list args;
    va_start(args, format);
    wasmill_str text = wasmill_vformat(format, args);
    va_end(args);
    return text;
}

size_t wasmill_utf8_sequence(const char *text, size_t len) {
    const unsigned char *at = (const unsigned char *)text;
    if (len == 0) return 0;
    if (at[0] < 0x80) return 1;
    size_t wanted = at[0] >= 0xF0 ? 4 : at[0] >= 0xE0 ? 3 : 2;
    if (at[0] < 0xC2 || at[0] > 0xF4 || len < wanted) return 0;
    for (size_t i = 1; i < wanted; i++) {
        if ((at[i] & 0xC0) != 0x80) return 0;
    }
    /* Too long a form, a surrogate, or past U+10FFFF. */
    if (at[0] == 0xE0 && at[1] < 0xA0) return 0;
    if (at[0] == 0xED && at[1] > 0x9F) return 0;
    if (at[0] == 0xF0 && at[1] < 0x90) return 0;
    if (at[0] == 0xF4 && at[1] > 0x8F) return 0;
    return wanted;
}

bool wasmill_is_utf8(wasmill_str text) {
    for (size_t at = 0; at < text.len;) {
        size_t len = wasmill_utf8_sequence(text.ptr + at, text.len - at);
        if (len == 0) return false;
        at += len;
    }
    return true;
}

wasmill_str wasmill_lossy(wasmill_str text) {
    if (wasmill_is_utf8(text)) return text;
    char *made = wasmill_realloc(NULL, 0, 1, 3 * text.len + 1);
    size_t end = 0;
    for (size_t at = 0; at < text.len;) {
        size_t len = wasmill_utf8_sequence(text.ptr + at, text.len - at);
        memcpy(made + end, len == 0 ? "\xEF\xBF\xBD" : text.ptr + at, len == 0 ? 3 : len);
        end += len == 0 ? 3 : len;
        at += len == 0 ? 1 : len;
    }
    made[end] = 0;
    return (wasmill_str){made, end};
}

wasmill_answer wasmill_nothing(void) {
    return (wasmill_answer){.failed = false, .outputs = {NULL, 0}};
}

wasmill_answer wasmill_one(wasmill_output output) {
    wasmill_outputs outputs = {0};
    wasmill_add(&outputs, output);
    return wasmill_all(&outputs);
}

wasmill_answer wasmill_all(const wasmill_outputs *outputs) {
    return (wasmill_answer){.failed = false, .outputs = *outputs};
}

/* Room for one more: a list has room for the next power of two, and moves when that is reached. */
static void *with_room(const void *items, size_t count, size_t size) {
    if ((count & (count - 1)) != 0) return (void *)items;
    size_t room = count == 0 ? 1 : 2 * count;
    return wasmill_realloc((void *)items, count * size, 8, room * size);
}

void wasmill_add(wasmill_outputs *outputs, wasmill_output output) {
    outputs->items = with_room(outputs->items, outputs->count, sizeof output);
    outputs->items[outputs->count++] = output;
}

void wasmill_add_header(wasmill_headers *headers, wasmill_str name, wasmill_str value) {
    wasmill_header *items = with_room(headers->items, headers->count, sizeof *items);
    items[headers->count++] = (wasmill_header){name, value};
    headers->items = items;
}

static wasmill_answer reject(wasmill_str reason) {
    return (wasmill_answer){.failed = true, .failure = {.kind = WASMILL_REJECT, .reject = wasmill_lossy(reason)}};
}

static wasmill_answer retry(bool has_after, uint64_t after_ms, wasmill_str reason) {
    return (wasmill_answer){
        .failed = true,
        .failure = {.kind = WASMILL_RETRY, .retry = {has_after, after_ms, wasmill_lossy(reason)}},
    };
}

static wasmill_answer exception(wasmill_str message, wasmill_str trace) {
    return (wasmill_answer){
        .failed = true,
        .failure = {.kind = WASMILL_EXCEPTION, .exception = {wasmill_lossy(message), wasmill_lossy(trace)}},
    };
}

wasmill_answer wasmill_reject(const char *format, ...) {
    va_list args;
    va_start(args, format);
    wasmill_answer answer = reject(wasmill_vformat(format, args));
    va_end(args);
    return answer;
}

wasmill_answer wasmill_retry(const char *format, ...) {
    va_list args;
    va_start(args, format);
    wasmill_answer answer = retry(false, 0, wasmill_vformat(format, args));
    va_end(args);
    return answer;
}

wasmill_answer wasmill_retry_after(uint64_t ms, const char *format, ...) {
    va_list args;
    va_start(args, format);
    wasmill_answer answer = retry(true, ms, wasmill_vformat(format, args));
    va_end(args);
    return answer;
}

wasmill_answer wasmill_raise_at(const char *function, const char *file, int line, const char *format, ...) {
    va_list args;
    va_start(args, format);
    wasmill_str message = wasmill_vformat(format, args);
    va_end(args);
    return exception(message, wasmill_format("%s (%s:%d)", function, file, line));
}

_Noreturn void wasmill_panic(const char *format, ...) {
    /* No memory of the call: there may be none left. */
    char text[512];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    size_t max = sizeof text - 1;
    wasmill_str message = {text, len < 0 ? 0 : (size_t)len < max ? (size_t)len : max};
    if (!wasmill_is_utf8(message)) message = wasmill_s("a text that is no UTF-8");
    const wasmill_header field = {wasmill_s("message"), message};
    wasmill_host_log(WASMILL_ERROR, wasmill_s("panic"), (wasmill_headers){&field, 1});
#ifdef __wasm__
    __builtin_trap();
#else
    abort();
#endif
}

wasmill_output wasmill_bytes(const char *subject, const void *data, size_t len) {
    return (wasmill_output){.subject = wasmill_s(subject), .data = {data, len}};
}

wasmill_output wasmill_text(const char *subject, const char *text) {
    return wasmill_bytes(subject, text, strlen(text));
}

wasmill_output wasmill_with_type(wasmill_output output, wasmill_str type) {
    output.type = (wasmill_maybe){true, type};
    return output;
}

wasmill_output wasmill_with_header(wasmill_output output, wasmill_str name, wasmill_str value) {
    size_t size = sizeof(wasmill_header), count = output.headers.count;
    wasmill_header *items = wasmill_alloc((count + 1) * size);
    if (count != 0) memcpy(items, output.headers.items, count * size);
    items[count] = (wasmill_header){name, value};
    output.headers = (wasmill_headers){items, count + 1};
    return output;
}

/* What the engine would not take as a string: it would end the instance for it, without a word about where. */
static wasmill_str flaw(const wasmill_output *output) {
    if (!wasmill_is_utf8(output->subject)) return wasmill_s("the subject");
    if (output->type.is_some && !wasmill_is_utf8(output->type.value)) return wasmill_s("the type");
    for (size_t i = 0; i < output->headers.count; i++) {
        const wasmill_header *header = &output->headers.items[i];
        if (!wasmill_is_utf8(header->name)) return wasmill_s("a header's name");
        if (wasmill_is_utf8(header->value)) continue;
        return wasmill_format("the header `%.*s`", (int)header->name.len, header->name.ptr);
    }
    return NOTHING;
}

wasmill_answer wasmill_sound(wasmill_answer answer) {
    if (answer.failed) return answer;
    for (size_t i = 0; i < answer.outputs.count; i++) {
        wasmill_str what = flaw(&answer.outputs.items[i]);
        if (what.len == 0) continue;
        return exception(wasmill_format("output %zu: %s is no UTF-8", i, what.ptr), NOTHING);
    }
    return answer;
}

static char lower(char c) {
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

wasmill_maybe wasmill_header_of(const wasmill_event *event, const char *name) {
    size_t len = strlen(name);
    for (size_t i = 0; i < event->headers.count; i++) {
        const wasmill_header *header = &event->headers.items[i];
        if (header->name.len != len) continue;
        size_t same = 0;
        while (same < len && lower(header->name.ptr[same]) == lower(name[same])) same++;
        if (same == len) return (wasmill_maybe){true, header->value};
    }
    return (wasmill_maybe){false, NOTHING};
}

void wasmill_log(wasmill_level level, const char *message, const wasmill_header *fields, size_t count) {
    wasmill_header *sound = wasmill_alloc(count * sizeof *sound);
    for (size_t i = 0; i < count; i++) {
        sound[i] = (wasmill_header){wasmill_lossy(fields[i].name), wasmill_lossy(fields[i].value)};
    }
    wasmill_host_log(level, wasmill_lossy(wasmill_s(message)), (wasmill_headers){sound, count});
}

wasmill_header wasmill_field_str(const char *name, wasmill_str value) {
    return (wasmill_header){wasmill_s(name), value};
}

wasmill_header wasmill_field_text(const char *name, const char *value) {
    return wasmill_field_str(name, wasmill_s(value));
}

wasmill_header wasmill_field_bool(const char *name, bool value) {
    return wasmill_field_text(name, value ? "true" : "false");
}

wasmill_header wasmill_field_number(const char *name, double value) {
    wasmill_writer out = {0};
    wasmill_put_number(&out, NULL, value);
    return wasmill_field_str(name, wasmill_written(&out));
}

wasmill_header wasmill_field_integer(const char *name, int64_t value) {
    return wasmill_field_str(name, wasmill_format("%lld", (long long)value));
}

wasmill_header wasmill_field_unsigned(const char *name, uint64_t value) {
    return wasmill_field_str(name, wasmill_format("%llu", (unsigned long long)value));
}

wasmill_maybe wasmill_config(const char *key) {
    return wasmill_host_config_get(wasmill_s(key));
}

wasmill_str wasmill_config_json(void) {
    return wasmill_host_config_json();
}

uint64_t wasmill_now(void) {
    return wasmill_host_now();
}

uint64_t wasmill_random(void) {
    return wasmill_host_random();
}

void wasmill_random_bytes(void *into, size_t len) {
    const size_t bytes_max = 65536;
    for (char *at = into; len != 0;) {
        size_t piece = len < bytes_max ? len : bytes_max;
        wasmill_host_random_bytes(at, (uint32_t)piece);
        at += piece;
        len -= piece;
    }
}
