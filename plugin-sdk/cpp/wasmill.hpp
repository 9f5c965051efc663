// Write Wasmill plugins in C++: one function, and unit tests that run natively. README.md tells the rest.
//
// A layer over the C SDK (wasmill.h), for C++17 and later. Views that it hands out last until the call ends.
#pragma once

#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "wasmill.h"

namespace wasmill {

namespace detail {

inline std::string_view view(wasmill_str text) {
    return {text.ptr, text.len};
}

inline std::optional<std::string_view> view(wasmill_maybe text) {
    return text.is_some ? std::optional(view(text.value)) : std::nullopt;
}

inline wasmill_str borrowed(std::string_view text) {
    return {text.empty() ? "" : text.data(), text.size()};
}

// In the memory of the call, with a zero byte behind.
inline wasmill_str copied(std::string_view text) {
    auto *made = static_cast<char *>(wasmill_alloc(text.size() + 1));
    if (!text.empty()) std::memcpy(made, text.data(), text.size());
    made[text.size()] = 0;
    return {made, text.size()};
}

inline void append(std::string &to, std::string_view text) {
    to += text;
}

inline void append(std::string &to, char letter) {
    to += letter;
}

inline void append(std::string &to, double number) {
    to += view(wasmill_field_number("", number).value);
}

template <typename T, std::enable_if_t<std::is_integral_v<T>, int> = 0> void append(std::string &to, T number) {
    to += std::to_string(number);
}

} // namespace detail

// A text of all of these behind each other: texts and numbers.
template <typename... Parts> std::string text(const Parts &...parts) {
    std::string made;
    (detail::append(made, parts), ...);
    return made;
}

// A header of an event.
struct Header {
    std::string_view name;
    std::string_view value;
};

// The headers of an event, in order; a name may stand more than once.
class Headers {
  public:
    class Iterator {
      public:
        explicit Iterator(const wasmill_header *at) : at_(at) {}
        Header operator*() const { return {detail::view(at_->name), detail::view(at_->value)}; }
        Iterator &operator++() {
            ++at_;
            return *this;
        }
        bool operator!=(const Iterator &other) const { return at_ != other.at_; }

      private:
        const wasmill_header *at_;
    };

    explicit Headers(wasmill_headers headers) : headers_(headers) {}
    std::size_t size() const { return headers_.count; }
    Iterator begin() const { return Iterator(headers_.items); }
    Iterator end() const { return Iterator(headers_.items + headers_.count); }

  private:
    wasmill_headers headers_;
};

class Reader;

// One message on the bus with its CloudEvents attributes.
struct Event {
    std::string_view id;                      // identifies the event within its source
    std::string_view source;                  // CloudEvents `source`, else `nats:` and the stream or subject
    std::string_view type;                    // CloudEvents `type`, else `nats.message`
    std::string_view subject;                 // the subject the message was published to
    std::uint64_t time_ns;                    // when it happened, nanoseconds since the Unix epoch
    std::optional<std::string_view> key;      // the event's key, where the manifest names one
    Headers headers;                          // all headers that are not attributes above
    std::string_view data;                    // the payload, untouched
    std::uint32_t attempt;                    // which delivery this is, from 1
    std::optional<std::string_view> reply_to; // where the publisher waits for an answer, if it does

    explicit Event(const wasmill_event &event)
        : id(detail::view(event.id)), source(detail::view(event.source)), type(detail::view(event.type)),
          subject(detail::view(event.subject)), time_ns(event.time_ns), key(detail::view(event.key)),
          headers(event.headers), data(detail::view(event.data)), attempt(event.attempt),
          reply_to(detail::view(event.reply_to)), event_(event) {}

    // The first value of a header; names compare without regard to case.
    std::optional<std::string_view> header(const char *name) const {
        return detail::view(wasmill_header_of(&event_, name));
    }

    // The payload as JSON.
    Reader json() const;

  private:
    wasmill_event event_;
};

class Writer;

// An event that a handler emits. The engine gives it its id, source and time.
struct Output {
    std::string subject;             // no wildcards, and within the emit grants of the manifest
    std::string data;                // the payload
    std::optional<std::string> type; // CloudEvents `type`; none means the type of the event that caused it
    // `Nats-*`, `Wasmill-*` and CloudEvents attributes are the engine's to set.
    std::vector<std::pair<std::string, std::string>> headers;

