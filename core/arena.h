/* One arena owns all memory of one request. Nothing in it is freed alone. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

struct arena;

/* A limit in bytes over all of the arena's blocks. NULL when out of memory. */
struct arena *arena_create(size_t limit);
void arena_destroy(struct arena *arena);

/* 64-byte aligned, not zeroed. NULL past the limit, on overflow, or when out of memory.
 * A zero size gives a valid pointer. */
__attribute__((malloc)) void *arena_alloc(struct arena *arena, size_t count, size_t size);
void *arena_zeroed(struct arena *arena, size_t count, size_t size);

/* A mark to come back to: what was allocated since is forgotten (its blocks go back). */
struct arena_mark {
    void *block;
    size_t used;
};
struct arena_mark arena_save(const struct arena *arena);
void arena_restore(struct arena *arena, struct arena_mark mark);

size_t arena_used(const struct arena *arena); /* bytes held now, against the limit */
size_t arena_peak(const struct arena *arena); /* the most that was ever held */

#define arena_new(arena, type, count) ((type *)arena_alloc((arena), (count), sizeof(type)))

/* Blocks of 1 MiB and more are kept warm between requests, since fresh pages cost more than a
 * small convolution: at most this many bytes (default 256 MiB); 0 gives all of them back. */
void arena_keep(size_t bytes);
