// What needs a key: scripts of commands on state, timers and tables; `../README.md` says what each does.
#include "keyed.hpp"

#include <algorithm>
#include <cstdlib>

using wasmill::Failure;
using wasmill::Output;
using wasmill::Result;
using wasmill::text;

namespace {

using View = std::string_view;

// The text up to this letter, which is taken from `rest` with it.
View until(View &rest, char end) {
    View piece = rest.substr(0, rest.find(end));
    rest.remove_prefix(std::min(piece.size() + 1, rest.size()));
    return piece;
}

View word(View &rest) {
    return until(rest, ' ');
}

std::uint64_t number(View digits) {
    return std::strtoull(std::string(digits).c_str(), nullptr, 10);
}

std::string refusal(const wasmill::Done &done) {
    switch (done.kind()) {
    case WASMILL_NO_KEY: return "error no-key";
    case WASMILL_TOO_LARGE: return text("error too-large ", done.limit());
    case WASMILL_TOO_MANY: return text("error too-many ", done.limit());
    case WASMILL_BAD_NAME: return "error bad-name";
    case WASMILL_NOT_GRANTED: return "error not-granted";
    default: return "error not-ready";
    }
}

std::string ok(const wasmill::Done &done) {
    return done ? "ok" : refusal(done);
}

std::string found(const wasmill::Found &value) {
    if (!value) return refusal(value);
    return *value ? text("value ", **value) : "none";
}

std::string listed(const wasmill::Asked<std::vector<View>> &names) {
    if (!names) return refusal(names);
    std::string answer = "names";
    for (View name : *names) answer += text(" ", name);
    return answer;
}

// The answer to one command, or none if there is no such command.
std::optional<std::string> command(View what, View rest) {
    if (what == "get") return found(wasmill::state::get(rest));
    if (what == "delete") return ok(wasmill::state::remove(rest));
    if (what == "names") return listed(wasmill::state::names(rest));
    if (what == "cancel") return ok(wasmill::timers::cancel(rest));
    View name = word(rest);
    if (what == "set") return ok(wasmill::state::set(name, rest));
    if (what == "lookup") return found(wasmill::lookup(name, rest));
    if (what == "count") {
        auto count = wasmill::state::add(name, std::strtoll(std::string(rest).c_str(), nullptr, 10));
        return count ? text("value ", *count) : refusal(count);
    }
    View digits = word(rest);
    if (what == "at") return ok(wasmill::timers::set(name, number(digits), rest));
    if (what == "after") return ok(wasmill::timers::after(name, number(digits), rest));
    return std::nullopt;
}

// The answers to a script, one a line.
std::variant<std::string, Failure> run(View script) {
    std::string answers;
    for (bool is_last = script.empty(); !is_last;) {
        is_last = script.find('\n') == View::npos;
        View line = until(script, '\n'), first = word(line);
        if (first == "fail") return wasmill::reject("never: ü");
        auto answer = command(first, line);
        if (!answer) return wasmill::reject(text("unknown command ", first));
        answers += *answer;
        if (!is_last) answers += '\n';
    }
    return answers;
}

Result on_timer(const wasmill::Timer &timer) {
    auto answers = run(timer.data);
    if (auto *failure = std::get_if<Failure>(&answers)) return *failure;
    return Output("conformance.out.timer", std::get<std::string>(answers))
        .with_header("x-name", timer.name)
        .with_header("x-key", timer.key)
        .with_header("x-due", text(timer.due_ns))
        .with_header("x-now", text(wasmill::clock::now()));
}

wasmill::Migrated migrate(View from, View name, View value) {
    if (name == "drop") return std::nullopt;
    if (name == "bad") return wasmill::migration_failed(text("bad of ", from));
    return text(from, ":", value);
}

} // namespace

Result script(const wasmill::Event &event) {
    auto answers = run(event.data);
    if (auto *failure = std::get_if<Failure>(&answers)) return *failure;
    return Output("conformance.out", std::get<std::string>(answers));
}

Result swap(const wasmill::Event &event) {
    auto before = wasmill::state::get("raw");
    if (!before) return before.refuse();
    auto done = wasmill::state::set("raw", event.data);
    if (!done) return done.refuse();
    return Output("conformance.out", before->value_or("")).with_header("x-before", *before ? "yes" : "no");
}

WASMILL_PLUGIN_TIMERS(on_timer)
WASMILL_PLUGIN_MIGRATE(migrate)
