/* State, timers and tables of the engine that native tests have. */
#ifndef __wasm__

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wasmill_internal.h"
#include "wasmill_testing_internal.h"

enum {
    NAME_MAX_BYTES = 256,
    TABLES_MAX = 16,
    /* What an engine counts for each beside its name and content. */
    FIELD_COST_BYTES = 8,
    TIMER_COST_BYTES = 32,
    /* What a manifest allows a key that does not say. */
    DEFAULT_RECORD_BYTES = 256 * 1024,
    DEFAULT_TIMERS = 1000,
};

/* What the key has. Lists are never changed, only replaced: one that was kept stays as it was. */
typedef struct {
    const wasmill_header *fields; /* sorted by name */
    size_t field_count;
    const wasmill_timer *timers; /* in the order in which they will fire */
    size_t timer_count;
} record;

typedef struct {
    const char *name;
    const char *rows;
} table;

static bool has_key;
static wasmill_str its_key;
static record now_has, kept;
static size_t bytes_max, timers_max;
static table tables[TABLES_MAX];
static size_t table_count;

static const wasmill_refusal OK = {WASMILL_OK, 0};

void wasmill_test_forget(void) {
    has_key = false;
    now_has = (record){0};
    table_count = 0;
}

void wasmill_test_key(const char *key) {
    has_key = true;
    its_key = wasmill_s(key);
    now_has = (record){0};
    wasmill_test_limits(DEFAULT_RECORD_BYTES, DEFAULT_TIMERS);
}

wasmill_maybe wasmill_test_key_of_events(void) {
    return (wasmill_maybe){has_key, its_key};
}

void wasmill_test_limits(size_t record_bytes, size_t timers) {
    bytes_max = record_bytes;
    timers_max = timers;
}

void wasmill_test_table(const char *name, const char *rows) {
    if (table_count == TABLES_MAX) {
        fprintf(stderr, "a test has at most %d tables\n", TABLES_MAX);
        exit(1);
    }
    tables[table_count++] = (table){name, rows};
}

void wasmill_test_keep(void) {
    kept = now_has;
}

wasmill_answer wasmill_test_ended(wasmill_answer answer) {
    if (answer.failed) now_has = kept;
    return answer;
}

static int order(wasmill_str a, wasmill_str b) {
    int first = memcmp(a.ptr, b.ptr, a.len < b.len ? a.len : b.len);
    return first != 0 ? first : (a.len > b.len) - (a.len < b.len);
}

static wasmill_refusal check(wasmill_str name) {
    if (!has_key) return (wasmill_refusal){WASMILL_NO_KEY, 0};
    return name.len == 0 || name.len > NAME_MAX_BYTES ? (wasmill_refusal){WASMILL_BAD_NAME, 0} : OK;
}

/* A copy of a list without the item at `gone`, and with room for one more. */
static void *without(const void *items, size_t count, size_t size, size_t gone) {
    char *made = wasmill_alloc((count + 1) * size);
    if (gone > 0) memcpy(made, items, gone * size);
    if (gone < count) memcpy(made + gone * size, (const char *)items + (gone + 1) * size, (count - gone - 1) * size);
    return made;
}

static size_t field_at(wasmill_str name) {
    size_t at = 0;
    while (at < now_has.field_count && order(now_has.fields[at].name, name) != 0) at++;
    return at;
}

static size_t timer_named(wasmill_str name) {
    size_t at = 0;
    while (at < now_has.timer_count && order(now_has.timers[at].name, name) != 0) at++;
    return at;
}

static size_t bytes_of(const record *it) {
    size_t bytes = it->field_count * FIELD_COST_BYTES + it->timer_count * TIMER_COST_BYTES;
    for (size_t i = 0; i < it->field_count; i++) bytes += it->fields[i].name.len + it->fields[i].value.len;
    for (size_t i = 0; i < it->timer_count; i++) bytes += it->timers[i].name.len + it->timers[i].data.len;
    return bytes;
}

static wasmill_refusal change_to(record changed) {
    if (bytes_of(&changed) > bytes_max) return (wasmill_refusal){WASMILL_TOO_LARGE, bytes_max};
    now_has = changed;
    return OK;
}

static record without_field(size_t at) {
    record changed = now_has;
    changed.fields = without(now_has.fields, now_has.field_count, sizeof *changed.fields, at);
    changed.field_count -= at < now_has.field_count;
    return changed;
}

static record without_timer(size_t at) {
    record changed = now_has;
    changed.timers = without(now_has.timers, now_has.timer_count, sizeof *changed.timers, at);
    changed.timer_count -= at < now_has.timer_count;
    return changed;
}

wasmill_refusal wasmill_host_state_get(wasmill_str name, wasmill_maybe *value) {
    size_t at = field_at(name);
    if (has_key && at < now_has.field_count) *value = (wasmill_maybe){true, now_has.fields[at].value};
    return check(name);
}

