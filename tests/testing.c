/* Runs the registered tests under cmocka; an argument is a pattern of names (* and ?) to pick. */
#include "tests/testing.h"

#include <stdio.h>

enum { MOST = 4096 };
static struct test *first, **last = &first;

void test_register(struct test *test)
{
    *last = test;
    last = &test->next;
}

int main(int argc, char **argv)
{
    static struct CMUnitTest tests[MOST];
    size_t count = 0;
    int failures;

    setvbuf(stdout, NULL, _IOLBF, 0);
    for (struct test *test = first; test && count < MOST; test = test->next)
        tests[count++] = (struct CMUnitTest){ .name = test->says, .test_func = test->run };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    failures = _cmocka_run_group_tests("convolved", tests, count, NULL, NULL);
    printf("%s: %zu tests, %d failed\n", argv[0], count, failures);
    return failures != 0 || count == 0;
}
