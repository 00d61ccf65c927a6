/* Sentences that must be true. TEST(a_sentence) { assert_...(...); } registers itself; the names
 * are read by people, so they are whole sentences. cmocka gives the assertions. */
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* cmocka's fail() is a macro and would hide core's function. */
#undef fail
#undef fail_msg
#define fail_msg(...)                                                                              \
    (print_error("ERROR: " __VA_ARGS__), print_error("\n"), _fail(__FILE__, __LINE__))

struct test {
    const char *says;
    void (*run)(void **state);
    struct test *next;
};

void test_register(struct test *test);

/* Sanitizers, and builds without optimization, make everything slower: long loops of random cases
 * divide their count by this. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || !defined(__OPTIMIZE__)
enum { SLOWDOWN = 10 };
#else
enum { SLOWDOWN = 1 };
#endif

/* What a test program may define: after each test (cmocka's teardown), and after all of them
 * (false is one more failure). */
__attribute__((weak)) int test_teardown(void **state);
__attribute__((weak)) bool tests_end(void);

#define TEST(sentence)                                                                             \
    static void sentence(void **cmocka_state);                                                     \
    __attribute__((constructor)) static void register_##sentence(void)                             \
    {                                                                                              \
        static struct test test = { #sentence, sentence, NULL };                                   \
        test_register(&test);                                                                      \
    }                                                                                              \
    static void sentence(__attribute__((unused)) void **cmocka_state)
