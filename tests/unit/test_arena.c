/* The memory of one request. */
#include "tests/testing.h"

#include "core/arena.h"

TEST(an_arena_gives_nothing_past_its_limit_and_goes_on_below_it)
{
    struct arena *arena = arena_create(1 << 20);

    assert_null(arena_alloc(arena, 1, (1 << 20) + 1));
    assert_non_null(arena_alloc(arena, 1 << 10, 1 << 9));
    assert_null(arena_alloc(arena, 1, (1 << 19) + 1));
    assert_non_null(arena_alloc(arena, 1, 1));
    arena_destroy(arena);
}

TEST(an_arenas_memory_is_aligned_for_the_widest_vectors_even_when_empty)
{
    struct arena *arena = arena_create(1 << 20);

    for (size_t size = 0; size < 300; size++) {
        void *memory = arena_alloc(arena, 1, size);

        assert_non_null(memory);
        assert_int_equal((uintptr_t)memory % 64, 0);
    }
    arena_destroy(arena);
}

TEST(a_product_that_overflows_is_no_small_allocation)
{
    struct arena *arena = arena_create(SIZE_MAX);

    assert_null(arena_alloc(arena, SIZE_MAX / 2 + 2, 2));
    assert_null(arena_alloc(arena, SIZE_MAX, SIZE_MAX));
    arena_destroy(arena);
}

TEST(a_mark_gives_back_all_that_came_after_it)
{
    struct arena *arena = arena_create(4 << 20);
    struct arena_mark mark;
    char *first = arena_alloc(arena, 1, 100);
    size_t used;

    memset(first, 7, 100);
    mark = arena_save(arena);
    used = arena_used(arena);
    for (int i = 0; i < 100; i++) {
        assert_non_null(arena_alloc(arena, 3, 1 << 20));
        assert_null(arena_alloc(arena, 3, 1 << 20));
        arena_restore(arena, mark);
        assert_int_equal(arena_used(arena), used);
    }
    assert_true(arena_peak(arena) >= 3 << 20);
    assert_int_equal(first[99], 7);
    arena_destroy(arena);
}

TEST(big_blocks_come_back_warm_and_the_cache_keeps_its_bound)
{
    struct arena_cache *cache = arena_cache_create(8 << 20);

    for (int round = 0; round < 2; round++) {
        struct arena *arena = arena_create_cached(64 << 20, cache);
        void *first = arena_alloc(arena, 1, 4 << 20);

        arena_destroy(arena);
        arena = arena_create_cached(64 << 20, cache);
        assert_ptr_equal(arena_alloc(arena, 1, 3 << 20), first);
        assert_non_null(arena_alloc(arena, 1, 20 << 20)); /* over the cache's bound: freed */
        arena_destroy(arena);
    }
    arena_cache_destroy(cache);
}

TEST(what_a_reply_needs_is_kept_and_the_rest_given_back)
{
    struct arena_cache *cache = arena_cache_create(8 << 20);
    struct arena *arena = arena_create_cached(64 << 20, cache), *next;
    char *first = arena_alloc(arena, 1, 2 << 20), *reply = arena_alloc(arena, 1, 1 << 20);

    assert_non_null(arena_alloc(arena, 1, 3 << 20));
    memset(reply, 'r', 1 << 20);
    arena_keep(arena, reply + (1 << 19));
    assert_int_equal(arena_used(arena), 1 << 20);
    assert_int_equal(arena_cache_used(cache), 1 << 20);
    next = arena_create_cached(64 << 20, cache);
    assert_ptr_equal(arena_alloc(next, 1, 2 << 20), first);
    memset(first, 'n', 2 << 20);
    assert_true(arena_alloc(arena, 1, 1) != reply); /* the kept block takes no more */
    assert_int_equal(reply[0], 'r');
    assert_int_equal(reply[(1 << 20) - 1], 'r');
    arena_keep(arena, "static");
    assert_int_equal(arena_used(arena), 0);
    arena_destroy(next);
    arena_destroy(arena);
    arena_cache_destroy(cache);
}

TEST(arenas_of_one_cache_share_its_bytes_and_say_whose_limit_it_was)
{
    struct arena_cache *cache = arena_cache_create(0);
    struct arena *one = arena_create_cached(8 << 20, cache);
    struct arena *other = arena_create_cached(8 << 20, cache);

    arena_cache_limit(cache, 10 << 20);

    assert_non_null(arena_alloc(one, 1, 6 << 20));
    assert_null(arena_alloc(one, 1, 6 << 20));
    assert_false(arena_starved(one)); /* its own limit */
    assert_null(arena_alloc(other, 1, 6 << 20));
    assert_true(arena_starved(other));
    assert_int_equal(arena_cache_used(cache), 6 << 20);
    arena_destroy(one);
    assert_non_null(arena_alloc(other, 1, 6 << 20));
    arena_destroy(other);
    assert_int_equal(arena_cache_used(cache), 0);
    arena_cache_destroy(cache);
}
