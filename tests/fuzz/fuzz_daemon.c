/* The whole daemon in this process, spoken to over its socket: whatever bytes come, it answers or
 * hangs up, never with a 500, and serves the next. */
#include "tests/fuzz/fuzz.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { WORK_MS = 4, PATIENCE_MS = 180000, START_TRIES = 60000 };

int daemon_main(int argc, char **argv); /* server/main.c's main */

static struct sockaddr_un address = { .sun_family = AF_UNIX };

static void *serve(void *arg)
{
    char *argv[] = { "convolved", "--listen",       arg,     "--workers",
                     "2",         "--memory",       "64MiB", "--max-body",
                     "1MiB",      "--max-pixels",   "65536", "--max-macs",
                     "20000000",  "--max-output",   "1MiB",  "--header-timeout",
                     "200ms",     "--body-timeout", "200ms", "--request-timeout",
                     "2s",        "--log-level",    "off",   NULL };

    exit(daemon_main(sizeof argv / sizeof *argv - 1, argv));
}

static int try_connect(void)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd >= 0 && !connect(fd, (struct sockaddr *)&address, sizeof address))
        return fd;
    close(fd);
    return -1;
}

static void remove_socket(void)
{
    unlink(address.sun_path);
}

static void start(void)
{
    static char where[128];
    pthread_t thread;

    snprintf(address.sun_path, sizeof address.sun_path, "/tmp/convolved-fuzz-%d", (int)getpid());
    snprintf(where, sizeof where, "unix:%s", address.sun_path);
    signal(SIGPIPE, SIG_IGN);
    atexit(remove_socket);
    if (pthread_create(&thread, NULL, serve, where))
        abort();
    for (int i = 0, fd = -1; i < START_TRIES && fd < 0; i++) {
        usleep(1000);
        fd = try_connect();
        if (fd >= 0)
            close(fd);
    }
}

static void send_all(int fd, const uint8_t *data, size_t size)
{
    ssize_t count = 1;

    while (size && count > 0) {
        struct pollfd wait = { .fd = fd, .events = POLLOUT | POLLIN };

        poll(&wait, 1, PATIENCE_MS);
        if (wait.revents & POLLIN)
            return; /* it has answered: it may read no more */
        count = send(fd, data, size, MSG_NOSIGNAL | MSG_DONTWAIT);
        data += count;
        size -= (size_t)count;
    }
}

/* Reads until the daemon closes. It is told that no more comes only when it has had the time to work:
 * it would take us for gone. */
static void receive_all(int fd)
{
    char start[16] = "", rest[65536];
    struct pollfd wait = { .fd = fd, .events = POLLIN };
    size_t got = 0;

    for (ssize_t count = 1; count > 0;) {
        if (!poll(&wait, 1, WORK_MS)) {
            shutdown(fd, SHUT_WR);
            if (!poll(&wait, 1, PATIENCE_MS))
                abort(); /* silence */
        }
        count = recv(fd, rest, sizeof rest, 0);
        for (ssize_t i = 0; i < count && got < 12; i++)
            start[got++] = rest[i];
    }
    if (got && (strncmp(start, "HTTP/1.1 ", got < 9 ? got : 9) || !strncmp(start + 9, "500", 3)))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int fd;

    if (!*address.sun_path)
        start();
    fd = try_connect();
    if (fd < 0)
        abort();
    send_all(fd, data, size);
    receive_all(fd);
    close(fd);
    return 0;
}
