#include <string.h>

#include "wasmill_testing.h"

static wasmill_answer answer_to(const char *payment) {
    wasmill_test_start("{\"limit\": 100, \"output\": \"alerts.large\"}");
    wasmill_event event = wasmill_test_event(payment);
    return wasmill_test_deliver(&event);
}

static void an_amount_over_the_limit_raises_an_alert(void) {
    wasmill_answer answer = answer_to("{\"id\": \"p1\", \"amount\": 100.5}");
    if (!wasmill_check(!answer.failed && answer.outputs.count == 1)) return;
    wasmill_check_text(answer.outputs.items[0].subject, "alerts.large");
    wasmill_check_text(answer.outputs.items[0].data, "{\"payment\":\"p1\",\"over_by\":0.5}");
    wasmill_check_text(wasmill_test_line_at(0)->message, "over the limit");
}

static void the_limit_itself_raises_none(void) {
    wasmill_answer answer = answer_to("{\"id\": \"p1\", \"amount\": 100}");
    wasmill_check(!answer.failed && answer.outputs.count == 0);
}

static void a_payment_without_an_amount_is_set_aside(void) {
    wasmill_answer answer = answer_to("{\"id\": \"p1\"}");
    wasmill_check(answer.failed && answer.failure.kind == WASMILL_REJECT);
    wasmill_check(strstr(wasmill_test_reason(&answer).ptr, "missing field `amount`") != NULL);
}

int main(void) {
    an_amount_over_the_limit_raises_an_alert();
    the_limit_itself_raises_none();
    a_payment_without_an_amount_is_set_aside();
    return wasmill_test_end();
}
