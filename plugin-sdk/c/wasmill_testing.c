/* The engine that native tests have in place of the real one. */
#ifndef __wasm__

#include "wasmill_testing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wasmill_internal.h"
#include "wasmill_testing_internal.h"

enum { LINES_MAX = 1000 };

/* 2026-01-01T00:00:00Z */
static const uint64_t DEFAULT_NOW = 1767225600000000000u;

static const char *config = "{}";
static uint64_t now, seed;
static wasmill_test_line lines[LINES_MAX];
static size_t line_count;
static size_t checks, failures;

void wasmill_test_start(const char *with) {
    wasmill_reset();
    config = with;
    now = DEFAULT_NOW;
    seed = 1;
    line_count = 0;
    wasmill_test_forget();
}

void wasmill_test_set_now(uint64_t time_ns) {
    now = time_ns;
}

void wasmill_test_set_seed(uint64_t begin) {
    seed = begin;
}

wasmill_event wasmill_test_event(const char *data) {
    return (wasmill_event){
        .id = wasmill_s("test-1"),
        .source = wasmill_s("nats:TEST"),
        .type = wasmill_s("nats.message"),
        .subject = wasmill_s("test.subject"),
        .time_ns = now,
        .data = wasmill_s(data),
        .key = wasmill_test_key_of_events(),
        .attempt = 1,
    };
}

wasmill_answer wasmill_test_deliver(const wasmill_event *event) {
    wasmill_test_keep();
    return wasmill_test_ended(wasmill_sound(wasmill_handle(event)));
}

wasmill_str wasmill_test_reason(const wasmill_answer *answer) {
    if (!answer->failed) return wasmill_s("");
    switch (answer->failure.kind) {
    case WASMILL_RETRY: return answer->failure.retry.reason;
    case WASMILL_REJECT: return answer->failure.reject;
    default: return answer->failure.exception.message;
    }
}

size_t wasmill_test_line_count(void) {
    return line_count;
}

const wasmill_test_line *wasmill_test_line_at(size_t i) {
    if (i >= line_count) {
        fprintf(stderr, "there is no line %zu of the log, only %zu lines\n", i, line_count);
        exit(1);
    }
    return &lines[i];
}

bool wasmill_test_check(bool holds, const char *condition, const char *file, int line) {
    checks++;
    if (holds) return true;
    failures++;
    fprintf(stderr, "%s:%d: this does not hold: %s\n", file, line, condition);
    return false;
}

bool wasmill_test_check_text(wasmill_str found, const char *wanted, const char *file, int line) {
    checks++;
    if (wasmill_is(found, wanted)) return true;
    failures++;
    fprintf(stderr, "%s:%d:\n  wanted: %s\n  found:  %.*s\n", file, line, wanted, (int)found.len, found.ptr);
    return false;
}

int wasmill_test_end(void) {
    if (failures == 0) {
        printf("%zu checks passed\n", checks);
    } else {
        fprintf(stderr, "%zu of %zu checks failed\n", failures, checks);
    }
    return failures == 0 ? 0 : 1;
}

wasmill_str wasmill_test_copy(wasmill_str text) {
    char *made = wasmill_alloc(text.len + 1);
    if (text.len != 0) memcpy(made, text.ptr, text.len);
    made[text.len] = 0;
    return (wasmill_str){made, text.len};
}

void wasmill_host_log(wasmill_level level, wasmill_str message, wasmill_headers fields) {
    if (line_count == LINES_MAX) return;
    wasmill_header *items = wasmill_alloc(fields.count * sizeof *items);
    for (size_t i = 0; i < fields.count; i++) {
        items[i] = (wasmill_header){wasmill_test_copy(fields.items[i].name), wasmill_test_copy(fields.items[i].value)};
    }
    lines[line_count++] = (wasmill_test_line){level, wasmill_test_copy(message), {items, fields.count}};
}

uint64_t wasmill_host_now(void) {
    return now;
}

wasmill_maybe wasmill_host_config_get(wasmill_str key) {
    wasmill_reader in = wasmill_read("the test's config", wasmill_s(config));
    for (const wasmill_json *field = in.root->first; field != NULL; field = field->next) {
        bool same = field->name.len == key.len && memcmp(field->name.ptr, key.ptr, key.len) == 0;
        if (same) return (wasmill_maybe){true, wasmill_test_copy(field->text)};
    }
    return (wasmill_maybe){false, {"", 0}};
}

wasmill_str wasmill_host_config_json(void) {
    return wasmill_s(config);
}

uint64_t wasmill_host_random(void) {
    /* splitmix64 */
    uint64_t z = seed += 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}

void wasmill_host_random_bytes(void *into, uint32_t len) {
    for (uint32_t i = 0; i < len; i++) ((unsigned char *)into)[i] = (unsigned char)wasmill_host_random();
}

#endif
