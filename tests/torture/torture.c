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

static void start(struct victim *victim, const char *folder)
{
    preload(true);
    disarm(victim->control);
    victim->daemon = daemon_start("--workers", "2", "--log-level", "off", "--layers", folder);
    preload(false);
}

static void hurt_all(bool sticky)
{
    struct victim victim = { .control = control_create() };
    const char *folder = folder_create();
    const struct request *requests;
    size_t count, kib, files;

    requests = requests_all(&count);
    start(&victim, folder);
    requests_warm(victim.daemon->port);
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
    folder_remove(folder);
}

TEST(every_allocation_may_fail_once)
{
    hurt_all(false);
}

TEST(every_allocation_may_fail_and_all_behind_it)
{
    hurt_all(true);
}

/* --- stored layers --- */

static struct outcome ask(const struct victim *victim, const char *head, const char *body)
{
    struct blob blob = request_bytes(
        &(struct request){ .head = head, .body = body, .size = body ? strlen(body) : 0 });
    struct outcome got = send_blob(victim, &blob);

    free(blob.data);
    return got;
}

/* Y = times X; what the layer a says 1 is: its times, or 0 when it is not there. */
static int put_times(const struct victim *victim, int times)
{
    struct outcome got = ask(victim, "PUT /layers/a HTTP/1.1\r\nHost: localhost\r\n",
                             text_format("{\"weights\":[[%d]]}", times));

    free(got.data);
    return got.status;
}

static int convolve_one(const struct victim *victim, int *times)
{
    struct outcome got =
        ask(victim, "POST /convolve?layer=a HTTP/1.1\r\nHost: localhost\r\n", "{\"image\":[[1]]}");
    const char *data = got.status == 200 ? strstr(got.body, "\"data\":[") : NULL;
    int status = got.status;

    *times = data ? atoi(data + 8) : got.status == 400 ? 0 : -1;
    free(got.data);
    return status;
}

enum change { REPLACE, REMOVE, READ };

static int change_layer(const struct victim *victim, enum change change)
{
    struct outcome got;
    int times, status;

    if (change == REPLACE)
        return put_times(victim, 3);
    if (change == READ) /* it is from the disk: it has just been replaced */
        return status = convolve_one(victim, &times), status == 200 && times != 2 ? BROKEN : status;
    got = ask(victim, "DELETE /layers/a HTTP/1.1\r\nHost: localhost\r\n", NULL);
    free(got.data);
    return got.status;
}

/* 503 is a promise that nothing has changed; a closed connection is none. */
static bool is_whole(enum change change, int status, int times)
{
    int after = change == REPLACE ? 3 : change == REMOVE ? 0 : 2;

    if (status == 503)
        return times == 2;
    if (status == CLOSED)
        return times == 2 || times == after;
    return status == (change == REMOVE ? 204 : 200) && times == after;
}

static void hurt_layer(struct victim *victim, enum change change, bool sticky)
{
    static const char *const says[] = { "replaced", "removed", "read" };
    long before, step = (long)count_from("STEP", 1);
    int times, status;

    put_times(victim, 2);
    before = atomic_load(&victim->control->calls);
    change_layer(victim, change);
    before = atomic_load(&victim->control->calls) - before;
    for (long point = step > 1 ? before % step : 0; point < before + 2; point += step) {
        status = put_times(victim, 2);
        assert_true(status == 200 || status == 201);
        arm(victim->control, point, sticky);
        status = change_layer(victim, change);
        disarm(victim->control);
        convolve_one(victim, &times);
        victim->points++;
        *(status == 503      ? &victim->refused
          : status == CLOSED ? &victim->hung_up
                             : &victim->unharmed) += 1;
        if (!is_whole(change, status, times) && victim->wrong++ < 20)
            printf("a layer %s, %s allocation %ld: status %d, then it is %d\n", says[change],
                   sticky ? "from" : "at", point, status, times);
    }
}

TEST(a_layer_that_gets_no_memory_is_the_old_one_or_the_new_one)
{
    struct victim victim = { .control = control_create() };
    const char *folder = folder_create();

    start(&victim, folder);
    for (int sticky = 0; sticky < 2; sticky++)
        for (enum change change = REPLACE; change <= READ; change++)
            hurt_layer(&victim, change, sticky);
    printf("a layer replaced, removed and read, %zu points: %zu got 503, %zu a closed connection, "
           "%zu noticed nothing, %zu wrong\n",
           victim.points, victim.refused, victim.hung_up, victim.unharmed, victim.wrong);
    assert_int_equal(victim.wrong, 0);
    assert_true(victim.refused > 0);
    assert_int_equal(daemon_stop(victim.daemon), 0);
    folder_remove(folder);
}

/* --- the start --- */

/* It serves, or it ends with a sentence: true. */
static bool starts_or_says(struct control *control, const char *folder, long point, bool sticky,
                           bool *served)
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
        execl(program_path(), program_path(), "--listen", "127.0.0.1:0", "--workers", "2",
              "--layers", folder, NULL);
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

/* And the layer that is kept is not taken for a damaged one. */
TEST(a_start_that_gets_no_memory_ends_with_a_sentence)
{
    struct victim victim = { .control = control_create() };
    struct control *control = victim.control;
    const char *folder = folder_create();
    long step = (long)count_from("STEP", 1), points;
    size_t wrong = 0, served = 0, tried = 0;
    bool up;

    start(&victim, folder);
    assert_int_equal(put_times(&victim, 2), 201);
    assert_int_equal(daemon_stop(victim.daemon), 0);
    assert_true(starts_or_says(control, folder, LONG_MAX, false, &up) && up);
    points = atomic_load(&control->calls);
    for (long point = 0; point < points; point += step)
        for (int sticky = 0; sticky < 2; sticky++, tried++) {
            wrong += !starts_or_says(control, folder, point, sticky, &up);
            served += up;
        }
    printf("the start: %ld allocations, %zu failed in it: %zu times it served all the same, %zu "
           "wrong\n",
           points, tried, served, wrong);
    assert_int_equal(wrong, 0);
    assert_int_equal(access(text_format("%s/a.safetensors", folder), F_OK), 0);
    folder_remove(folder);
}
