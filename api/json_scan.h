/* JSON from strangers: one strict pass (RFC 8259, UTF-8) cuts lists of numbers straight into
 * floats and long strings into views; cJSON parses only the small rest. */
#pragma once
#include "api/api.h"

#include <cjson/cJSON.h>

enum {
    JSON_DEPTH = 32,    /* lists and objects inside each other */
    JSON_VALUES = 4096, /* values, not counting the numbers of cut lists */
    JSON_HANDFUL = 64,  /* a flat list of so many numbers is there as doubles too */
    JSON_LONG = 256,    /* longer strings are cut */
    JSON_REST = 1 << 20 /* bytes that cJSON may see */
};

/* What was cut out: a list of numbers, [dims[0]]...[dims[rank - 1]], or a long string. */
struct json_cut {
    struct json_cut *next;
    int index, rank; /* rank 0: a string */
    size_t dims[MAX_RANK], count;
    float *data;
    bool infinite; /* some number is beyond float32 */
    struct bytes text;
};

/* All JSON of one request: its texts' trees and cuts. Zeroed at first; json_free() at the end. */
struct json_store {
    struct json_cut *cuts; /* the newest first */
    struct json_tree {
        struct json_tree *next;
        cJSON *root;
    } * trees;
};

/* The grammar alone, for whole texts: true when text is JSON. What was cut goes into json, what
 * is left into rest. nul is where the first \u0000 stands (it is JSON, but no name or word has
 * it), or SIZE_MAX. */
bool json_scan(struct bytes text, struct json_store *json, struct arena *arena, struct bytes *rest,
               size_t *nul, struct error *err);

/* json_scan and cJSON. text needs BODY_SLACK readable bytes behind it. NULL is an error: ERR_SYNTAX
 * with the byte, ERR_SHAPE (ragged lists, field is the member), ERR_TWICE (field likewise),
 * ERR_TOO_LARGE. The tree lives until json_free(). */
const cJSON *json_parse(struct bytes text, struct json_store *json, struct arena *arena,
                        struct error *err);
void json_free(struct json_store *json);

/* The floats of a list of numbers; NULL when item is no such list (or an empty one). */
const struct json_cut *json_tensor(const struct json_store *json, const cJSON *item);

/* A string's bytes; data is NULL when item is no string. */
struct bytes json_string(const struct json_store *json, const cJSON *item);

/* A number, or a flat list of at most most numbers: how many; -1 when it is neither. */
int json_numbers(const struct json_store *json, const cJSON *item, double *numbers, int most);

/* The list's elements, without the mark of a cut list. */
const cJSON *json_first(const cJSON *list);

/* Is all of text well-formed UTF-8? What is not may look like a cut's mark: it is no item's text. */
bool json_utf8(struct bytes text);
