/* Every allocation and every thread that the daemon asks for is refused, once, and then all from
 * there on: under each request of the script, and while it starts. It must answer 503 (or as if
 * nothing had been), or hang up; the next request must be right, and nothing may leak.
 * STEP=1 takes every point, STEP=17 every seventeenth. */
#include "tests/torture/attack.h"
#include "tests/torture/control.h"

#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PATIENCE_MS = 60000, SETTLE_MS = 5000, START_MS = 30000, LEAK_KIB = 8 * 1024 };

struct victim {
    struct daemon *daemon;
    struct control *control;
    size_t points, refused, hung_up, unharmed, wrong;
};

static struct control *control_create(void)
{
    int fd = memfd_create("control", 0);
    char text[16];
    struct control *control;

    assert_true(fd >= 0 && ftruncate(fd, sizeof *control) == 0);
    control = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    assert_ptr_not_equal(control, MAP_FAILED);
    snprintf(text, sizeof text, "%d", fd);
    setenv(CONTROL_VARIABLE, text, 1);
    return control;
}

/* The shim lies beside the test program. */
static void preload(bool on)
{
    if (on)
        setenv("LD_PRELOAD",
               text_format("%.*s/failing.so", (int)(strrchr(program_path(), '/') - program_path()),
                           program_path()),
               1);
    else
        unsetenv("LD_PRELOAD");
}

static void disarm(struct control *control)
{
    atomic_store(&control->from, LONG_MAX);
    atomic_store(&control->until, LONG_MAX);
}

static void arm(struct control *control, long point, bool sticky)
{
    long from = atomic_load(&control->calls) + point;

    atomic_store(&control->until, sticky ? LONG_MAX : from + 1);
    atomic_store(&control->from, from);
}

/* --- requests --- */

static struct outcome send_blob(const struct victim *victim, const struct blob *blob)
{
    return attack(victim->daemon->port, blob->data, blob->size, PATIENCE_MS);
}

/* A request that was answered has its memory back a moment later. */
static long live_blocks(const struct control *control)
{
    long live = atomic_load(&control->live);

    for (int still = 0, ms = 0; still < 3 && ms < SETTLE_MS; ms++) {
        long now;

        usleep(1000);
        now = atomic_load(&control->live);
        still = now == live ? still + 1 : 0;
        live = now;
    }
    return live;
}

static bool same_body(const struct outcome *a, const struct outcome *b)
{
    return a->size == b->size && !memcmp(a->body, b->body, a->size);
}

static bool fits(const struct request *request, const struct outcome *good,
                 const struct outcome *got)
{
    return got->status == request->status && (!request->steady || same_body(good, got));
}

static bool bears(struct victim *victim, const struct request *request, const struct outcome *good,
                  const struct outcome *got)
{
    if (got->status == 503 && outcome_is_problem(got))
        victim->refused++;
    else if (got->status == CLOSED)
        victim->hung_up++;
    else if (fits(request, good, got))
        victim->unharmed++;
    else
        return false;
    return true;
}

static void complain(struct victim *victim, const struct request *request, const char *when,
                     long point, const struct outcome *got)
{
    if (victim->wrong++ < 20)
        printf("%s, %s allocation %ld: status %d, %zu bytes: %.250s\n", request->says, when, point,
               got->status, got->size, got->status > 0 ? got->body : "");
}

/* One point of one request; false: the request was done before the point was reached. */
static bool hit(struct victim *victim, const struct request *request, const struct blob *blob,
                const struct outcome *good, long point, bool sticky)
{
    long failed = atomic_load(&victim->control->failed);
    struct outcome got;

    arm(victim->control, point, sticky);
    got = send_blob(victim, blob);
    disarm(victim->control);
    if (!bears(victim, request, good, &got))
        complain(victim, request, sticky ? "from" : "at", point, &got);
    free(got.data);
    got = send_blob(victim, blob);
    if (!fits(request, good, &got))
        complain(victim, request, "after", point, &got);
    free(got.data);
    victim->points++;
    return atomic_load(&victim->control->failed) > failed;
}

static void hurt(struct victim *victim, const struct request *request, bool sticky)
{
    struct blob blob = request_bytes(request);
    struct outcome good = send_blob(victim, &blob);
    long step = (long)count_from("STEP", 1), before, live;

    assert_int_equal(good.status, request->status);
    live = live_blocks(victim->control);
    before = atomic_load(&victim->control->calls);
    free(send_blob(victim, &blob).data);
    live_blocks(victim->control);
    before = atomic_load(&victim->control->calls) - before;
    for (long point = step > 1 ? before % step : 0; point < before + 2; point += step)
        hit(victim, request, &blob, &good, point, sticky);
    if (live_blocks(victim->control) > live + 8) {
        printf("%s: %ld blocks more than before %ld failures\n", request->says,
               live_blocks(victim->control) - live, before);
        victim->wrong++;
    }
    free(good.data);
    free(blob.data);
}

