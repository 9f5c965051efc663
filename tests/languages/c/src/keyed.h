/* What needs a key: scripts of commands on state, timers and tables. */
#include "wasmill.h"

wasmill_answer script(const wasmill_event *event);
wasmill_answer swap(const wasmill_event *event);
