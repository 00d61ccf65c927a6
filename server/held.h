/* One stored layer in memory, counted by who uses it, so that it may be replaced or deleted
 * meanwhile; with its weights packed as requests have needed them. */
#pragma once
#include "api/api.h"

#include <pthread.h>
#include <sys/stat.h>

enum { MOST_PACKED = 8 };

/* Weights as one engine wants them. */
struct packed {
    struct conv_plan plan;
    const void *data;
    const float *bias; /* a copy; NULL: zeros */
};

struct held {
    struct held *next; /* in the table */
    atomic_int users;  /* the table is one of them */
    char name[STORED_NAME + 1];
    struct stat file;
    struct arena *arena;
    const struct stored *stored;
    pthread_mutex_t packing; /* the arena and what follows */
    struct packed packed[MOST_PACKED];
    int packed_count;
};

/* Of one user, with an empty arena (or NULL in its place); NULL when out of memory. */
struct held *held_create(const char *name, size_t limit, struct arena_cache *memory);
void held_release(struct held *held); /* NULL is fine */

/* The weights as the plan's engine wants them, made once for each kind of plan. */
void held_pack(struct held *held, const struct conv_plan *plan, struct conv_inputs *inputs);
