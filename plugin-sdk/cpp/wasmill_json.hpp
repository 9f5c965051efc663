// JSON for plugins in C++: a reader that says what does not fit and where, and a writer.
//
//     wasmill::Reader payment = event.json();
//     auto id = payment["id"].string();
//     auto amount = payment["amount"].number();
//     if (!payment) return payment.refuse();
//
// The reader keeps the first fault; after it, everything that is read is empty or zero.
#pragma once

#include "wasmill.hpp"

namespace wasmill {

// One value of a text that is being read.
class Value {
  public:
    // The characters, the number, the truth: a fault if the value is of another kind.
    std::string_view string() const { return detail::view(wasmill_as_string(in_, at_)); }
    double number() const { return wasmill_as_number(in_, at_); }
    std::int64_t integer() const { return wasmill_as_integer(in_, at_); }
    bool boolean() const { return wasmill_as_bool(in_, at_); }

    wasmill_json_kind kind() const { return at_->kind; }
    // Its name in an object.
    std::string_view name() const { return detail::view(at_->name); }

    // A field that must be there.
    Value operator[](const char *name) const {
        const wasmill_json *found = wasmill_find(in_, at_, name);
        if (found != nullptr) return {in_, found};
        wasmill_fault(in_, at_, "missing field `%s`", name);
        return {in_, &nothing()};
    }

    // A field that may be missing or null.
    std::optional<Value> find(const char *name) const {
        const wasmill_json *found = wasmill_find(in_, at_, name);
        return found == nullptr ? std::nullopt : std::optional(Value(in_, found));
    }

    // The values of an array or an object, in order: a fault if it is neither.
    std::vector<Value> values() const {
        std::vector<Value> all;
        if (at_->kind != WASMILL_JSON_ARRAY && at_->kind != WASMILL_JSON_OBJECT) {
            fault("expected an array or an object");
        }
        for (const wasmill_json *item = at_->first; item != nullptr; item = item->next) all.push_back({in_, item});
        return all;
    }

    // Notes a fault of one's own, with the value's place.
    void fault(std::string_view what) const {
        std::string said = name().empty() ? std::string(what) : text("`", name(), "`: ", what);
        wasmill_fault(in_, at_, "%s", said.c_str());
    }

  private:
    friend class Reader;
    Value(wasmill_reader *in, const wasmill_json *at) : in_(in), at_(at) {}

    static const wasmill_json &nothing() {
        static const wasmill_json none = {WASMILL_JSON_NULL, 0, {"", 0}, {"null", 4}, nullptr, nullptr};
        return none;
    }

    wasmill_reader *in_;
    const wasmill_json *at_;
};

// A text that is being read, and the first fault found. Values refer to it: it stays where it was made.
class Reader {
  public:
    explicit Reader(wasmill_reader in) : in_(in) {}
    Reader(const Reader &) = delete;
    Reader &operator=(const Reader &) = delete;

    // Whether everything did fit up to now.
    explicit operator bool() const { return !in_.failed; }
    // What is wrong and where.
    std::string_view fault() const { return detail::view(in_.fault); }

    Value root() { return {&in_, in_.root}; }
    // A field that must be there.
    Value operator[](const char *name) { return root()[name]; }
    // A field that may be missing or null.
    std::optional<Value> find(const char *name) { return root().find(name); }

    // What to return after a fault: for a payload a reject, for the config a retry, because the event is sound and can
    // be handled once the manifest is corrected.
    Failure refuse() const {
        if (!in_.is_config) return reject(fault());
        return retry(text(fault(), "; correct the [config] table of the plugin's manifest"));
    }

  private:
    wasmill_reader in_;
};

inline Reader Event::json() const {
    return Reader(wasmill_payload(&event_));
}

namespace config {

inline Reader load() {
    return Reader(wasmill_settings());
}

} // namespace config

// A JSON text being written: `wasmill::Writer().object().put("id", id).put("over_by", 0.5).close()`.
class Writer {
  public:
    // What follows goes into an object or array, until the matching `close`. At most 64 may be open.
    Writer &object(const char *name = nullptr) {
        wasmill_open_object(&out_, name);
        return *this;
    }
    Writer &array(const char *name = nullptr) {
        wasmill_open_array(&out_, name);
        return *this;
    }
    Writer &close() {
        wasmill_close(&out_);
        return *this;
    }

    // A field of an object.
    template <typename T> Writer &put(const char *name, const T &value) {
        if constexpr (std::is_same_v<T, std::nullptr_t>) {
            wasmill_put_null(&out_, name);
        } else if constexpr (std::is_same_v<T, bool>) {
            wasmill_put_bool(&out_, name, value);
        } else if constexpr (std::is_integral_v<T>) {
            static_assert(sizeof(T) < 8 || std::is_signed_v<T>, "JSON readers lose digits of 64 unsigned bits");
            wasmill_put_integer(&out_, name, value);
        } else if constexpr (std::is_floating_point_v<T>) {
            wasmill_put_number(&out_, name, value);
        } else {
            wasmill_put_string(&out_, name, detail::borrowed(value));
        }
        return *this;
    }

    // A value of an array, or the whole text.
    template <typename T> Writer &item(const T &value) { return put(nullptr, value); }

    // JSON text as it is.
    Writer &json(const char *name, std::string_view text) {
        wasmill_put_json(&out_, name, detail::borrowed(text));
        return *this;
    }

    // What was written.
    std::string_view written() const { return detail::view(wasmill_written(&out_)); }

  private:
    wasmill_writer out_ = {};
};

inline Output Output::json(std::string_view subject, const Writer &written) {
    return Output(subject, written.written()).with_header("content-type", "application/json");
}

} // namespace wasmill
