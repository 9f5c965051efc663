/* What a component says about itself, as the contract's `record about`. */
#include <string.h>

#include "wasmill_internal.h"

typedef struct {
    wasmill_str *items;
    size_t count;
} list;

typedef struct {
    wasmill_str name;
    wasmill_str version;
    wasmill_str summary;
    list subjects;
    list emits;
} record;

static list words(const char *text) {
    const char *at = text == NULL ? "" : text;
    /* Every second character may begin a word. */
    list all = {wasmill_alloc((strlen(at) / 2 + 1) * sizeof(wasmill_str)), 0};
    for (;;) {
        at += strspn(at, " ");
        size_t len = strcspn(at, " ");
        if (len == 0) return all;
        all.items[all.count++] = (wasmill_str){at, len};
        at += len;
    }
}

const void *wasmill_describe(const wasmill_about *about) {
    record *it = wasmill_alloc(sizeof *it);
    *it = (record){
        wasmill_s(about->name),      wasmill_s(about->version), wasmill_s(about->summary),
        words(about->subjects), words(about->emits),
    };
    return it;
}
