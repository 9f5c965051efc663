#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "wasmill_internal.h"

static const wasmill_json NO_VALUE = {.kind = WASMILL_JSON_NULL, .name = {"", 0}, .text = {"null", 4}};

static const char *const KINDS[] = {"null", "a boolean", "a boolean", "a number", "a string", "an array", "an object"};

static void fault_at(wasmill_reader *in, size_t offset, wasmill_str what) {
    if (in->failed) return;
    size_t line = 1, begin = 0;
    for (size_t i = 0; i < offset && i < in->text.len; i++) {
        if (in->text.ptr[i] == '\n') {
            line++;
            begin = i + 1;
        }
    }
    in->failed = true;
    in->fault = wasmill_lossy(
        wasmill_format("%s: %.*s at line %zu column %zu", in->what, (int)what.len, what.ptr, line, offset - begin + 1));
}

void wasmill_fault(wasmill_reader *in, const wasmill_json *value, const char *format, ...) {
    if (in->failed) return;
    va_list args;
    va_start(args, format);
    fault_at(in, value->begin, wasmill_vformat(format, args));
    va_end(args);
}

/* A parser: where it stands in the reader's text. */
typedef struct {
    wasmill_reader *in;
    const char *begin;
    const char *at;
    const char *end;
} parser;

static bool fail(parser *p, const char *what) {
    fault_at(p->in, (size_t)(p->at - p->begin), wasmill_s(p->at == p->end ? "the text ends too early" : what));
    return false;
}

static void skip_space(parser *p) {
    while (p->at < p->end && (*p->at == ' ' || *p->at == '\n' || *p->at == '\t' || *p->at == '\r')) p->at++;
}

static bool is_digit(const parser *p) {
    return p->at < p->end && *p->at >= '0' && *p->at <= '9';
}

static bool digits(parser *p) {
    if (!is_digit(p)) return fail(p, "expected a digit");
    while (is_digit(p)) p->at++;
    return true;
}

static bool number(parser *p) {
    if (*p->at == '-') p->at++;
    if (p->at < p->end && *p->at == '0') {
        p->at++;
    } else if (!digits(p)) {
        return false;
    }
    if (p->at < p->end && *p->at == '.') {
        p->at++;
        if (!digits(p)) return false;
    }
    if (p->at < p->end && (*p->at == 'e' || *p->at == 'E')) {
        p->at++;
        if (p->at < p->end && (*p->at == '+' || *p->at == '-')) p->at++;
        if (!digits(p)) return false;
    }
    return true;
}

static bool hex4(parser *p, uint32_t *unit) {
    *unit = 0;
    for (int i = 0; i < 4; i++, p->at++) {
        if (p->at == p->end) return fail(p, "");
        char c = *p->at;
        uint32_t digit = c >= '0' && c <= '9' ? (uint32_t)(c - '0') : ((uint32_t)c | 32) - 'a' + 10;
        if (digit > 15) return fail(p, "expected four hexadecimal digits");
        *unit = *unit << 4 | digit;
    }
    return true;
}

static char *put_utf8(char *to, uint32_t code) {
    if (code < 0x80) {
        *to++ = (char)code;
        return to;
    }
    int more = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
    static const unsigned char lead[] = {0, 0xC0, 0xE0, 0xF0};
    *to++ = (char)(lead[more] | code >> (6 * more));
    while (more-- > 0) *to++ = (char)(0x80 | (code >> (6 * more) & 0x3F));
    return to;
}

/* What follows `\u`; a pair of them where one is half a character. */
static bool unicode_escape(parser *p, char **to) {
    uint32_t code, low;
    if (!hex4(p, &code)) return false;
    if (code >= 0xDC00 && code <= 0xDFFF) return fail(p, "half a surrogate pair");
    if (code >= 0xD800 && code <= 0xDBFF) {
        if (p->end - p->at < 2 || p->at[0] != '\\' || p->at[1] != 'u') return fail(p, "half a surrogate pair");
        p->at += 2;
        if (!hex4(p, &low)) return false;
        if (low < 0xDC00 || low > 0xDFFF) return fail(p, "half a surrogate pair");
        code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
    }
    *to = put_utf8(*to, code);
    return true;
}

