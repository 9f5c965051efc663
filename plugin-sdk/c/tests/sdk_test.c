/* The SDK's own tests: `cargo xtask languages --only c` runs them. */
#include <stdio.h>
#include <string.h>

#include "wasmill_testing.h"

static int what;

wasmill_answer wasmill_handle(const wasmill_event *event) {
    wasmill_outputs outputs = {0};
    if (what < 0) {
        wasmill_state_set(wasmill_s("tried"), event->key.value);
        wasmill_timer_after(wasmill_s("t"), 1000, wasmill_s(""));
        return what == -1 ? wasmill_reject("after it") : wasmill_nothing();
    }
    switch (what) {
    case 0: return wasmill_nothing();
    case 1: return wasmill_reject("no %s", "account \xFF");
    case 2: return wasmill_retry_after(5, "later");
    case 3: return wasmill_retry("whenever");
    case 4: return wasmill_raise("%d cents", 3);
    case 5: return wasmill_one(wasmill_with_header(wasmill_text("a", ""), wasmill_s("x"), wasmill_s("\xFF")));
    default:
        for (int i = 0; i < what; i++) wasmill_add(&outputs, wasmill_bytes("out", event->data.ptr, (size_t)i));
        return wasmill_all(&outputs);
    }
}

static wasmill_answer handled(int as) {
    wasmill_event event = wasmill_test_event("0123456789");
    what = as;
    return wasmill_test_deliver(&event);
}

static void answers(void) {
    wasmill_test_start("{}");
    wasmill_check(handled(0).outputs.count == 0);
    wasmill_check_text(handled(1).failure.reject, "no account \xEF\xBF\xBD");
    wasmill_answer answer = handled(2);
    wasmill_check(answer.failure.kind == WASMILL_RETRY && answer.failure.retry.after_ms == 5);
    answer = handled(3);
    wasmill_check(!answer.failure.retry.has_after);
    answer = handled(4);
    wasmill_check_text(wasmill_test_reason(&answer), "3 cents");
    wasmill_check(strstr(answer.failure.exception.trace.ptr, "wasmill_handle (") != NULL);
    answer = handled(5);
    wasmill_check_text(wasmill_test_reason(&answer), "output 0: the header `x` is no UTF-8");
    answer = handled(9);
    wasmill_check(answer.outputs.count == 9);
    wasmill_check_text(answer.outputs.items[8].data, "01234567");
}

static void fault(const char *text, const char *wanted) {
    wasmill_test_start("{}");
    wasmill_reader in = wasmill_read("payload", wasmill_s(text));
    wasmill_read_string(&in, in.root, "id");
    const wasmill_json *tags = wasmill_read_array(&in, in.root, "tags");
    for (const wasmill_json *tag = tags->first; tag != NULL; tag = tag->next) wasmill_as_integer(&in, tag);
    wasmill_read_number(&in, in.root, "amount");
    wasmill_check(in.failed);
    wasmill_check_text(in.fault, wanted);
}

static void faults(void) {
    fault("", "payload: the text ends too early at line 1 column 1");
    fault("{\"id\":", "payload: the text ends too early at line 1 column 7");
    fault("{\"id\": \"a", "payload: the text ends too early at line 1 column 10");
    fault("{\"id\": \"a\\", "payload: the text ends too early at line 1 column 11");
    fault("{\"id\": \"a\"} 1", "payload: there is more behind the value at line 1 column 13");
    fault("{\n \"id\": 7}", "payload: `id`: expected a string, found a number at line 2 column 8");
    fault("{\"id\": \"\xFF\"}", "payload: bytes that are no UTF-8 at line 1 column 9");
    fault("{\"id\": \"\\ud800\"}", "payload: half a surrogate pair at line 1 column 15");
    fault("{\"id\": \"\\x\"}", "payload: unknown escape at line 1 column 10");
    fault("{\"id\": \"\n\"}", "payload: a control character in a string at line 1 column 9");
    fault("{\"id\": 01}", "payload: expected a comma or } at line 1 column 9");
    fault("{\"id\": .5}", "payload: this is no JSON at line 1 column 8");
    fault("{\"id\" \"x\"}", "payload: expected a colon at line 1 column 7");
    fault("{id: 1}", "payload: expected a name in quotes at line 1 column 2");
    fault("[1,]", "payload: this is no JSON at line 1 column 4");
    fault("nul", "payload: this is no JSON at line 1 column 1");
    fault("[]", "payload: expected an object, found an array at line 1 column 1");
    fault("{\"id\": \"a\", \"id\": \"b\"}", "payload: field `id` stands there twice at line 1 column 19");
    fault(" {\"id\": \"a\"}", "payload: missing field `tags` at line 1 column 2");
    fault("{\"id\": \"a\", \"tags\": [1, 2.5]}", "payload: expected an integer of 64 bits at line 1 column 25");
    fault("{\"id\": \"a\", \"tags\": [9223372036854775808]}", "payload: expected an integer of 64 bits at line 1 column 22");
    fault("{\"id\": \"a\", \"tags\": [], \"amount\": 1e999}",
          "payload: `amount`: the number is out of range at line 1 column 35");
    static char deep[100001];
    memset(deep, '[', sizeof deep - 1);
    fault(deep, "payload: more than 128 arrays and objects within each other at line 1 column 129");
}

