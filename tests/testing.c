/* Runs the registered tests under cmocka; an argument is a pattern of names (* and ?) to pick. */
#include "tests/testing.h"

#include <fnmatch.h>
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
        if (argc < 2 || !fnmatch(argv[1], test->says, 0))
            tests[count++] = (struct CMUnitTest){ .name = test->says,
                                                  .test_func = test->run,
                                                  .teardown_func = test_teardown };
    failures = _cmocka_run_group_tests(argv[0], tests, count, NULL, NULL);
    if (tests_end && !tests_end())
        failures++, count++;
    printf("%zu passed, %d failed\n", count - (size_t)failures, failures);
    return failures != 0;
}
