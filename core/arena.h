/* One arena owns all memory of one request. Nothing in it is freed alone. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

struct arena;

/* What arenas share: blocks kept warm between requests, since fresh pages cost more than a
 * small convolution, at most `keep` bytes of them; and a limit to what all arenas together
 * may hold. Any thread. Destroyed after the arenas that use it. */
struct arena_cache;
struct arena_cache *arena_cache_create(size_t keep);            /* NULL when out of memory */
void arena_cache_limit(struct arena_cache *cache, size_t most); /* none until then */
size_t arena_cache_used(struct arena_cache *cache);             /* bytes held by arenas now */
void arena_cache_destroy(struct arena_cache *cache);

/* A limit in bytes over all of the arena's blocks. cache may be NULL. NULL when out of memory. */
struct arena *arena_create(size_t limit);
struct arena *arena_create_cached(size_t limit, struct arena_cache *cache);
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

/* Gives back every block but the one that memory, allocated here, lies in; other memory: all. */
void arena_keep(struct arena *arena, const void *memory);

/* NULL was given because of others, not of this arena's own limit: later it may go. */
bool arena_starved(const struct arena *arena);

size_t arena_used(const struct arena *arena); /* bytes held now, against the limit */
size_t arena_peak(const struct arena *arena); /* the most that was ever held */

/* Could malloc give so much now? For libraries that do not look whether it did. */
bool memory_is_left(size_t size);

#define arena_new(arena, type, count) ((type *)arena_alloc((arena), (count), sizeof(type)))
