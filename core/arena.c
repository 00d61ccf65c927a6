/* A list of blocks that grows and is freed whole. Blocks come from a cache and go back to it. */
#include "core/arena.h"

#include "core/checked.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum {
    ALIGN = 64,
    SMALL = 64 * 1024, /* the least block */
    LARGE = 8 << 20,   /* one that gets huge pages */
    HUGE_PAGE = 2 << 20
};

struct block {
    struct block *next;
    size_t size;    /* bytes of data */
    size_t charged; /* of them, against the arena's limit */
    _Alignas(ALIGN) char data[];
};

struct arena_cache {
    pthread_mutex_t lock;
    struct block *blocks; /* the latest first */
    size_t keep;          /* bytes of them, at most */
    atomic_size_t used;   /* charged bytes of all arenas */
    size_t most;
};

struct arena {
    struct arena_cache *cache;
    struct block *blocks;      /* the newest first; only it has free space */
    size_t used;               /* in the newest block */
    size_t total, peak, limit; /* charged bytes over all blocks */
    bool starved;
};

struct arena_cache *arena_cache_create(size_t keep)
{
    struct arena_cache *cache = calloc(1, sizeof *cache);

    if (cache) {
        pthread_mutex_init(&cache->lock, NULL);
        cache->keep = keep;
        cache->most = SIZE_MAX;
    }
    return cache;
}

void arena_cache_limit(struct arena_cache *cache, size_t most)
{
    cache->most = most;
}

size_t arena_cache_used(struct arena_cache *cache)
{
    return atomic_load(&cache->used);
}

static bool charge(struct arena_cache *cache, size_t size)
{
    if (!cache || atomic_fetch_add(&cache->used, size) + size <= cache->most)
        return true;
    atomic_fetch_sub(&cache->used, size);
    return false;
}

static void discharge(struct arena_cache *cache, size_t size)
{
    if (cache)
        atomic_fetch_sub(&cache->used, size);
}

static void free_list(struct block *block)
{
    while (block) {
        struct block *next = block->next;

        free(block);
        block = next;
    }
}

void arena_cache_destroy(struct arena_cache *cache)
{
    if (!cache)
        return;
    free_list(cache->blocks);
    pthread_mutex_destroy(&cache->lock);
    free(cache);
}

/* The first block that is large enough, but not more than twice as large as wanted. */
static struct block *cache_take(struct arena_cache *cache, size_t size)
{
    struct block *taken = NULL;

    pthread_mutex_lock(&cache->lock);
    for (struct block **at = &cache->blocks; *at && !taken; at = &(*at)->next)
        if ((*at)->size >= size && (*at)->size / 2 <= size) {
            taken = *at;
            *at = taken->next;
            break;
        }
    pthread_mutex_unlock(&cache->lock);
    return taken;
}

/* Older blocks make room for this one. */
static void cache_give(struct arena_cache *cache, struct block *block)
{
    struct block **at = &cache->blocks, *evicted;
    size_t left = cache->keep;

    pthread_mutex_lock(&cache->lock);
    block->next = cache->blocks;
    cache->blocks = block;
    for (; *at && (*at)->size <= left; at = &(*at)->next)
        left -= (*at)->size;
    evicted = *at;
    *at = NULL;
    pthread_mutex_unlock(&cache->lock);
    free_list(evicted);
}

struct arena *arena_create(size_t limit)
{
    return arena_create_cached(limit, NULL);
}

struct arena *arena_create_cached(size_t limit, struct arena_cache *cache)
{
    struct arena *arena = calloc(1, sizeof *arena);

    if (arena) {
        arena->limit = limit;
        arena->cache = cache;
    }
    return arena;
}

static void drop(struct arena *arena, struct block **at)
{
    struct block *block = *at;

    *at = block->next;
    arena->total -= block->charged;
    discharge(arena->cache, block->charged);
    if (arena->cache && block->size >= SMALL)
        cache_give(arena->cache, block);
    else
        free(block);
}

void arena_destroy(struct arena *arena)
{
    if (!arena)
        return;
    while (arena->blocks)
        drop(arena, &arena->blocks);
    free(arena);
}

/* In pages of 4 KB, 150 MB of packed weights take 62 ms to touch, and 11 to free when their layer is
 * stopped; in huge ones, where the system has them, 14 and 0.4. */
static void *allocate(size_t size)
{
    void *memory;

    if (posix_memalign(&memory, size < LARGE ? ALIGN : HUGE_PAGE, size))
        return NULL;
    if (size >= LARGE)
        madvise(memory, size, MADV_HUGEPAGE);
    return memory;
}

static struct block *block_create(struct arena *arena, size_t size)
{
    struct block *block = NULL;

    if (!charge(arena->cache, size))
        return NULL;
    if (arena->cache && size >= SMALL)
        block = cache_take(arena->cache, size);
    if (block)
        return block;
    block = allocate(sizeof *block + size);
    if (block)
        block->size = size;
    else
        discharge(arena->cache, size);
    return block;
}

static bool grow(struct arena *arena, size_t need)
{
    size_t left = arena->limit - arena->total;
    size_t charged = need < SMALL && left >= SMALL ? SMALL : need;
    struct block *block;

    if (charged > left)
        return false;
    block = block_create(arena, charged);
    if (!block) {
        arena->starved = true;
        return false;
    }
    block->charged = charged;
    block->next = arena->blocks;
    arena->blocks = block;
    arena->used = 0;
    arena->total += charged;
    if (arena->total > arena->peak)
        arena->peak = arena->total;
    return true;
}

void *arena_alloc(struct arena *arena, size_t count, size_t size)
{
    size_t need;
    void *memory;

    if (!checked_mul(count, size, &need))
        return NULL;
    need = (need + ALIGN - 1) & ~(size_t)(ALIGN - 1);
    if ((!arena->blocks || need > arena->blocks->charged - arena->used) && !grow(arena, need))
        return NULL;
    memory = arena->blocks->data + arena->used;
    arena->used += need;
    return memory;
}

void *arena_zeroed(struct arena *arena, size_t count, size_t size)
{
    void *memory = arena_alloc(arena, count, size);

    return memory ? memset(memory, 0, count * size) : NULL;
}

struct arena_mark arena_save(const struct arena *arena)
{
    return (struct arena_mark){ arena->blocks, arena->used };
}

void arena_restore(struct arena *arena, struct arena_mark mark)
{
    while (arena->blocks != mark.block)
        drop(arena, &arena->blocks);
    arena->used = mark.used;
}

void arena_keep(struct arena *arena, const void *memory)
{
    for (struct block **at = &arena->blocks; *at;)
        if ((uintptr_t)memory - (uintptr_t)(*at)->data < (*at)->charged)
            at = &(*at)->next;
        else
            drop(arena, at);
    arena->used = arena->blocks ? arena->blocks->charged : 0; /* full, whatever was there */
}

bool arena_starved(const struct arena *arena)
{
    return arena->starved;
}

size_t arena_used(const struct arena *arena)
{
    return arena->total;
}

size_t arena_peak(const struct arena *arena)
{
    return arena->peak;
}

bool memory_is_left(size_t size)
{
    void *volatile memory = malloc(size); /* volatile: the compiler would leave it out */
    bool got = memory;

    free(memory);
    return got;
}
