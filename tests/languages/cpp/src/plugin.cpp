// The conformance plugin in C++; `../README.md` says what it does.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>

#include "keyed.hpp"

using wasmill::Event;
using wasmill::Output;
using wasmill::Result;
using wasmill::text;

namespace {

constexpr const char *OUT = "conformance.out";

Result echo(const Event &event) {
    Output output(OUT, event.data);
    output.type = event.type;
    auto add = [&](std::string name, std::string_view value) { output.headers.emplace_back(std::move(name), value); };
    add("x-id", event.id);
    add("x-source", event.source);
    add("x-type", event.type);
    add("x-subject", event.subject);
    add("x-time", text(event.time_ns));
    if (event.key) add("x-key", *event.key);
    add("x-attempt", text(event.attempt));
    if (event.reply_to) add("x-reply-to", *event.reply_to);
    for (auto header : event.headers) add(text("x-h-", header.name), header.value);
    return output;
}

Result transform(const Event &event) {
    wasmill::Reader order = event.json();
    auto tags = order["tags"].values();
    wasmill::Writer changed;
    changed.object().put("id", order["id"].string()).put("doubled", 2 * order["amount"].number());
    changed.put("name", order["name"].string()).array("tags");
    for (auto tag = tags.rbegin(); tag != tags.rend(); ++tag) changed.item(tag->string());
    changed.close().put("count", static_cast<std::int64_t>(tags.size())).close();
    if (!order) return order.refuse();
    return Output::json(OUT, changed);
}

Result many(const Event &event) {
    wasmill::Reader wanted = event.json();
    auto count = wanted["count"].integer();
    if (!wanted) return wanted.refuse();
    std::vector<Output> outputs;
    for (std::int64_t i = 0; i < count; i++) outputs.emplace_back(text(OUT, ".", i), text(i));
    return outputs;
}

[[gnu::noinline]] Result explode() {
    return wasmill::raise("boom");
}

volatile std::uint64_t turns;

[[noreturn]] Result loop() {
    for (;;) turns = turns + 1;
}

[[noreturn]] Result hog() {
    std::vector<std::unique_ptr<std::string>> kept;
    for (;;) kept.push_back(std::make_unique<std::string>(1024 * 1024, 'x'));
}

[[gnu::noinline]] std::uint64_t deep(std::uint64_t depth) {
    turns = depth;
    return turns == depth ? deep(depth + 1) ^ turns : 0;
}

Result config() {
    return Output(OUT, wasmill::config::json())
        .with_header("x-limit", wasmill::config::get("limit").value_or("none"))
        .with_header("x-missing", wasmill::config::get("missing").value_or("none"));
}

Result log() {
    for (int n = 1; n <= 5; n++) {
        wasmill::log::write(static_cast<wasmill_level>(n - 1), "line ü", {{"n", n}, {"lang", "cpp"}});
    }
    return {};
}

Result print() {
    std::puts("printed ü");
    std::fflush(stdout);
    return {};
}

Result random() {
    unsigned long long first = wasmill::random::next(), second = wasmill::random::next();
    char line[64];
    int len = std::snprintf(line, sizeof line, "%016llx %016llx ", first, second);
    for (auto byte : wasmill::random::bytes(8)) len += std::snprintf(line + len, sizeof line - len, "%02x", byte);
    return Output(OUT, line);
}

unsigned counted;

Result handle(const Event &event) {
    std::string token(event.subject.substr(event.subject.rfind('.') + 1));
    if (token == "echo") return echo(event);
    if (token == "plain") return Output(OUT, "plain");
    if (token == "transform") return transform(event);
    if (token == "many") return many(event);
    if (token == "none") return {};
    if (token == "retry") return wasmill::retry_after(1500, "not yet: ü");
    if (token == "retry-default") return wasmill::retry("whenever");
    if (token == "reject") return wasmill::reject("never: ü");
    if (token == "raise") return explode();
    if (token == "trap") std::abort();
    if (token == "loop") return loop();
    if (token == "hog") return hog();
    if (token == "deep") return Output(OUT, text(deep(0)));
    if (token == "config") return config();
    if (token == "log") return log();
    if (token == "print") return print();
    if (token == "clock") return Output(OUT, text(wasmill::clock::now()));
    if (token == "random") return random();
    if (token == "script") return script(event);
    if (token == "swap") return swap(event);
    if (token == "count") return Output(OUT, text(++counted));
    return wasmill::reject(text("unknown token ", token));
}

} // namespace

WASMILL_PLUGIN(handle)

WASMILL_DESCRIPTION("conformance", "1.2.3", "Does what every language must", "conformance.in.>", "conformance.out.>")