static void values(void) {
    wasmill_test_start("{}");
    wasmill_str text = wasmill_s("{\"s\": \"\\u00fc\\ud83d\\ude00\\n\\u0000\", \"n\": -1.5e1, \"i\": 7, \"t\": true, \"z\": null}");
    wasmill_reader in = wasmill_read("payload", text);
    wasmill_str s = wasmill_read_string(&in, in.root, "s");
    wasmill_check(s.len == 8 && memcmp(s.ptr, "ü😀\n", 8) == 0);
    wasmill_check(wasmill_read_number(&in, in.root, "n") == -15);
    wasmill_check(wasmill_read_integer(&in, in.root, "i") == 7);
    wasmill_check(wasmill_read_bool(&in, in.root, "t"));
    wasmill_check(wasmill_find(&in, in.root, "z") == NULL && wasmill_find(&in, in.root, "none") == NULL);
    wasmill_check(!in.failed);
}

static void written(void) {
    wasmill_test_start("{}");
    wasmill_writer out = {0};
    wasmill_open_object(&out, NULL);
    wasmill_put_string(&out, "s", (wasmill_str){"ü\"\\\n\x01\xFF\0/", 9});
    wasmill_open_array(&out, "a");
    double numbers[] = {0.5, 0.1 + 0.2, 1e21, -3, 1e-7, 123456789012345680.0, 5e-324};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) wasmill_put_number(&out, NULL, numbers[i]);
    wasmill_put_number(&out, NULL, 1e308 * 10);
    wasmill_open_object(&out, NULL);
    wasmill_close(&out);
    wasmill_close(&out);
    wasmill_put_bool(&out, "b", true);
    wasmill_put_json(&out, "j", wasmill_s("[1]"));
    wasmill_close(&out);
    wasmill_check_text(wasmill_written(&out),
                       "{\"s\":\"ü\\\"\\\\\\n\\u0001\xEF\xBF\xBD\\u0000/\",\"a\":[0.5,0.30000000000000004,1e+21,-3,1e-07,"
                       "1.2345678901234568e+17,4.94065645841247e-324,null,{}],\"b\":true,\"j\":[1]}");
}

static void host(void) {
    wasmill_test_start("{\"limit\": 3, \"name\": \"x\"}");
    wasmill_check_text(wasmill_config("limit").value, "3");
    wasmill_check_text(wasmill_config("name").value, "x");
    wasmill_check(!wasmill_config("none").is_some);
    wasmill_reader in = wasmill_settings();
    wasmill_read_string(&in, in.root, "limit");
    wasmill_answer answer = wasmill_refuse(&in);
    wasmill_check(answer.failure.kind == WASMILL_RETRY);
    wasmill_check_text(wasmill_test_reason(&answer), "config: `limit`: expected a string, found a number at line 1 column "
                                                     "11; correct the [config] table of the plugin's manifest");
    wasmill_test_set_now(7);
    wasmill_check(wasmill_now() == 7);
    uint64_t drawn = wasmill_random();
    static char bytes[70000];
    wasmill_random_bytes(bytes, sizeof bytes);
    wasmill_test_start("{}");
    wasmill_check(wasmill_random() == drawn);
    wasmill_warn("over", wasmill_field("amount", 2.5), wasmill_field("name", "ü"), wasmill_field("flag", (bool)true),
                 wasmill_field("n", -7), wasmill_field("u", UINT64_MAX));
    wasmill_debug("plain");
    const wasmill_test_line *line = wasmill_test_line_at(0);
    wasmill_check(wasmill_test_line_count() == 2 && line->level == WASMILL_WARN && line->fields.count == 5);
    wasmill_check_text(line->fields.items[0].value, "2.5");
    wasmill_check_text(line->fields.items[2].value, "true");
    wasmill_check_text(line->fields.items[3].value, "-7");
    wasmill_check_text(line->fields.items[4].value, "18446744073709551615");
    wasmill_check(wasmill_test_line_at(1)->fields.count == 0);
}

