/* Helper processes, load with its replies sorted, and numbers out of /metrics. */
#include "tests/torture/endure.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

const char *posted(const char *body)
{
    return text_format("POST /convolve HTTP/1.1\r\nHost: localhost\r\n"
                       "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
                       strlen(body), body);
}

double metric(struct daemon *daemon, const char *series)
{
    static const char request[] = "GET /metrics HTTP/1.1\r\nHost: localhost\r\n"
                                  "Connection: close\r\n\r\n";
    struct outcome outcome = attack(daemon->port, request, sizeof request - 1, 10000);
    size_t size = strlen(series);
    double value = 0;

    assert_int_equal(outcome.status, 200);
    for (const char *line = outcome.body; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (!strncmp(line, series, size) && line[size] == ' ')
            value = atof(line + size);
    }
    free(outcome.data);
    return value;
}

void wait_for_metric(struct daemon *daemon, const char *series, double value)
{
    double now = metric(daemon, series);

    for (int i = 0; i < 1000 && now != value; i++) {
        usleep(20000);
        now = metric(daemon, series);
    }
    if (now != value)
        fail_msg("%s is %g, not %g", series, now, value);
}

struct helper helper_start(void (*work)(struct shared *shared, void *arg), void *arg)
{
    struct helper helper = { 0 };
    struct rlimit files;

    helper.shared = mmap(NULL, sizeof *helper.shared, PROT_READ | PROT_WRITE,
                         MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(helper.shared != MAP_FAILED);
    helper.pid = fork();
    assert_true(helper.pid >= 0);
    if (helper.pid)
        return helper;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    work(helper.shared, arg);
    _exit(0);
}

void helper_stop(struct helper *helper)
{
    atomic_store(&helper->shared->stop, true);
    waitpid(helper->pid, NULL, 0);
}

pid_t process_start(const char *const *argv, int log_fd)
{
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    dup2(log_fd, STDOUT_FILENO);
    dup2(log_fd, STDERR_FILENO);
    execvp(argv[0], (char *const *)(uintptr_t)argv);
    _exit(127);
}

/* --- load --- */

static bool same_body(struct tally *tally, const struct load_reply *reply)
{
    if (!tally->compare)
        return true;
    if (!tally->body) {
        tally->body = malloc(reply->size + 1);
        tally->size = reply->size;
        memcpy(tally->body, reply->body, reply->size);
    }
    return reply->size == tally->size && !memcmp(reply->body, tally->body, tally->size);
}

bool tally_reply(void *arg, const struct load_reply *reply)
{
    struct tally *tally = arg;

    if (reply->status == 200 && same_body(tally, reply)) {
        tally->in_time += load_now() <= tally->until;
        tally->done_ms[tally->done++] = tally->load->ms[tally->load->done - 1];
        return true;
    }
    tally->refused += reply->status == 503 && strcasestr(reply->head, "\r\nRetry-After:");
    tally->wrong += !(reply->status == 503 && strcasestr(reply->head, "\r\nRetry-After:"));
    return false;
}

double tally_run(struct tally *tally, int port, int connections, double rate, double seconds,
                 const char *request)
{
    struct load load = { .port = port,
                         .connections = connections,
                         .rate = rate,
                         .seconds = seconds,
                         .request = request,
                         .request_size = strlen(request),
                         .check = tally_reply,
                         .arg = tally };
    bool ran;

    tally->load = &load;
    tally->until = load_now() + seconds;
    tally->done = tally->refused = tally->wrong = tally->in_time = 0;
    if (!tally->done_ms)
        tally->done_ms = keep(malloc(sizeof(double) << 20));
    ran = load_run(&load);
    free(load.ms);
    if (!ran)
        fail_msg("a connection ended before its reply");
    load_sort(tally->done_ms, tally->done);
    return (double)tally->in_time / seconds;
}
