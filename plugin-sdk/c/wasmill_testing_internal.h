/* What the two files of the engine of native tests share. */
#ifndef WASMILL_TESTING_INTERNAL_H
#define WASMILL_TESTING_INTERNAL_H

#include "wasmill_testing.h"

/* Takes the plugin its key and its tables. */
void wasmill_test_forget(void);
/* A call begins: what the key has is kept. */
void wasmill_test_keep(void);
/* A call has ended: if it failed, the key has again what was kept. */
wasmill_answer wasmill_test_ended(wasmill_answer answer);
/* The key of events, if the plugin has one. */
wasmill_maybe wasmill_test_key_of_events(void);
/* A copy in the memory of the call. */
wasmill_str wasmill_test_copy(wasmill_str text);

#endif
