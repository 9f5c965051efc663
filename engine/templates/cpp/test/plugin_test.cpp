#include "wasmill_testing.hpp"

wasmill::Result handle(const wasmill::Event &event);

namespace {

wasmill::Result answer_to(std::string_view payment) {
    wasmill::testing::start(R"({"limit": 100, "output": "alerts.large"})");
    return handle(wasmill::testing::event(payment));
}

void an_amount_over_the_limit_raises_an_alert() {
    auto answer = answer_to(R"({"id": "p1", "amount": 100.5})");
    if (!wasmill_check(answer.outputs().size() == 1)) return;
    wasmill_check(answer.outputs()[0].subject == "alerts.large");
    wasmill_check(answer.outputs()[0].data == R"({"payment":"p1","over_by":0.5})");
    wasmill_check(wasmill::testing::lines()[0].message == "over the limit");
}

void the_limit_itself_raises_none() {
    auto answer = answer_to(R"({"id": "p1", "amount": 100})");
    wasmill_check(answer.failure() == nullptr && answer.outputs().empty());
}

void a_payment_without_an_amount_is_set_aside() {
    auto answer = answer_to(R"({"id": "p1"})");
    if (!wasmill_check(answer.failure() != nullptr)) return;
    wasmill_check(answer.failure()->kind == WASMILL_REJECT);
    wasmill_check(answer.failure()->reason.find("missing field `amount`") != std::string::npos);
}

} // namespace

int main() {
    an_amount_over_the_limit_raises_an_alert();
    the_limit_itself_raises_none();
    a_payment_without_an_amount_is_set_aside();
    return wasmill::testing::end();
}
