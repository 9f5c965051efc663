// The SDK's own tests: `cargo xtask languages --only cpp` runs them.
#include "wasmill_testing.hpp"

using wasmill::Event;
using wasmill::Output;
using wasmill::Result;

namespace {

int what;

Result handle(const Event &event) {
    switch (what) {
    case 0: return {};
    case 1: return wasmill::reject(wasmill::text("no ", "account", ' ', 7, ' ', 0.5));
    case 2: return wasmill::retry_after(5, "later");
    case 3: return wasmill::retry("whenever");
    case 4: return wasmill::raise("boom \xFF");
    case 5: return std::optional<Output>();
    case 6: return std::optional<Output>(Output("a", event.data).with_type("t"));
    case 7: return std::vector<Output>{Output("a", "1"), Output("b", "\xFF").with_header("x", "y")};
    default: return Output("a", "").with_header("x", "\xFF");
    }
}

wasmill_answer handled(int as) {
    wasmill_event event = wasmill_test_event("data");
    what = as;
    return wasmill_test_deliver(&event);
}

void answers() {
    wasmill::testing::start();
    wasmill_check(handled(0).outputs.count == 0);
    wasmill_check_text(handled(1).failure.reject, "no account 7 0.5");
    wasmill_check(handled(2).failure.retry.after_ms == 5);
    wasmill_check(!handled(3).failure.retry.has_after);
    wasmill_answer answer = handled(4);
    wasmill_check(answer.failure.kind == WASMILL_EXCEPTION);
    wasmill_check_text(answer.failure.exception.message, "boom \xEF\xBF\xBD");
    wasmill_check(wasmill::detail::view(answer.failure.exception.trace).find("handle (") == 0);
    wasmill_check(handled(5).outputs.count == 0);
    answer = handled(6);
    wasmill_check_text(answer.outputs.items[0].data, "data");
    wasmill_check_text(answer.outputs.items[0].type.value, "t");
    answer = handled(7);
    wasmill_check(answer.outputs.count == 2 && !answer.outputs.items[1].type.is_some);
    wasmill_check_text(answer.outputs.items[1].headers.items[0].value, "y");
    answer = handled(8);
    wasmill_check_text(wasmill_test_reason(&answer), "output 0: the header `x` is no UTF-8");
}

void json() {
    wasmill::testing::start(R"({"limit": 3})");
    Event event = wasmill::testing::event(R"({"id": "ü", "tags": [1, 2], "on": true})", {{"Trace", "1"}});
    wasmill_check(event.header("trace") == "1" && !event.header("other"));
    wasmill::Reader in = event.json();
    wasmill_check(in["id"].string() == "ü" && in["tags"].values()[1].integer() == 2 && in["on"].boolean());
    wasmill_check(!in.find("none") && in);
    in["tags"].values()[1].fault("must be odd");
    wasmill_check(!in && in.fault() == "payload: must be odd at line 1 column 26");
    wasmill_check(in["more"].string().empty() && in.refuse().kind == WASMILL_REJECT);
    wasmill::Reader settings = wasmill::config::load();
    settings["output"].string();
    wasmill_check(settings.refuse().reason ==
                  "config: missing field `output` at line 1 column 1; correct the [config] table of the plugin's manifest");
    wasmill_check(settings.refuse().kind == WASMILL_RETRY);
    wasmill::Writer out;
    out.object().put("s", "ü").put("v", std::string_view("x")).put("n", -1).put("d", 0.5).put("b", true);
    out.put("z", nullptr).array("a").item(1u).item("2").close().json("j", "[3]").close();
    wasmill_check(out.written() == R"({"s":"ü","v":"x","n":-1,"d":0.5,"b":true,"z":null,"a":[1,"2"],"j":[3]})");
    wasmill_check(Output::json("a", out).headers[0].second == "application/json");
}

void host() {
    wasmill::testing::start(R"({"limit": 3})");
    wasmill_check(wasmill::config::get("limit") == "3" && !wasmill::config::get("none"));
    wasmill::testing::set_now(7);
    wasmill_check(wasmill::clock::now() == 7);
    auto drawn = wasmill::random::bytes(9);
    wasmill::log::warn("over", {{"amount", 2.5}, {"name", "ü"}, {"flag", true}, {"n", -7}, {"u", UINT64_MAX}});
    wasmill::log::debug("plain");
    auto lines = wasmill::testing::lines();
    wasmill_check(lines.size() == 2 && lines[0].level == WASMILL_WARN && lines[0].fields.size() == 5);
    std::string all;
    for (auto field : lines[0].fields) all += wasmill::text(field.name, "=", field.value, " ");
    wasmill_check(all == "amount=2.5 name=ü flag=true n=-7 u=18446744073709551615 ");
    wasmill::testing::start();
    wasmill_check(wasmill::random::bytes(9) == drawn && wasmill::testing::lines().empty());
}

Result on_timer(const wasmill::Timer &timer) {
    if (timer.name == "fails") {
        wasmill::state::set("left", "behind");
        return wasmill::reject("it does");
    }
    return Output("out", wasmill::text(timer.key, " ", timer.name, " ", timer.data, " at ", wasmill::clock::now()));
}

wasmill::Migrated migrate(std::string_view from, std::string_view name, std::string_view value) {
    if (name == "gone") return std::nullopt;
    if (name == "bad") return wasmill::migration_failed("no \xFF");
    return wasmill::text(value, " of ", from);
}

void keyed() {
    wasmill::testing::start();
    wasmill_check(wasmill::state::get("a").kind() == WASMILL_NO_KEY);
    wasmill_check(wasmill::timers::cancel("a").refuse().kind == WASMILL_RETRY);
    wasmill::testing::key("k");
    wasmill_check(wasmill::state::set("a/1", "\xFF") && *wasmill::state::get("a/1") == "\xFF");
    wasmill_check(!*wasmill::state::get("none") && *wasmill::state::add("n", 2) == 2 && *wasmill::state::add("n", -5) == -3);
    wasmill_check(wasmill::state::names("a/")->size() == 1 && wasmill::testing::state("n") == "-3");
    wasmill_check(wasmill::state::remove("a/1") && wasmill::state::names("")->size() == 1);
    wasmill_check(wasmill::state::set("", "").refuse().kind == WASMILL_REJECT);
    wasmill_check(wasmill::lookup("t", "k").kind() == WASMILL_NOT_GRANTED);
    wasmill_test_table("t", R"({"k": "row"})");
    wasmill_check(**wasmill::lookup("t", "k") == "row" && !*wasmill::lookup("t", "other"));
    wasmill::testing::set_now(7);
    wasmill_check(wasmill::timers::after("later", 1) && wasmill::timers::set("first", 8, "x"));
    wasmill_check(wasmill::timers::set("gone", 9) && wasmill::timers::cancel("gone") && wasmill::timers::set("fails", 10));
    auto results = wasmill::testing::fire(1000007, on_timer);
    wasmill_check(results.size() == 3 && results[0].outputs()[0].data == "k first x at 8");
    wasmill_check(results[1].failure() != nullptr && !wasmill::testing::state("left"));
    wasmill_check(results[2].outputs()[0].data == "k later  at 1000007");
    wasmill_check(migrate("1", "a", "v").value() == "v of 1" && !migrate("1", "gone", "v").value());
    wasmill_check_text(wasmill::detail::lowered(migrate("1", "bad", "v")).error, "no \xEF\xBF\xBD");
}

} // namespace

WASMILL_PLUGIN(handle)
WASMILL_PLUGIN_TIMERS(on_timer)
WASMILL_PLUGIN_MIGRATE(migrate)

int main() {
    answers();
    json();
    host();
    keyed();
    return wasmill::testing::end();
}
