// The engine in native unit tests.
//
//     wasmill::testing::start(R"({"limit": 100})");
//     wasmill::Result result = handle(wasmill::testing::event(R"({"id": "p1", "amount": 100.5})"));
//     wasmill_check(result.outputs().size() == 1);
//     return wasmill::testing::end();
//
// Views of an event or a line last until the next `start`.
#pragma once

#include "wasmill.hpp"
#include "wasmill_testing.h"

namespace wasmill::testing {

// Starts the engine anew: this `[config]` table as JSON, a fixed time, a fixed seed, no lines.
inline void start(std::string_view config = "{}") {
    static std::string kept;
    kept = config;
    wasmill_test_start(kept.c_str());
}

// Sets the plugin clock, nanoseconds since the Unix epoch.
inline void set_now(std::uint64_t time_ns) {
    wasmill_test_set_now(time_ns);
}

// Sets where the random numbers begin.
inline void set_seed(std::uint64_t seed) {
    wasmill_test_set_seed(seed);
}

// An event with this payload and these headers; its attributes are plausible, and public to be set.
inline Event event(std::string_view data, std::initializer_list<Header> headers = {}) {
    wasmill_event made = wasmill_test_event("");
    made.data = detail::copied(data);
    auto *items = static_cast<wasmill_header *>(wasmill_alloc(headers.size() * sizeof(wasmill_header)));
    made.headers = {items, headers.size()};
    for (const Header &header : headers) *items++ = {detail::copied(header.name), detail::copied(header.value)};
    return Event(made);
}

// One line that was logged.
struct Line {
    wasmill_level level;
    std::string_view message;
    Headers fields;
};

// The lines logged since the engine started anew.
inline std::vector<Line> lines() {
    std::vector<Line> all;
    for (std::size_t i = 0; i < wasmill_test_line_count(); i++) {
        const wasmill_test_line *line = wasmill_test_line_at(i);
        all.push_back({line->level, detail::view(line->message), Headers(line->fields)});
    }
    return all;
}

// Gives the plugin a key, with no state and no timers.
inline void key(const char *key) {
    wasmill_test_key(key);
}

// One field of the key's state as it is between calls.
inline std::optional<std::string_view> state(const char *name) {
    return detail::view(wasmill_test_state(name));
}

// Hands every timer that is due by then to the handler, with the plugin clock at its time, and answers the results in order.
template <typename Handler> std::vector<Result> fire(std::uint64_t until_ns, Handler on_timer) {
    static Handler *handler;
    static std::vector<Result> results;
    handler = &on_timer;
    results.clear();
    auto call = [](const wasmill_timer *timer) {
        results.push_back((*handler)(Timer(*timer)));
        return detail::lowered(results.back());
    };
    wasmill_answer answer;
    while (wasmill_test_fire(until_ns, call, &answer)) {}
    return std::move(results);
}

// Prints how many checks failed; what `main` should return. `wasmill_check(condition)` makes them.
inline int end() {
    return wasmill_test_end();
}

} // namespace wasmill::testing
