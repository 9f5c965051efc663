/* The engine in native unit tests.
 *
 *     int main(void) {
 *         wasmill_test_start("{\"limit\": 100}");
 *         wasmill_event event = wasmill_test_event("{\"id\": \"p1\", \"amount\": 100.5}");
 *         wasmill_answer answer = wasmill_test_deliver(&event);
 *         wasmill_check(!answer.failed && answer.outputs.count == 1);
 *         return wasmill_test_end();
 *     }
 *
 * All that an answer holds lasts until the next `wasmill_test_start`. */
#ifndef WASMILL_TESTING_H
#define WASMILL_TESTING_H

#include "wasmill.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One line that was logged. */
typedef struct {
    wasmill_level level;
    wasmill_str message;
    wasmill_headers fields;
} wasmill_test_line;

/* Starts the engine anew: this `[config]` table as JSON, a fixed time, a fixed seed, no lines. */
void wasmill_test_start(const char *config);
/* Sets the plugin clock, nanoseconds since the Unix epoch. */
void wasmill_test_set_now(uint64_t time_ns);
/* Sets where the random numbers begin. */
void wasmill_test_set_seed(uint64_t seed);

/* An event with this payload. Its attributes are plausible, and there to be set. */
wasmill_event wasmill_test_event(const char *data);
/* Hands the event to the handler, as the engine does. */
wasmill_answer wasmill_test_deliver(const wasmill_event *event);
/* Why the handler failed: the reason, or the exception's message; empty if it did not. */
wasmill_str wasmill_test_reason(const wasmill_answer *answer);

/* Gives the plugin a key, with no state and no timers. An event of a test needs none of its own. */
void wasmill_test_key(const char *key);
/* How large the key's record may be, in bytes, and how many timers it may have. */
void wasmill_test_limits(size_t record_bytes, size_t timers);
/* One field of the key's state as it is between calls: a call that failed changed nothing. */
wasmill_maybe wasmill_test_state(const char *name);
/* Sets a field, as if an earlier call had. */
void wasmill_test_set_state(const char *name, const char *value);
/* The timers that are set, in the order in which they will fire. */
size_t wasmill_test_timer_count(void);
const wasmill_timer *wasmill_test_timer_at(size_t i);
/* Hands the first timer that is due by then to its handler, with the plugin clock at its time. False if there is none: the
 * clock is then `until_ns`. */
bool wasmill_test_fire(uint64_t until_ns, wasmill_answer (*handler)(const wasmill_timer *timer), wasmill_answer *answer);
/* Grants a lookup table: its rows are the members of a JSON object. NULL is a table that is not loaded yet. */
void wasmill_test_table(const char *name, const char *rows);

/* How many lines were logged since the engine started anew (the first thousand are kept), and the i-th of them. */
size_t wasmill_test_line_count(void);
const wasmill_test_line *wasmill_test_line_at(size_t i);

/* Whether the condition holds; if it does not, that is noted and printed. */
#define wasmill_check(condition) wasmill_test_check(condition, #condition, __FILE__, __LINE__)
/* The same for two texts. */
#define wasmill_check_text(found, wanted) wasmill_test_check_text(found, wanted, __FILE__, __LINE__)
bool wasmill_test_check(bool holds, const char *condition, const char *file, int line);
bool wasmill_test_check_text(wasmill_str found, const char *wanted, const char *file, int line);
/* Prints how many checks failed; what `main` should return. */
int wasmill_test_end(void);

#ifdef __cplusplus
}
#endif

#endif
