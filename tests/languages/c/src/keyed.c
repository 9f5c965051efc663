/* What needs a key: scripts of commands on state, timers and tables; `../README.md` says what each does. */
#include "keyed.h"

#include <stdlib.h>
#include <string.h>

/* The text up to the first of these letters, which is taken from `rest` with it. */
static wasmill_str until(wasmill_str *rest, char end) {
    const char *found = memchr(rest->ptr, end, rest->len);
    wasmill_str piece = {rest->ptr, found == NULL ? rest->len : (size_t)(found - rest->ptr)};
    size_t taken = piece.len + (found == NULL ? 0 : 1);
    *rest = (wasmill_str){rest->ptr + taken, rest->len - taken};
    return piece;
}

static wasmill_str word(wasmill_str *rest) {
    return until(rest, ' ');
}

/* The same text with a zero byte behind. */
static const char *c_string(wasmill_str text) {
    return wasmill_format("%.*s", (int)text.len, text.ptr).ptr;
}

static wasmill_str joined(wasmill_str first, wasmill_str second) {
    char *made = wasmill_alloc(first.len + second.len + 1);
    memcpy(made, first.ptr, first.len);
    memcpy(made + first.len, second.ptr, second.len);
    made[first.len + second.len] = 0;
    return (wasmill_str){made, first.len + second.len};
}

static wasmill_str found(wasmill_maybe value) {
    return value.is_some ? joined(wasmill_s("value "), value.value) : wasmill_s("none");
}

static wasmill_str refusal(wasmill_refusal why) {
    unsigned long long limit = why.limit;
    switch (why.kind) {
    case WASMILL_NO_KEY: return wasmill_s("error no-key");
    case WASMILL_TOO_LARGE: return wasmill_format("error too-large %llu", limit);
    case WASMILL_TOO_MANY: return wasmill_format("error too-many %llu", limit);
    case WASMILL_BAD_NAME: return wasmill_s("error bad-name");
    case WASMILL_NOT_GRANTED: return wasmill_s("error not-granted");
    default: return wasmill_s("error not-ready");
    }
}

/* What a line's command answers; false if there is no such command. */
static bool command(wasmill_str name, wasmill_str rest, wasmill_refusal *why, wasmill_str *answer) {
    wasmill_maybe value;
    wasmill_strs names;
    *answer = wasmill_s("ok");
    if (wasmill_is(name, "get")) {
        *why = wasmill_state_get(rest, &value);
        *answer = found(value);
    } else if (wasmill_is(name, "set")) {
        wasmill_str field = word(&rest);
        *why = wasmill_state_set(field, rest);
    } else if (wasmill_is(name, "delete")) {
        *why = wasmill_state_delete(rest);
    } else if (wasmill_is(name, "names")) {
        *why = wasmill_state_names(rest, &names);
        *answer = wasmill_s("names");
        for (size_t i = 0; i < names.count; i++) *answer = joined(joined(*answer, wasmill_s(" ")), names.items[i]);
    } else if (wasmill_is(name, "at")) {
        wasmill_str timer = word(&rest), due = word(&rest);
        *why = wasmill_timer_set(timer, strtoull(c_string(due), NULL, 10), rest);
    } else if (wasmill_is(name, "after")) {
        wasmill_str timer = word(&rest), ms = word(&rest);
        *why = wasmill_timer_after(timer, strtoull(c_string(ms), NULL, 10), rest);
    } else if (wasmill_is(name, "cancel")) {
        *why = wasmill_timer_cancel(rest);
    } else if (wasmill_is(name, "lookup")) {
        wasmill_str table = word(&rest);
        *why = wasmill_lookup(table, rest, &value);
        *answer = found(value);
    } else if (wasmill_is(name, "count")) {
        wasmill_str field = word(&rest);
        int64_t count = 0;
        *why = wasmill_state_add(field, strtoll(c_string(rest), NULL, 10), &count);
        *answer = wasmill_format("value %lld", (long long)count);
    } else {
        return false;
    }
    return true;
}

/* Puts the answers to a script, one a line, into `answers`; what the call ends with, if it fails, into `failure`. */
static bool run(wasmill_str text, wasmill_str *answers, wasmill_answer *failure) {
    *answers = wasmill_s("");
    for (wasmill_str rest = text; text.len > 0;) {
        bool is_last = memchr(rest.ptr, '\n', rest.len) == NULL;
        wasmill_str line = until(&rest, '\n'), first = word(&line), answer;
        wasmill_refusal why;
        if (wasmill_is(first, "fail")) {
            *failure = wasmill_reject("never: ü");
            return false;
        }
        if (!command(first, line, &why, &answer)) {
            *failure = wasmill_reject("unknown command %s", c_string(first));
            return false;
        }
        *answers = joined(*answers, why.kind == WASMILL_OK ? answer : refusal(why));
        if (is_last) return true;
        *answers = joined(*answers, wasmill_s("\n"));
    }
    return true;
}

wasmill_answer script(const wasmill_event *event) {
    wasmill_str answers;
    wasmill_answer failure;
    if (!run(event->data, &answers, &failure)) return failure;
    return wasmill_one(wasmill_bytes("conformance.out", answers.ptr, answers.len));
}

wasmill_answer swap(const wasmill_event *event) {
    wasmill_maybe before;
    wasmill_refusal why = wasmill_state_get(wasmill_s("raw"), &before);
    if (why.kind == WASMILL_OK) why = wasmill_state_set(wasmill_s("raw"), event->data);
    if (why.kind != WASMILL_OK) return wasmill_refused(why);
    wasmill_output output = wasmill_bytes("conformance.out", before.value.ptr, before.value.len);
    return wasmill_one(wasmill_with_header(output, wasmill_s("x-before"), wasmill_s(before.is_some ? "yes" : "no")));
}

static wasmill_answer on_timer(const wasmill_timer *timer) {
    wasmill_str answers;
    wasmill_answer failure;
    if (!run(timer->data, &answers, &failure)) return failure;
    wasmill_output output = wasmill_bytes("conformance.out.timer", answers.ptr, answers.len);
    wasmill_str due = wasmill_format("%llu", (unsigned long long)timer->due_ns);
    wasmill_str now = wasmill_format("%llu", (unsigned long long)wasmill_now());
    wasmill_headers headers = {0};
    wasmill_add_header(&headers, wasmill_s("x-name"), timer->name);
    wasmill_add_header(&headers, wasmill_s("x-key"), timer->key);
    wasmill_add_header(&headers, wasmill_s("x-due"), due);
    wasmill_add_header(&headers, wasmill_s("x-now"), now);
    output.headers = headers;
    return wasmill_one(output);
}

static wasmill_migrated migrate(wasmill_str from, wasmill_str name, wasmill_str value) {
    if (wasmill_is(name, "drop")) return wasmill_migrate_delete();
    if (wasmill_is(name, "bad")) return wasmill_migrate_fail("bad of %s", c_string(from));
    return wasmill_migrate_to(joined(joined(from, wasmill_s(":")), value));
}

WASMILL_TIMERS(on_timer)
WASMILL_MIGRATE(migrate)
