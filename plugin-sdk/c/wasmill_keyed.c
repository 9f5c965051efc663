/* State, timers, lookup and migration, as authors see them. */
#include "wasmill_internal.h"

/* The engine takes no other strings, and ends the instance for one. */
static bool is_text(wasmill_str name) {
    return wasmill_is_utf8(name);
}

static wasmill_refusal bad_name(void) {
    return (wasmill_refusal){WASMILL_BAD_NAME, 0};
}

wasmill_answer wasmill_refused(wasmill_refusal why) {
    unsigned long long limit = why.limit;
    switch (why.kind) {
    case WASMILL_NO_KEY:
        return wasmill_retry("the plugin has no key, so no state and no timers; set `key` in the plugin's manifest");
    case WASMILL_TOO_LARGE: return wasmill_reject("the key's record would pass its limit of %llu bytes", limit);
    case WASMILL_TOO_MANY: return wasmill_reject("the key has %llu timers, as many as it may have", limit);
    case WASMILL_BAD_VALUE: return wasmill_retry("a state field holds no count: migrate it, or delete it");
    case WASMILL_OVERFLOW: return wasmill_reject("a count in the state overflows");
    case WASMILL_NOT_GRANTED:
        return wasmill_retry("a lookup table is not granted; name it in [lookup] of the plugin's manifest");
    case WASMILL_NOT_READY: return wasmill_retry("a lookup table is not loaded yet");
    case WASMILL_BAD_NAME: return wasmill_reject("the name of a state field or timer is 1 to 256 bytes of UTF-8");
    default: return wasmill_nothing();
    }
}

wasmill_refusal wasmill_state_get(wasmill_str name, wasmill_maybe *value) {
    *value = (wasmill_maybe){false, {"", 0}};
    return is_text(name) ? wasmill_host_state_get(name, value) : bad_name();
}

wasmill_refusal wasmill_state_set(wasmill_str name, wasmill_str value) {
    return is_text(name) ? wasmill_host_state_set(name, value) : bad_name();
}

wasmill_refusal wasmill_state_delete(wasmill_str name) {
    return is_text(name) ? wasmill_host_state_delete(name) : bad_name();
}

wasmill_refusal wasmill_state_names(wasmill_str prefix, wasmill_strs *names) {
    *names = (wasmill_strs){NULL, 0};
    return is_text(prefix) ? wasmill_host_state_names(prefix, names) : bad_name();
}

/* Reads a whole text as an integer of 64 bits. */
static bool integer(wasmill_str text, int64_t *number) {
    wasmill_reader in = wasmill_read("state", text);
    *number = wasmill_as_integer(&in, in.root);
    return !in.failed;
}

wasmill_refusal wasmill_state_add(wasmill_str name, int64_t more, int64_t *count) {
    wasmill_maybe held;
    wasmill_refusal why = wasmill_state_get(name, &held);
    if (why.kind != WASMILL_OK) return why;
    int64_t number = 0;
    if (held.is_some && !integer(held.value, &number)) return (wasmill_refusal){WASMILL_BAD_VALUE, 0};
    bool fits = more > 0 ? number <= INT64_MAX - more : number >= INT64_MIN - more;
    if (!fits) return (wasmill_refusal){WASMILL_OVERFLOW, 0};
    number += more;
    if (count != NULL) *count = number;
    return wasmill_state_set(name, wasmill_format("%lld", (long long)number));
}

wasmill_refusal wasmill_timer_set(wasmill_str name, uint64_t due_ns, wasmill_str data) {
    return is_text(name) ? wasmill_host_timer_set(name, due_ns, data) : bad_name();
}

wasmill_refusal wasmill_timer_after(wasmill_str name, uint64_t ms, wasmill_str data) {
    const uint64_t ns_per_ms = 1000000;
    uint64_t now = wasmill_now();
    bool fits = ms <= (UINT64_MAX - now) / ns_per_ms;
    return wasmill_timer_set(name, fits ? now + ms * ns_per_ms : UINT64_MAX, data);
}

wasmill_refusal wasmill_timer_cancel(wasmill_str name) {
    return is_text(name) ? wasmill_host_timer_cancel(name) : bad_name();
}

wasmill_refusal wasmill_lookup(wasmill_str table, wasmill_str key, wasmill_maybe *row) {
    *row = (wasmill_maybe){false, {"", 0}};
    return wasmill_host_lookup(wasmill_lossy(table), wasmill_lossy(key), row);
}

wasmill_migrated wasmill_migrate_to(wasmill_str value) {
    return (wasmill_migrated){.failed = false, .value = {true, value}};
}

wasmill_migrated wasmill_migrate_delete(void) {
    return (wasmill_migrated){.failed = false, .value = {false, {"", 0}}};
}

wasmill_migrated wasmill_migrate_fail(const char *format, ...) {
    va_list args;
    va_start(args, format);
    wasmill_str error = wasmill_lossy(wasmill_vformat(format, args));
    va_end(args);
    return (wasmill_migrated){.failed = true, .error = error};
}

const void *wasmill_answered(wasmill_answer answer) {
    static wasmill_answer kept;
    kept = wasmill_sound(answer);
    return &kept;
}

const void *wasmill_migrated_to(wasmill_migrated answer) {
    static wasmill_migrated kept;
    kept = answer;
    return &kept;
}