static void memory(void) {
    wasmill_test_start("{}");
    char *first = wasmill_alloc(3);
    for (int i = 0; i < 100; i++) {
        wasmill_reset();
        wasmill_check(wasmill_alloc(3) == first);
        memset(wasmill_alloc(3 << 20), 1, 3 << 20);
    }
    wasmill_event event = wasmill_test_event("");
    const wasmill_header headers[] = {{wasmill_s("Trace"), wasmill_s("1")}, {wasmill_s("TRACE"), wasmill_s("2")}};
    event.headers = (wasmill_headers){headers, 2};
    wasmill_check_text(wasmill_header_of(&event, "trace").value, "1");
    wasmill_check(!wasmill_header_of(&event, "other").is_some);
    wasmill_headers many = {0};
    for (int i = 0; i < 100000; i++) wasmill_add_header(&many, wasmill_format("%d", i), wasmill_s(""));
    wasmill_check_text(many.items[77777].name, "77777");
}

static wasmill_answer fired(const wasmill_timer *timer) {
    wasmill_timer_set(wasmill_format("again-%s", timer->name.ptr), timer->due_ns + 300, timer->data);
    if (wasmill_is(timer->name, "fails")) return wasmill_reject("it does");
    return wasmill_one(wasmill_text("out", wasmill_format("%s at %llu", timer->name.ptr, (unsigned long long)wasmill_now()).ptr));
}

static wasmill_migrated migrated(wasmill_str from, wasmill_str name, wasmill_str value) {
    if (wasmill_is(name, "gone")) return wasmill_migrate_delete();
    if (wasmill_is(name, "bad")) return wasmill_migrate_fail("no %s", "\xFF");
    return wasmill_migrate_to(wasmill_format("%s of %s", value.ptr, from.ptr));
}

WASMILL_TIMERS(fired)
WASMILL_MIGRATE(migrated)

