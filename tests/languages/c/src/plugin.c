/* The conformance plugin in C; `../README.md` says what it does. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "keyed.h"

static const char OUT[] = "conformance.out";

WASMILL_DESCRIPTION(.name = "conformance", .version = "1.2.3", .summary = "Does what every language must",
                    .subjects = "conformance.in.>", .emits = "conformance.out.>")

static wasmill_answer echo(const wasmill_event *event) {
    wasmill_headers headers = {0};
    wasmill_add_header(&headers, wasmill_s("x-id"), event->id);
    wasmill_add_header(&headers, wasmill_s("x-source"), event->source);
    wasmill_add_header(&headers, wasmill_s("x-type"), event->type);
    wasmill_add_header(&headers, wasmill_s("x-subject"), event->subject);
    wasmill_str time = wasmill_format("%llu", (unsigned long long)event->time_ns);
    wasmill_add_header(&headers, wasmill_s("x-time"), time);
    if (event->key.is_some) wasmill_add_header(&headers, wasmill_s("x-key"), event->key.value);
    wasmill_add_header(&headers, wasmill_s("x-attempt"), wasmill_format("%u", (unsigned)event->attempt));
    if (event->reply_to.is_some) wasmill_add_header(&headers, wasmill_s("x-reply-to"), event->reply_to.value);
    for (size_t i = 0; i < event->headers.count; i++) {
        const wasmill_header *header = &event->headers.items[i];
        wasmill_add_header(&headers, wasmill_format("x-h-%s", header->name.ptr), header->value);
    }
    wasmill_output output = wasmill_bytes(OUT, event->data.ptr, event->data.len);
    output.headers = headers;
    return wasmill_one(wasmill_with_type(output, event->type));
}

static wasmill_answer plain(const wasmill_event *event) {
    (void)event;
    return wasmill_one(wasmill_text(OUT, "plain"));
}

static void put_reversed(wasmill_writer *out, wasmill_reader *in, const wasmill_json *tag, int64_t *count) {
    if (tag == NULL) return;
    put_reversed(out, in, tag->next, count);
    wasmill_put_string(out, NULL, wasmill_as_string(in, tag));
    *count += 1;
}

static wasmill_answer transform(const wasmill_event *event) {
    wasmill_reader in = wasmill_payload(event);
    wasmill_writer out = {0};
    int64_t count = 0;
    wasmill_open_object(&out, NULL);
    wasmill_put_string(&out, "id", wasmill_read_string(&in, in.root, "id"));
    wasmill_put_number(&out, "doubled", 2 * wasmill_read_number(&in, in.root, "amount"));
    wasmill_put_string(&out, "name", wasmill_read_string(&in, in.root, "name"));
    wasmill_open_array(&out, "tags");
    put_reversed(&out, &in, wasmill_read_array(&in, in.root, "tags")->first, &count);
    wasmill_close(&out);
    wasmill_put_integer(&out, "count", count);
    wasmill_close(&out);
    return in.failed ? wasmill_refuse(&in) : wasmill_one(wasmill_json_output(OUT, &out));
}

static wasmill_answer many(const wasmill_event *event) {
    wasmill_reader in = wasmill_payload(event);
    int64_t count = wasmill_read_integer(&in, in.root, "count");
    if (in.failed) return wasmill_refuse(&in);
    wasmill_outputs outputs = {0};
    for (int64_t i = 0; i < count; i++) {
        wasmill_str number = wasmill_format("%lld", (long long)i);
        wasmill_add(&outputs, wasmill_text(wasmill_format("%s.%s", OUT, number.ptr).ptr, number.ptr));
    }
    return wasmill_all(&outputs);
}

static wasmill_answer none(const wasmill_event *event) {
    (void)event;
    return wasmill_nothing();
}

static wasmill_answer retry(const wasmill_event *event) {
    (void)event;
    return wasmill_retry_after(1500, "not yet: ü");
}

static wasmill_answer retry_default(const wasmill_event *event) {
    (void)event;
    return wasmill_retry("whenever");
}

static wasmill_answer reject(const wasmill_event *event) {
    (void)event;
    return wasmill_reject("never: ü");
}

static __attribute__((noinline)) wasmill_answer explode(void) {
    return wasmill_raise("boom");
}

static wasmill_answer raise_(const wasmill_event *event) {
    (void)event;
    return explode();
}

static wasmill_answer trap(const wasmill_event *event) {
    (void)event;
    abort();
}

static volatile uint64_t turns;

static wasmill_answer loop(const wasmill_event *event) {
    (void)event;
    for (;;) turns++;
}

static wasmill_answer hog(const wasmill_event *event) {
    (void)event;
    for (;;) memset(wasmill_alloc(1024 * 1024), 1, 1024 * 1024);
}

static __attribute__((noinline)) uint64_t dig(uint64_t depth) {
    turns = depth;
    return turns == depth ? dig(depth + 1) ^ turns : 0;
}

static wasmill_answer deep(const wasmill_event *event) {
    return wasmill_one(wasmill_text(OUT, wasmill_format("%llu", (unsigned long long)dig(event->attempt)).ptr));
}

static wasmill_str setting(const char *key) {
    wasmill_maybe value = wasmill_config(key);
    return value.is_some ? value.value : wasmill_s("none");
}

static wasmill_answer config(const wasmill_event *event) {
    (void)event;
    wasmill_str json = wasmill_config_json();
    wasmill_output output = wasmill_bytes(OUT, json.ptr, json.len);
    output = wasmill_with_header(output, wasmill_s("x-limit"), setting("limit"));
    return wasmill_one(wasmill_with_header(output, wasmill_s("x-missing"), setting("missing")));
}

static wasmill_answer log_lines(const wasmill_event *event) {
    (void)event;
    for (int n = 1; n <= 5; n++) {
        const wasmill_header fields[] = {wasmill_field("n", n), wasmill_field("lang", "c")};
        wasmill_log((wasmill_level)(n - 1), "line ü", fields, 2);
    }
    return wasmill_nothing();
}

static wasmill_answer print(const wasmill_event *event) {
    (void)event;
    puts("printed ü");
    fflush(stdout);
    return wasmill_nothing();
}

static wasmill_answer clock_(const wasmill_event *event) {
    (void)event;
    return wasmill_one(wasmill_text(OUT, wasmill_format("%llu", (unsigned long long)wasmill_now()).ptr));
}

static wasmill_answer random_(const wasmill_event *event) {
    (void)event;
    unsigned long long first = wasmill_random(), second = wasmill_random();
    unsigned char bytes[8];
    wasmill_random_bytes(bytes, sizeof bytes);
    wasmill_str text = wasmill_format("%016llx %016llx %02x%02x%02x%02x%02x%02x%02x%02x", first, second, bytes[0],
                                      bytes[1], bytes[2], bytes[3], bytes[4], bytes[5], bytes[6], bytes[7]);
    return wasmill_one(wasmill_text(OUT, text.ptr));
}

static unsigned counted;

static wasmill_answer count(const wasmill_event *event) {
    (void)event;
    return wasmill_one(wasmill_text(OUT, wasmill_format("%u", ++counted).ptr));
}

static const struct {
    const char *token;
    wasmill_answer (*handle)(const wasmill_event *);
} HANDLERS[] = {
    {"echo", echo},     {"plain", plain},   {"transform", transform}, {"many", many}, {"none", none},
    {"retry", retry},   {"retry-default", retry_default},             {"reject", reject},
    {"raise", raise_},  {"trap", trap},     {"loop", loop},           {"hog", hog},   {"deep", deep},
    {"config", config}, {"log", log_lines}, {"print", print},         {"clock", clock_},
    {"random", random_}, {"count", count}, {"script", script},     {"swap", swap},
};

wasmill_answer wasmill_handle(const wasmill_event *event) {
    const char *dot = strrchr(event->subject.ptr, '.');
    const char *token = dot == NULL ? event->subject.ptr : dot + 1;
    for (size_t i = 0; i < sizeof HANDLERS / sizeof HANDLERS[0]; i++) {
        if (strcmp(HANDLERS[i].token, token) == 0) return HANDLERS[i].handle(event);
    }
    return wasmill_reject("unknown token %s", token);
}