wasmill_refusal wasmill_host_state_set(wasmill_str name, wasmill_str value) {
    wasmill_refusal why = check(name);
    if (why.kind != WASMILL_OK) return why;
    record changed = without_field(field_at(name));
    wasmill_header *fields = (wasmill_header *)changed.fields;
    size_t at = changed.field_count++;
    for (; at > 0 && order(fields[at - 1].name, name) > 0; at--) fields[at] = fields[at - 1];
    fields[at] = (wasmill_header){wasmill_test_copy(name), wasmill_test_copy(value)};
    return change_to(changed);
}

wasmill_refusal wasmill_host_state_delete(wasmill_str name) {
    wasmill_refusal why = check(name);
    return why.kind == WASMILL_OK ? change_to(without_field(field_at(name))) : why;
}

wasmill_refusal wasmill_host_state_names(wasmill_str prefix, wasmill_strs *names) {
    if (!has_key) return (wasmill_refusal){WASMILL_NO_KEY, 0};
    wasmill_str *all = wasmill_alloc(now_has.field_count * sizeof *all);
    size_t count = 0;
    for (size_t i = 0; i < now_has.field_count; i++) {
        wasmill_str name = now_has.fields[i].name;
        if (name.len >= prefix.len && memcmp(name.ptr, prefix.ptr, prefix.len) == 0) all[count++] = name;
    }
    *names = (wasmill_strs){all, count};
    return OK;
}

wasmill_refusal wasmill_host_timer_set(wasmill_str name, uint64_t due_ns, wasmill_str data) {
    wasmill_refusal why = check(name);
    if (why.kind != WASMILL_OK) return why;
    record changed = without_timer(timer_named(name));
    if (changed.timer_count >= timers_max) return (wasmill_refusal){WASMILL_TOO_MANY, timers_max};
    wasmill_timer *timers = (wasmill_timer *)changed.timers;
    size_t at = changed.timer_count++;
    /* Of two that are due together the one that was set first comes first. */
    for (; at > 0 && timers[at - 1].due_ns > due_ns; at--) timers[at] = timers[at - 1];
    timers[at] = (wasmill_timer){wasmill_test_copy(name), its_key, due_ns, wasmill_test_copy(data)};
    return change_to(changed);
}

wasmill_refusal wasmill_host_timer_cancel(wasmill_str name) {
    wasmill_refusal why = check(name);
    return why.kind == WASMILL_OK ? change_to(without_timer(timer_named(name))) : why;
}

wasmill_refusal wasmill_host_lookup(wasmill_str name, wasmill_str key, wasmill_maybe *row) {
    for (size_t i = 0; i < table_count; i++) {
        if (!wasmill_is(name, tables[i].name)) continue;
        if (tables[i].rows == NULL) return (wasmill_refusal){WASMILL_NOT_READY, 0};
        wasmill_reader in = wasmill_read("the test's table", wasmill_s(tables[i].rows));
        for (const wasmill_json *it = in.root->first; it != NULL; it = it->next) {
            if (order(it->name, key) == 0) *row = (wasmill_maybe){true, it->text};
        }
        return OK;
    }
    return (wasmill_refusal){WASMILL_NOT_GRANTED, 0};
}

wasmill_maybe wasmill_test_state(const char *name) {
    wasmill_maybe value = {false, {"", 0}};
    wasmill_host_state_get(wasmill_s(name), &value);
    return value;
}

void wasmill_test_set_state(const char *name, const char *value) {
    if (wasmill_host_state_set(wasmill_s(name), wasmill_s(value)).kind == WASMILL_OK) return;
    fprintf(stderr, "the field %s cannot be set: is there a key, is it too large?\n", name);
    exit(1);
}

size_t wasmill_test_timer_count(void) {
    return now_has.timer_count;
}

const wasmill_timer *wasmill_test_timer_at(size_t i) {
    if (i >= now_has.timer_count) {
        fprintf(stderr, "there is no timer %zu, only %zu timers\n", i, now_has.timer_count);
        exit(1);
    }
    return &now_has.timers[i];
}

bool wasmill_test_fire(uint64_t until_ns, wasmill_answer (*handler)(const wasmill_timer *timer), wasmill_answer *answer) {
    if (now_has.timer_count == 0 || now_has.timers[0].due_ns > until_ns) {
        wasmill_test_set_now(until_ns);
        return false;
    }
    const wasmill_timer due = now_has.timers[0];
    now_has = without_timer(0);
    wasmill_test_set_now(due.due_ns);
    wasmill_test_keep();
    *answer = wasmill_test_ended(wasmill_sound(handler(&due)));
    return true;
}

#endif
