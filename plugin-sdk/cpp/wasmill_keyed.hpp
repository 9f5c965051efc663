// For plugins with a key: its state, its timers, tables to look things up in, and state of older versions.
//
//     wasmill::Asked<std::int64_t> count = wasmill::state::add("payments", 1);
//     if (!count) return count.refuse();
//     if (*count > 3) …
//
// What a call changes takes effect together with its outputs, or not at all.
#pragma once

#include "wasmill.hpp"

namespace wasmill {

// Whether the engine did what it was asked, and if not, why.
class Done {
  public:
    explicit Done(wasmill_refusal why) : why_(why) {}

    explicit operator bool() const { return why_.kind == WASMILL_OK; }
    wasmill_refusal_kind kind() const { return why_.kind; }
    // How many bytes a record or how many timers a key may have, where that is why.
    std::uint64_t limit() const { return why_.limit; }

    // What to return after a refusal: a retry where the manifest is to be corrected, a table is not loaded or a field is
    // to be migrated, and else a reject.
    Failure refuse() const {
        wasmill_failure failure = wasmill_refused(why_).failure;
        if (failure.kind == WASMILL_RETRY) return retry(detail::view(failure.retry.reason));
        return reject(detail::view(failure.reject));
    }

  private:
    wasmill_refusal why_;
};

// The same with an answer.
template <typename T> class Asked : public Done {
  public:
    Asked(wasmill_refusal why, T answer) : Done(why), answer_(std::move(answer)) {}

    // Of no use after a refusal.
    const T &operator*() const { return answer_; }
    const T *operator->() const { return &answer_; }

  private:
    T answer_;
};

// Bytes that may not be there.
using Found = Asked<std::optional<std::string_view>>;

// The fields of the key.
namespace state {

// One field, if there is one.
inline Found get(std::string_view name) {
    wasmill_maybe value;
    wasmill_refusal why = wasmill_state_get(detail::borrowed(name), &value);
    return {why, detail::view(value)};
}

inline Done set(std::string_view name, std::string_view value) {
    return Done(wasmill_state_set(detail::borrowed(name), detail::borrowed(value)));
}

// One that is not there is no error.
inline Done remove(std::string_view name) {
    return Done(wasmill_state_delete(detail::borrowed(name)));
}

// The names of the fields that begin with `prefix`, sorted.
inline Asked<std::vector<std::string_view>> names(std::string_view prefix) {
    wasmill_strs all;
    wasmill_refusal why = wasmill_state_names(detail::borrowed(prefix), &all);
    std::vector<std::string_view> names;
    for (std::size_t i = 0; i < all.count; i++) names.push_back(detail::view(all.items[i]));
    return {why, std::move(names)};
}

// Adds to a field that holds a count, from zero, as a JSON integer, and answers the sum.
inline Asked<std::int64_t> add(std::string_view name, std::int64_t more) {
    std::int64_t count = 0;
    wasmill_refusal why = wasmill_state_add(detail::borrowed(name), more, &count);
    return {why, count};
}

} // namespace state

// A timer that has come due. While it is handled, `clock::now` is the time it was due.
struct Timer {
    std::string_view name; // the name under which it was set
    std::string_view key;  // the key it was set for
    std::uint64_t due_ns;  // when it was due, nanoseconds since the Unix epoch
    std::string_view data; // what was stored with it

    explicit Timer(const wasmill_timer &timer)
        : name(detail::view(timer.name)), key(detail::view(timer.key)), due_ns(timer.due_ns),
          data(detail::view(timer.data)) {}
};

// Timers of the key. The plugin needs a handler for them: WASMILL_PLUGIN_TIMERS below.
namespace timers {

// Sets a timer, in place of one of the same name. It fires once, when the plugin clock reaches `due_ns`, or as soon after
// as an engine runs.
inline Done set(std::string_view name, std::uint64_t due_ns, std::string_view data = "") {
    return Done(wasmill_timer_set(detail::borrowed(name), due_ns, detail::borrowed(data)));
}

// The same, so many milliseconds from now.
inline Done after(std::string_view name, std::uint64_t ms, std::string_view data = "") {
    return Done(wasmill_timer_after(detail::borrowed(name), ms, detail::borrowed(data)));
}

// One that is not set is no error.
inline Done cancel(std::string_view name) {
    return Done(wasmill_timer_cancel(detail::borrowed(name)));
}

} // namespace timers

// One row of a table that the manifest grants by name, if there is one.
inline Found lookup(std::string_view table, std::string_view key) {
    wasmill_maybe row;
    wasmill_refusal why = wasmill_lookup(detail::borrowed(table), detail::borrowed(key), &row);
    return {why, detail::view(row)};
}

// What became of a field that an older version wrote: what it holds now, `std::nullopt` if it is not needed any more, or
// `migration_failed`, which keeps the old version in service.
class Migrated {
  public:
    Migrated(std::string value) : value_(std::move(value)) {}
    Migrated(std::nullopt_t) {}

    const std::optional<std::string> &value() const { return value_; }
    const std::optional<std::string> &error() const { return error_; }

  private:
    friend Migrated migration_failed(std::string_view why);

    std::optional<std::string> value_;
    std::optional<std::string> error_;
};

inline Migrated migration_failed(std::string_view why) {
    Migrated made(std::nullopt);
    made.error_ = why;
    return made;
}

namespace detail {

inline wasmill_migrated lowered(const Migrated &migrated) {
    if (migrated.error()) {
        return wasmill_migrate_fail("%.*s", static_cast<int>(migrated.error()->size()), migrated.error()->data());
    }
    return migrated.value() ? wasmill_migrate_to(copied(*migrated.value())) : wasmill_migrate_delete();
}

} // namespace detail

} // namespace wasmill

// Makes a function `wasmill::Result on_timer(const wasmill::Timer &)` the plugin's handler of timers.
#define WASMILL_PLUGIN_TIMERS(on_timer)                                                                                \
    static wasmill_answer wasmill_on_timer(const wasmill_timer *timer) {                                               \
        return wasmill::detail::lowered(on_timer(wasmill::Timer(*timer)));                                             \
    }                                                                                                                  \
    WASMILL_TIMERS(wasmill_on_timer)

// Makes a function `wasmill::Migrated migrate(std::string_view from_version, std::string_view name, std::string_view value)`
// what brings fields that an older version wrote into their present shape.
#define WASMILL_PLUGIN_MIGRATE(migrate)                                                                                \
    static wasmill_migrated wasmill_on_migrate(wasmill_str from, wasmill_str name, wasmill_str value) {                \
        using wasmill::detail::view;                                                                                   \
        return wasmill::detail::lowered(migrate(view(from), view(name), view(value)));                                 \
    }                                                                                                                  \
    WASMILL_MIGRATE(wasmill_on_migrate)