static bool escape(parser *p, char **to) {
    static const char names[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
    if (++p->at == p->end) return fail(p, "");
    if (*p->at == 'u') {
        p->at++;
        return unicode_escape(p, to);
    }
    const char *name = memchr(names, *p->at, sizeof names - 1);
    if (name == NULL) return fail(p, "unknown escape");
    p->at++;
    *(*to)++ = meanings[name - names];
    return true;
}

/* A string, copied: with its escapes undone, and a zero byte behind. */
static bool string(parser *p, wasmill_str *text) {
    const char *from = ++p->at;
    /* The copy is never longer: find the end first. */
    const char *close = from;
    while (close < p->end && *close != '"') close += *close == '\\' ? 2 : 1;
    size_t room = (size_t)((close < p->end ? close : p->end) - from);
    char *made = wasmill_realloc(NULL, 0, 1, room + 1);
    char *to = made;
    for (;;) {
        if (p->at == p->end) return fail(p, "");
        unsigned char c = (unsigned char)*p->at;
        if (c == '"') break;
        if (c == '\\') {
            if (!escape(p, &to)) return false;
            continue;
        }
        if (c < 0x20) return fail(p, "a control character in a string");
        size_t len = wasmill_utf8_sequence(p->at, (size_t)(p->end - p->at));
        if (len == 0) return fail(p, "bytes that are no UTF-8");
        memcpy(to, p->at, len);
        to += len;
        p->at += len;
    }
    p->at++;
    *to = 0;
    *text = (wasmill_str){made, (size_t)(to - made)};
    return true;
}

static bool word(parser *p, const char *word) {
    size_t len = strlen(word);
    if ((size_t)(p->end - p->at) < len || memcmp(p->at, word, len) != 0) return fail(p, "this is no JSON");
    p->at += len;
    return true;
}

static bool value(parser *p, wasmill_json *into, int depth);

/* What lies between brackets; the values of an object have names. */
static bool values(parser *p, wasmill_json *into, int depth) {
    bool named = into->kind == WASMILL_JSON_OBJECT;
    char close = named ? '}' : ']';
    wasmill_json **last = &into->first;
    if (depth == WASMILL_JSON_DEPTH_MAX) return fail(p, "more than 128 arrays and objects within each other");
    p->at++;
    skip_space(p);
    if (p->at < p->end && *p->at == close) {
        p->at++;
        return true;
    }
    for (;;) {
        wasmill_json *item = wasmill_alloc(sizeof *item);
        *item = NO_VALUE;
        skip_space(p);
        if (named) {
            if (p->at == p->end || *p->at != '"') return fail(p, "expected a name in quotes");
            if (!string(p, &item->name)) return false;
            skip_space(p);
            if (p->at == p->end || *p->at != ':') return fail(p, "expected a colon");
            p->at++;
        }
        if (!value(p, item, depth + 1)) return false;
        *last = item;
        last = &item->next;
        skip_space(p);
        if (p->at == p->end) return fail(p, "");
        char c = *p->at;
        if (c != ',' && c != close) return fail(p, named ? "expected a comma or }" : "expected a comma or ]");
        p->at++;
        if (c == close) return true;
    }
}

static bool value(parser *p, wasmill_json *into, int depth) {
    skip_space(p);
    const char *from = p->at;
    bool good;
    into->begin = (uint32_t)(from - p->begin);
    switch (p->at == p->end ? 0 : *p->at) {
    case '{': into->kind = WASMILL_JSON_OBJECT; good = values(p, into, depth); break;
    case '[': into->kind = WASMILL_JSON_ARRAY; good = values(p, into, depth); break;
    case '"': into->kind = WASMILL_JSON_STRING; return string(p, &into->text);
    case 't': into->kind = WASMILL_JSON_TRUE; good = word(p, "true"); break;
    case 'f': into->kind = WASMILL_JSON_FALSE; good = word(p, "false"); break;
    case 'n': into->kind = WASMILL_JSON_NULL; good = word(p, "null"); break;
    default:
        into->kind = WASMILL_JSON_NUMBER;
        if (p->at == p->end || (*p->at != '-' && !is_digit(p))) return fail(p, "this is no JSON");
        good = number(p);
    }
    into->text = (wasmill_str){from, (size_t)(p->at - from)};
    return good;
}

wasmill_reader wasmill_read(const char *what, wasmill_str text) {
    wasmill_reader in = {.root = &NO_VALUE, .fault = {"", 0}, .what = what, .text = text};
    parser p = {&in, text.ptr, text.ptr, text.ptr + text.len};
    wasmill_json *root = wasmill_alloc(sizeof *root);
    *root = NO_VALUE;
    if (!value(&p, root, 0)) return in;
    skip_space(&p);
    if (p.at != p.end) {
        fail(&p, "there is more behind the value");
        return in;
    }
    in.root = root;
    return in;
}

wasmill_reader wasmill_payload(const wasmill_event *event) {
    return wasmill_read("payload", event->data);
}

wasmill_reader wasmill_settings(void) {
    wasmill_reader in = wasmill_read("config", wasmill_config_json());
    in.is_config = true;
    return in;
}

wasmill_answer wasmill_refuse(const wasmill_reader *in) {
    int len = (int)in->fault.len;
    if (!in->is_config) return wasmill_reject("%.*s", len, in->fault.ptr);
    return wasmill_retry("%.*s; correct the [config] table of the plugin's manifest", len, in->fault.ptr);
}

const wasmill_json *wasmill_find(wasmill_reader *in, const wasmill_json *object, const char *name) {
    const wasmill_json *found = NULL;
    if (in->failed) return NULL;
    if (object->kind != WASMILL_JSON_OBJECT) {
        wasmill_fault(in, object, "expected an object, found %s", KINDS[object->kind]);
        return NULL;
    }
    for (const wasmill_json *field = object->first; field != NULL; field = field->next) {
        if (!wasmill_is(field->name, name)) continue;
        if (found != NULL) {
            wasmill_fault(in, field, "field `%s` stands there twice", name);
            return NULL;
        }
        found = field;
    }
    return found == NULL || found->kind == WASMILL_JSON_NULL ? NULL : found;
}

static const wasmill_json *need(wasmill_reader *in, const wasmill_json *object, const char *name) {
    const wasmill_json *found = wasmill_find(in, object, name);
    if (found != NULL) return found;
    wasmill_fault(in, object, "missing field `%s`", name);
    return &NO_VALUE;
}

/* A fault of a value, with its name if it has one. */
static void fault_of(wasmill_reader *in, const wasmill_json *value, wasmill_str what) {
    if (value->name.len == 0) {
        wasmill_fault(in, value, "%s", what.ptr);
    } else {
        wasmill_fault(in, value, "`%s`: %s", value->name.ptr, what.ptr);
    }
}

static bool is_kind(wasmill_reader *in, const wasmill_json *value, wasmill_json_kind kind) {
    if (in->failed) return false;
    if (value->kind == kind) return true;
    fault_of(in, value, wasmill_format("expected %s, found %s", KINDS[kind], KINDS[value->kind]));
    return false;
}

wasmill_str wasmill_as_string(wasmill_reader *in, const wasmill_json *value) {
    return is_kind(in, value, WASMILL_JSON_STRING) ? value->text : wasmill_s("");
}

static wasmill_str number_text(wasmill_reader *in, const wasmill_json *value) {
    if (!is_kind(in, value, WASMILL_JSON_NUMBER)) return wasmill_s("0");
    return wasmill_format("%.*s", (int)value->text.len, value->text.ptr);
}

double wasmill_as_number(wasmill_reader *in, const wasmill_json *value) {
    double number = strtod(number_text(in, value).ptr, NULL);
    if (number - number == 0) return number;
    fault_of(in, value, wasmill_s("the number is out of range"));
    return 0;
}

int64_t wasmill_as_integer(wasmill_reader *in, const wasmill_json *value) {
    char *end;
    errno = 0;
    long long number = strtoll(number_text(in, value).ptr, &end, 10);
    if (*end == 0 && errno == 0) return number;
    fault_of(in, value, wasmill_s("expected an integer of 64 bits"));
    return 0;
}

bool wasmill_as_bool(wasmill_reader *in, const wasmill_json *value) {
    return value->kind == WASMILL_JSON_TRUE || (is_kind(in, value, WASMILL_JSON_FALSE) && false);
}

wasmill_str wasmill_read_string(wasmill_reader *in, const wasmill_json *object, const char *name) {
    return wasmill_as_string(in, need(in, object, name));
}

double wasmill_read_number(wasmill_reader *in, const wasmill_json *object, const char *name) {
    return wasmill_as_number(in, need(in, object, name));
}

int64_t wasmill_read_integer(wasmill_reader *in, const wasmill_json *object, const char *name) {
    return wasmill_as_integer(in, need(in, object, name));
}

bool wasmill_read_bool(wasmill_reader *in, const wasmill_json *object, const char *name) {
    return wasmill_as_bool(in, need(in, object, name));
}

const wasmill_json *wasmill_read_array(wasmill_reader *in, const wasmill_json *object, const char *name) {
    const wasmill_json *found = need(in, object, name);
    return is_kind(in, found, WASMILL_JSON_ARRAY) ? found : &NO_VALUE;
}

const wasmill_json *wasmill_read_object(wasmill_reader *in, const wasmill_json *object, const char *name) {
    const wasmill_json *found = need(in, object, name);
    return is_kind(in, found, WASMILL_JSON_OBJECT) ? found : &NO_VALUE;
}