    Output(std::string_view to, std::string_view bytes) : subject(to), data(bytes) {}

    // An output of what was written, with `content-type: application/json`.
    static Output json(std::string_view subject, const Writer &written);

    // Sets the CloudEvents `type`.
    Output &&with_type(std::string_view name) && {
        type = name;
        return std::move(*this);
    }

    // Adds a header.
    Output &&with_header(std::string_view name, std::string_view value) && {
        headers.emplace_back(name, value);
        return std::move(*this);
    }
};

// Why a handler did not finish an event; `reject`, `retry` and `raise` make it.
struct Failure {
    wasmill_failure_kind kind;
    std::string reason;                    // of an exception, its message
    std::optional<std::uint64_t> after_ms; // of a retry
    std::string trace;                     // of an exception
};

// It will never work: the event becomes a dead letter with this reason.
inline Failure reject(std::string_view reason) {
    return {WASMILL_REJECT, std::string(reason), {}, {}};
}

// It may work later: the event comes again after the plugin's configured backoff.
inline Failure retry(std::string_view reason) {
    return {WASMILL_RETRY, std::string(reason), {}, {}};
}

// It may work later, not before so many milliseconds have passed.
inline Failure retry_after(std::uint64_t ms, std::string_view reason) {
    return {WASMILL_RETRY, std::string(reason), ms, {}};
}

// The handler is at fault: the engine learns the text and the place of the call, and keeps the instance.
inline Failure raise(std::string_view message, const char *function = __builtin_FUNCTION(),
                     const char *file = __builtin_FILE(), int line = __builtin_LINE()) {
    return {WASMILL_EXCEPTION, std::string(message), {}, text(function, " (", file, ":", line, ")")};
}

// Logs the text as an error and ends the instance with a trap.
[[noreturn]] inline void panic(std::string_view message) {
    wasmill_panic("%.*s", static_cast<int>(message.size()), message.data());
}

// What a handler returns: nothing (`return {};`), one output, perhaps one, many, or a failure.
class Result {
  public:
    Result() = default;
    Result(Output output) { outputs_().push_back(std::move(output)); }
    Result(std::optional<Output> output) {
        if (output) outputs_().push_back(*std::move(output));
    }
    Result(std::vector<Output> outputs) : value_(std::move(outputs)) {}
    Result(Failure failure) : value_(std::move(failure)) {}

    // Null if it succeeded.
    const Failure *failure() const { return std::get_if<Failure>(&value_); }

    // None if it failed.
    const std::vector<Output> &outputs() const {
        static const std::vector<Output> none;
        const auto *all = std::get_if<std::vector<Output>>(&value_);
        return all == nullptr ? none : *all;
    }

  private:
    std::vector<Output> &outputs_() { return std::get<std::vector<Output>>(value_); }