static void hurt_all(bool sticky)
{
    struct victim victim = { .control = control_create() };
    const struct request *requests;
    size_t count, kib, files;

    requests = requests_all(&count);
    preload(true);
    disarm(victim.control);
    victim.daemon = daemon_start("--workers", "2", "--log-level", "off");
    preload(false);
    for (size_t i = 0; i < count; i++) { /* warm: caches have what they keep */
        struct blob blob = request_bytes(&requests[i]);

        free(send_blob(&victim, &blob).data);
        free(blob.data);
    }
    assert_true(atomic_load(&victim.control->calls) > 100);
    kib = process_kib(victim.daemon->pid, "VmRSS");
    files = (size_t)process_files(victim.daemon->pid);
    for (size_t i = 0; i < count; i++)
        hurt(&victim, &requests[i], sticky);
    printf("%zu requests, %zu points, %s: %zu got 503, %zu a closed connection, %zu noticed "
           "nothing, %zu wrong; memory %+zd KiB, files %+zd\n",
           count, victim.points, sticky ? "from there on" : "once", victim.refused, victim.hung_up,
           victim.unharmed, victim.wrong, (ssize_t)(process_kib(victim.daemon->pid, "VmRSS") - kib),
           (ssize_t)process_files(victim.daemon->pid) - (ssize_t)files);
    assert_int_equal(victim.wrong, 0);
    assert_true(victim.refused > 0);
    assert_true(process_kib(victim.daemon->pid, "VmRSS") < kib + LEAK_KIB);
    assert_true((size_t)process_files(victim.daemon->pid) <= files);
    assert_int_equal(daemon_stop(victim.daemon), 0);
}

TEST(every_allocation_may_fail_once)
{
    hurt_all(false);
}

TEST(every_allocation_may_fail_and_all_behind_it)
{
    hurt_all(true);
}

/* --- the start --- */

/* It serves, or it ends with a sentence: true. */
static bool starts_or_says(struct control *control, long point, bool sticky, bool *served)
{
    int pipes[2], status = 0;
    char said[4096];
    size_t size = 0;
    pid_t pid;

    assert_int_equal(pipe(pipes), 0);
    atomic_store(&control->calls, 0);
    atomic_store(&control->from, point);
    atomic_store(&control->until, sticky ? LONG_MAX : point + 1);
    pid = fork();
    assert_true(pid >= 0);
    if (!pid) {
        dup2(pipes[1], STDOUT_FILENO);
        dup2(pipes[1], STDERR_FILENO);
        preload(true);
        execl(program_path(), program_path(), "--listen", "127.0.0.1:0", "--workers", "2", NULL);
        _exit(127);
    }
    close(pipes[1]);
    for (ssize_t count; size < sizeof said - 1 && !memmem(said, size, "http://", 7) &&
                        (count = read(pipes[0], said + size, sizeof said - 1 - size)) > 0;)
        size += (size_t)count;
    said[size] = '\0';
    disarm(control);
    *served = strstr(said, "http://") != NULL;
    if (*served)
        kill(pid, SIGTERM);
    waitpid(pid, &status, 0);
    close(pipes[0]);
    if (*served ? WIFEXITED(status) && WEXITSTATUS(status) == 0
                : WIFEXITED(status) && WEXITSTATUS(status) > 0 && size > 0)
        return true;
    printf("allocation %ld of the start, %s: status %#x, it said: %s\n", point,
           sticky ? "and all behind it" : "once", (unsigned)status, said);
    return false;
}

TEST(a_start_that_gets_no_memory_ends_with_a_sentence)
{
    struct control *control = control_create();
    long step = (long)count_from("STEP", 1), points;
    size_t wrong = 0, served = 0, tried = 0;
    bool up;

    assert_true(starts_or_says(control, LONG_MAX, false, &up) && up);
    points = atomic_load(&control->calls);
    for (long point = 0; point < points; point += step)
        for (int sticky = 0; sticky < 2; sticky++, tried++) {
            wrong += !starts_or_says(control, point, sticky, &up);
            served += up;
        }
    printf("the start: %ld allocations, %zu failed in it: %zu times it served all the same, %zu "
           "wrong\n",
           points, tried, served, wrong);
    assert_int_equal(wrong, 0);
}