static void keyed(void) {
    wasmill_test_start("{}");
    wasmill_maybe value;
    wasmill_answer answer = wasmill_refused(wasmill_state_get(wasmill_s("a"), &value));
    wasmill_check(answer.failure.kind == WASMILL_RETRY);
    wasmill_test_key("k");
    wasmill_test_set_state("b/2", "");
    wasmill_check(wasmill_state_set(wasmill_s("b/1"), (wasmill_str){"\xFF\0", 2}).kind == WASMILL_OK);
    wasmill_check(wasmill_state_get(wasmill_s("b/1"), &value).kind == WASMILL_OK && value.is_some && value.value.len == 2);
    wasmill_check(wasmill_state_get(wasmill_s("none"), &value).kind == WASMILL_OK && !value.is_some);
    wasmill_strs names;
    wasmill_check(wasmill_state_names(wasmill_s("b/"), &names).kind == WASMILL_OK && names.count == 2);
    wasmill_check_text(names.items[0], "b/1");
    wasmill_check(wasmill_state_delete(wasmill_s("b/1")).kind == WASMILL_OK && !wasmill_test_state("b/1").is_some);
    const int64_t more[] = {3, -5, 0, INT64_MAX, -1};
    const int64_t sums[] = {3, -2, -2, INT64_MAX - 2, INT64_MAX - 3};
    for (size_t i = 0; i < sizeof more / sizeof more[0]; i++) {
        int64_t count = 0;
        wasmill_check(wasmill_state_add(wasmill_s("n"), more[i], &count).kind == WASMILL_OK && count == sums[i]);
    }
    wasmill_check(wasmill_state_add(wasmill_s("n"), 4, NULL).kind == WASMILL_OVERFLOW);
    wasmill_check_text(wasmill_test_state("n").value, "9223372036854775804");
    wasmill_test_set_state("n", "1.5");
    wasmill_check(wasmill_state_add(wasmill_s("n"), 1, NULL).kind == WASMILL_BAD_VALUE);
    wasmill_check(wasmill_state_set(wasmill_s("\xFF"), wasmill_s("")).kind == WASMILL_BAD_NAME);
    wasmill_test_key("k");
    wasmill_test_limits(40, 1);
    wasmill_refusal why = wasmill_state_set(wasmill_s("name"), wasmill_s("29 bytes of value in a field  "));
    wasmill_check(why.kind == WASMILL_TOO_LARGE && why.limit == 40);
    wasmill_check(wasmill_refused(why).failure.kind == WASMILL_REJECT);
    wasmill_check(wasmill_timer_after(wasmill_s("t"), 1, wasmill_s("")).kind == WASMILL_OK);
    wasmill_check(wasmill_timer_set(wasmill_s("u"), 1, wasmill_s("")).kind == WASMILL_TOO_MANY);
    answer = wasmill_refused(wasmill_timer_cancel(wasmill_s("")));
    wasmill_check(answer.failure.kind == WASMILL_REJECT);
    wasmill_test_table("late", NULL);
    wasmill_test_table("blocked", "{\"7\": \"x\"}");
    wasmill_check(wasmill_lookup(wasmill_s("late"), wasmill_s("7"), &value).kind == WASMILL_NOT_READY);
    wasmill_check(wasmill_lookup(wasmill_s("other"), wasmill_s("7"), &value).kind == WASMILL_NOT_GRANTED);
    wasmill_check(wasmill_lookup(wasmill_s("blocked"), wasmill_s("8"), &value).kind == WASMILL_OK && !value.is_some);
    wasmill_check(wasmill_lookup(wasmill_s("blocked"), wasmill_s("7"), &value).kind == WASMILL_OK && value.is_some);
}

static void timers(void) {
    wasmill_test_start("{}");
    wasmill_test_key("k");
    wasmill_test_set_now(1000);
    const char *const names[] = {"b", "a", "fails", "never", "gone"};
    for (size_t i = 0; i < 5; i++) {
        wasmill_timer_set(wasmill_s(names[i]), i == 2 ? 1200 : 1100, wasmill_s("x"));
    }
    wasmill_timer_cancel(wasmill_s("gone"));
    wasmill_timer_after(wasmill_s("never"), UINT64_MAX, wasmill_s(""));
    const char *const wanted[] = {"b at 1100", "a at 1100", NULL, "again-b at 1400", "again-a at 1400"};
    wasmill_answer answer;
    for (size_t i = 0; i < 5; i++) {
        wasmill_check(wasmill_test_fire(1400, fired, &answer) && answer.failed == (wanted[i] == NULL));
        if (!answer.failed) wasmill_check_text(answer.outputs.items[0].data, wanted[i]);
    }
    wasmill_check(!wasmill_test_fire(1400, fired, &answer) && wasmill_now() == 1400);
    wasmill_check(wasmill_test_timer_count() == 3 && wasmill_test_timer_at(2)->due_ns == UINT64_MAX);
    wasmill_check_text(migrated(wasmill_s("1"), wasmill_s("a"), wasmill_s("v")).value.value, "v of 1");
    wasmill_check(!migrated(wasmill_s("1"), wasmill_s("gone"), wasmill_s("v")).value.is_some);
    wasmill_check_text(migrated(wasmill_s("1"), wasmill_s("bad"), wasmill_s("v")).error, "no \xEF\xBF\xBD");
}

static void rollback(void) {
    wasmill_test_start("{}");
    wasmill_test_key("k");
    wasmill_check(handled(-1).failed && !wasmill_test_state("tried").is_some && wasmill_test_timer_count() == 0);
    wasmill_check(!handled(-2).failed);
    wasmill_check_text(wasmill_test_state("tried").value, "k");
    wasmill_check(wasmill_test_timer_count() == 1);
}

int main(void) {
    answers();
    faults();
    values();
    written();
    host();
    memory();
    keyed();
    timers();
    rollback();
    return wasmill_test_end();
}