    std::variant<std::vector<Output>, Failure> value_;
};

namespace detail {

inline wasmill_output lowered(const Output &output) {
    auto *headers = static_cast<wasmill_header *>(wasmill_alloc(output.headers.size() * sizeof(wasmill_header)));
    wasmill_headers all = {headers, output.headers.size()};
    for (const auto &[name, value] : output.headers) *headers++ = {copied(name), copied(value)};
    wasmill_maybe type = {output.type.has_value(), copied(output.type.value_or(""))};
    return {copied(output.subject), type, all, copied(output.data)};
}

inline wasmill_answer lowered(const Failure &failure) {
    int len = static_cast<int>(failure.reason.size());
    const char *reason = failure.reason.data();
    if (failure.kind == WASMILL_REJECT) return wasmill_reject("%.*s", len, reason);
    if (failure.kind == WASMILL_RETRY) {
        return failure.after_ms ? wasmill_retry_after(*failure.after_ms, "%.*s", len, reason)
                                : wasmill_retry("%.*s", len, reason);
    }
    wasmill_answer answer = wasmill_raise_at("", "", 0, "%.*s", len, reason);
    answer.failure.exception.trace = copied(failure.trace);
    return answer;
}

inline wasmill_answer lowered(const Result &result) {
    if (result.failure() != nullptr) return lowered(*result.failure());
    wasmill_outputs outputs = {nullptr, 0};
    for (const Output &output : result.outputs()) wasmill_add(&outputs, lowered(output));
    return wasmill_all(&outputs);
}

} // namespace detail

// The `[config]` table of the manifest.
namespace config {

// One value: a string as it is, anything else as JSON text.
inline std::optional<std::string_view> get(const char *key) {
    return detail::view(wasmill_config(key));
}

// The whole table as one JSON object.
inline std::string_view json() {
    return detail::view(wasmill_config_json());
}

// The whole table, to read settings from.
Reader load();

} // namespace config

// The plugin clock. It stands still during a call.
namespace clock {

// Nanoseconds since the Unix epoch.
inline std::uint64_t now() {
    return wasmill_now();
}

} // namespace clock

// Randomness seeded by the event: another delivery of the same event draws the same numbers.
namespace random {

// The next 64 random bits.
inline std::uint64_t next() {
    return wasmill_random();
}

// So many random bytes.
inline std::vector<std::uint8_t> bytes(std::size_t len) {
    std::vector<std::uint8_t> made(len);
    wasmill_random_bytes(made.data(), len);
    return made;
}

} // namespace random

// Structured lines in the engine's log, marked with the plugin and the event:
// `wasmill::log::info("over the limit", {{"payment", id}, {"amount", amount}});`
namespace log {

// A name and a value of any plain type.
struct Field {
    wasmill_header header;

    Field(const char *name, std::string_view value) : header(wasmill_field_str(name, detail::copied(value))) {}
    Field(const char *name, const char *value) : Field(name, std::string_view(value)) {}
    Field(const char *name, bool value) : header(wasmill_field_bool(name, value)) {}
    Field(const char *name, double value) : header(wasmill_field_number(name, value)) {}
    template <typename T, std::enable_if_t<std::is_integral_v<T> && !std::is_same_v<T, bool>, int> = 0>
    Field(const char *name, T value) : Field(name, std::string_view(std::to_string(value))) {}
};

inline void write(wasmill_level level, std::string_view message, std::initializer_list<Field> fields = {}) {
    static_assert(sizeof(Field) == sizeof(wasmill_header));
    const auto *first = fields.size() == 0 ? nullptr : &fields.begin()->header;
    wasmill_log(level, detail::copied(message).ptr, first, fields.size());
}

inline void trace(std::string_view message, std::initializer_list<Field> fields = {}) {
    write(WASMILL_TRACE, message, fields);
}

inline void debug(std::string_view message, std::initializer_list<Field> fields = {}) {
    write(WASMILL_DEBUG, message, fields);
}

inline void info(std::string_view message, std::initializer_list<Field> fields = {}) {
    write(WASMILL_INFO, message, fields);
}

inline void warn(std::string_view message, std::initializer_list<Field> fields = {}) {
    write(WASMILL_WARN, message, fields);
}

inline void error(std::string_view message, std::initializer_list<Field> fields = {}) {
    write(WASMILL_ERROR, message, fields);
}

} // namespace log

} // namespace wasmill

#include "wasmill_json.hpp"
#include "wasmill_keyed.hpp"

#ifdef __wasm__
// Where an exception would be thrown, were there any, the library says so and ends the instance: into the log, not to a
// standard error that needs more imports.
#define WASMILL_ABORT                                                                                                  \
    [[noreturn]] void std::__libcpp_verbose_abort(const char *format, ...) noexcept {                                  \
        va_list args;                                                                                                  \
        va_start(args, format);                                                                                        \
        char message[256];                                                                                             \
        std::vsnprintf(message, sizeof message, format, args);                                                         \
        wasmill::panic(message);                                                                                       \
    }
#else
#define WASMILL_ABORT
#endif

// Makes a function `wasmill::Result handle(const wasmill::Event &)` the plugin's handler.
#define WASMILL_PLUGIN(handle)                                                                                         \
    extern "C" wasmill_answer wasmill_handle(const wasmill_event *event) {                                             \
        return wasmill::detail::lowered(handle(wasmill::Event(*event)));                                               \
    }                                                                                                                  \
    WASMILL_ABORT
