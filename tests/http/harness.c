/* Starts, watches and stops the real daemon, and keeps what the running test was given. */
#include "tests/http/harness.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { START_MS = 30000, STOP_MS = 30000, STEP_MS = 2, MOST_OPTIONS = 40 };

static struct daemon *running, *shared;
static struct kept {
    void *memory;
    struct kept *next;
} * kept;

void *keep(void *memory)
{
    struct kept *mark = malloc(sizeof *mark);

    assert_non_null(memory);
    assert_non_null(mark);
    *mark = (struct kept){ memory, kept };
    kept = mark;
    return memory;
}

char *file_read(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    struct stat about;
    char *data;

    if (!file || fstat(fileno(file), &about))
        fail_msg("cannot read %s: %s", path, strerror(errno));
    data = keep(malloc((size_t)about.st_size + 1));
    assert_int_equal(fread(data, 1, (size_t)about.st_size, file), about.st_size);
    fclose(file);
    data[about.st_size] = '\0';
    if (size)
        *size = (size_t)about.st_size;
    return data;
}

char *text_format(const char *format, ...)
{
    va_list args;
    char *text = NULL;

    va_start(args, format);
    if (vasprintf(&text, format, args) < 0)
        text = NULL;
    va_end(args);
    return keep(text);
}

const char *program_path(void)
{
    static char path[PATH_MAX + 16];
    ssize_t size = path[0] ? 0 : readlink("/proc/self/exe", path, PATH_MAX);

    if (size > 0) {
        path[size] = '\0';
        strcat(dirname(path), "/convolved");
    }
    return path;
}

static void nap(void)
{
    nanosleep(&(struct timespec){ 0, STEP_MS * 1000000L }, NULL);
}

/* They become fd 3, 4, ... of this process, which systemd's receivers expect. */
static void pass_sockets(const int *sockets, int count)
{
    int copies[8];
    char text[24];

    for (int i = 0; i < count; i++) /* out of the way first */
        copies[i] = fcntl(sockets[i], F_DUPFD, 100);
    for (int i = 0; i < count; i++) {
        dup2(copies[i], 3 + i);
        close(copies[i]);
    }
    snprintf(text, sizeof text, "%d", count);
    setenv("LISTEN_FDS", text, 1);
    snprintf(text, sizeof text, "%d", getpid());
    setenv("LISTEN_PID", text, 1);
}

static void become_daemon(int log_fd, const char *const *options)
{
    char *argv[MOST_OPTIONS] = { (char *)program_path() };
    int count = 1;

    while (*options && count < MOST_OPTIONS - 1)
        argv[count++] = (char *)*options++;
    dup2(log_fd, STDOUT_FILENO);
    dup2(log_fd, STDERR_FILENO);
    execv(argv[0], argv);
    dprintf(STDERR_FILENO, "cannot run %s: %s\n", argv[0], strerror(errno));
    _exit(127);
}

double now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec * 1e-6;
}

static void wait_till_it_listens(struct daemon *daemon)
{
    const char *line = NULL;
    siginfo_t end = { 0 };

    for (int ms = 0; ms < START_MS && !*daemon->url; ms += STEP_MS) {
        line = strstr(daemon_log(daemon), "listens on http://");
        if (line && strstr(line, "workers"))
            sscanf(line, "listens on %63s", daemon->url);
        else if (!waitid(P_PID, (id_t)daemon->pid, &end, WEXITED | WNOHANG | WNOWAIT) && end.si_pid)
            break;
        else
            nap();
    }
    if (!*daemon->url)
        fail_msg("the daemon did not start; it said: %s", daemon_log(daemon));
    daemon->port = atoi(strrchr(daemon->url, ':') + 1);
}

struct daemon *daemon_start_passing(const int *sockets, int count, const char *const *options)
{
    struct daemon *daemon = calloc(1, sizeof *daemon);

    assert_non_null(daemon);
    daemon->log_fd = memfd_create("log", MFD_CLOEXEC);
    assert_true(daemon->log_fd >= 0 && fcntl(daemon->log_fd, F_SETFL, O_APPEND) == 0);
    program_path();
    daemon->pid = fork();
    assert_true(daemon->pid >= 0);
    if (!daemon->pid) {
        int log_fd = fcntl(daemon->log_fd, F_DUPFD_CLOEXEC, 100);

        if (count)
            pass_sockets(sockets, count);
        become_daemon(log_fd, options);
    }
    daemon->next = running;
    running = daemon;
    wait_till_it_listens(daemon);
    return daemon;
}

struct daemon *daemon_start_with(const char *const *options)
{
    const char *all[MOST_OPTIONS] = { "--listen", "127.0.0.1:0" };

    for (int i = 0; options[i] && i + 3 < MOST_OPTIONS; i++)
        all[i + 2] = options[i];
    return daemon_start_passing(NULL, 0, all);
}

struct daemon *daemon_shared(void)
{
    if (!shared)
        shared = daemon_start();
    return shared;
}

const char *daemon_log(struct daemon *daemon)
{
    struct stat about;
    ssize_t size;

    free(daemon->log);
    daemon->log = fstat(daemon->log_fd, &about) ? NULL : calloc(1, (size_t)about.st_size + 1);
    assert_non_null(daemon->log);
    size = pread(daemon->log_fd, daemon->log, (size_t)about.st_size, 0);
    assert_true(size >= 0);
    return daemon->log;
}

static void forget(struct daemon *daemon)
{
    struct daemon **link = &running;

    while (*link != daemon)
        link = &(*link)->next;
    *link = daemon->next;
    if (shared == daemon)
        shared = NULL;
    close(daemon->log_fd);
    free(daemon->log);
    free(daemon);
}

/* -1: it had to be killed. What a sanitizer said is shown. */
static int wait_for(struct daemon *daemon)
{
    int status = 0, result = -1;
    pid_t pid = 0;

    for (int ms = 0; ms < STOP_MS && pid == 0; ms += STEP_MS) {
        pid = waitpid(daemon->pid, &status, WNOHANG);
        if (pid == 0)
            nap();
    }
    if (pid == daemon->pid) {
        result = WIFEXITED(status) ? WEXITSTATUS(status) : 256 + WTERMSIG(status);
    } else {
        kill(daemon->pid, SIGKILL);
        waitpid(daemon->pid, &status, 0);
    }
    if (result > 3 && result != 256 + SIGKILL)
        fprintf(stderr, "the daemon ended with %d; it said:\n%s\n", result, daemon_log(daemon));
    forget(daemon);
    return result;
}

int daemon_wait(struct daemon *daemon)
{
    int result = wait_for(daemon);

    if (result < 0)
        fail_msg("the daemon was still running after %d s and was killed", STOP_MS / 1000);
    return result;
}

int daemon_stop(struct daemon *daemon)
{
    kill(daemon->pid, SIGTERM);
    return daemon_wait(daemon);
}

int test_teardown(__attribute__((unused)) void **state)
{
    while (kept) {
        struct kept *next = kept->next;

        free(kept->memory);
        free(kept);
        kept = next;
    }
    for (struct daemon *daemon = running, *next; daemon; daemon = next) {
        next = daemon->next;
        if (daemon != shared) {
            kill(daemon->pid, SIGKILL);
            wait_for(daemon);
        }
    }
    client_end();
    return 0;
}

bool tests_end(void)
{
    int status;

    if (!shared)
        return true;
    kill(shared->pid, SIGTERM);
    status = wait_for(shared);
    if (status)
        printf("[  FAILED  ] the shared daemon ended with %d, not 0\n", status);
    return status == 0;
}
