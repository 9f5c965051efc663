#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wasmill_internal.h"

static void put(wasmill_writer *out, const char *bytes, size_t len) {
    if (out->room - out->len < len) {
        size_t room = out->room < 128 ? 128 : 2 * out->room;
        if (room - out->len < len) room = out->len + len;
        out->ptr = wasmill_realloc(out->ptr, out->room, 1, room);
        out->room = room;
    }
    memcpy(out->ptr + out->len, bytes, len);
    out->len += len;
}

static void put_c(wasmill_writer *out, const char *text) {
    put(out, text, strlen(text));
}

static void put_quoted(wasmill_writer *out, wasmill_str text) {
    static const char hex[] = "0123456789abcdef", escaped[] = "\"\\\b\f\n\r\t", names[] = "\"\\bfnrt";
    put(out, "\"", 1);
    size_t from = 0;
    for (size_t at = 0; at < text.len;) {
        unsigned char c = (unsigned char)text.ptr[at];
        size_t len = c < 0x20 || c == '"' || c == '\\' ? 0 : wasmill_utf8_sequence(text.ptr + at, text.len - at);
        if (len != 0) {
            at += len;
            continue;
        }
        put(out, text.ptr + from, at - from);
        from = ++at;
        const char *known = c == 0 ? NULL : memchr(escaped, c, sizeof escaped - 1);
        if (known != NULL) {
            put(out, (char[]){'\\', names[known - escaped]}, 2);
        } else if (c < 0x20) {
            put(out, (char[]){'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]}, 6);
        } else {
            put_c(out, "\xEF\xBF\xBD");
        }
    }
    put(out, text.ptr + from, text.len - from);
    put(out, "\"", 1);
}

/* What stands before every value. */
static void begin(wasmill_writer *out, const char *name) {
    bool in_object = out->depth != 0 && (out->arrays >> (out->depth - 1) & 1) == 0;
    if (in_object != (name != NULL)) {
        wasmill_panic(in_object ? "JSON: a field of an object needs a name" : "JSON: %s has a name, but is in no object",
                      name);
    }
    if (out->needs_comma) put(out, ",", 1);
    out->needs_comma = true;
    if (name == NULL) return;
    put_quoted(out, wasmill_s(name));
    put(out, ":", 1);
}

static void open(wasmill_writer *out, const char *name, const char *bracket, uint64_t is_array) {
    begin(out, name);
    put_c(out, bracket);
    if (out->depth == 64) wasmill_panic("JSON: more than 64 arrays and objects are open");
    out->arrays = (out->arrays & ~((uint64_t)1 << out->depth)) | is_array << out->depth;
    out->depth++;
    out->needs_comma = false;
}

void wasmill_open_object(wasmill_writer *out, const char *name) {
    open(out, name, "{", 0);
}

void wasmill_open_array(wasmill_writer *out, const char *name) {
    open(out, name, "[", 1);
}

void wasmill_close(wasmill_writer *out) {
    if (out->depth == 0) wasmill_panic("JSON: nothing is open that could be closed");
    out->depth--;
    put_c(out, (out->arrays >> out->depth & 1) != 0 ? "]" : "}");
    out->needs_comma = true;
}

void wasmill_put_string(wasmill_writer *out, const char *name, wasmill_str value) {
    begin(out, name);
    put_quoted(out, value);
}

void wasmill_put_text(wasmill_writer *out, const char *name, const char *value) {
    wasmill_put_string(out, name, wasmill_s(value));
}

/* The fewest digits that read as the same number. */
static void shortest(double value, char *text, size_t size) {
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, size, "%.*g", digits, value);
        if (strtod(text, NULL) == value) return;
    }
}

void wasmill_put_number(wasmill_writer *out, const char *name, double value) {
    char text[32];
    if (value - value != 0) {
        wasmill_put_null(out, name);
    } else if (value > -1e15 && value < 1e15 && (double)(int64_t)value == value) {
        wasmill_put_integer(out, name, (int64_t)value);
    } else {
        begin(out, name);
        shortest(value, text, sizeof text);
        put_c(out, text);
    }
}

void wasmill_put_integer(wasmill_writer *out, const char *name, int64_t value) {
    char text[24];
    begin(out, name);
    snprintf(text, sizeof text, "%lld", (long long)value);
    put_c(out, text);
}

void wasmill_put_bool(wasmill_writer *out, const char *name, bool value) {
    begin(out, name);
    put_c(out, value ? "true" : "false");
}

void wasmill_put_null(wasmill_writer *out, const char *name) {
    begin(out, name);
    put_c(out, "null");
}

void wasmill_put_json(wasmill_writer *out, const char *name, wasmill_str json) {
    begin(out, name);
    put(out, json.ptr, json.len);
}

wasmill_str wasmill_written(const wasmill_writer *out) {
    if (out->depth != 0) wasmill_panic("JSON: %u arrays and objects are still open", (unsigned)out->depth);
    return wasmill_format("%.*s", (int)out->len, out->ptr);
}

wasmill_output wasmill_json_output(const char *subject, const wasmill_writer *out) {
    if (out->depth != 0) wasmill_panic("JSON: %u arrays and objects are still open", (unsigned)out->depth);
    wasmill_output output = wasmill_bytes(subject, out->ptr, out->len);
    return wasmill_with_header(output, wasmill_s("content-type"), wasmill_s("application/json"));
}
