/* One convolution from the command line, and the question whether a server is ready. */
#include "server/commands.h"

#include "server/clock.h"
#include "server/exchange.h"
#include "server/listen.h"
#include "server/routes.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int complain(const char *sentence)
{
    fprintf(stderr, "convolved: %s\n", sentence);
    return 1;
}

/* --- run --- */

/* The whole file, with the slack that readers of bodies may touch. A pipe's length is unknown. */
static bool body_read(const char *path, const struct config *config, struct arena *arena,
                      struct bytes *body, struct error *err)
{
    int fd = !strcmp(path, "-") ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    size_t room = 1 << 16, size = 0;
    char *data = arena_zeroed(arena, room + 2UL * BODY_SLACK, 1);
    ssize_t got = -1;

    while (fd >= 0 && data && (got = read(fd, data + BODY_SLACK + size, room - size)) > 0) {
        size += (size_t)got;
        if (size > config->max_body)
            return fail(err, ERR_TOO_LARGE, "", "%s is over --max-body, %zu bytes", path,
                        config->max_body);
        if (size == room) {
            char *larger = arena_zeroed(arena, 4 * room + 2UL * BODY_SLACK, 1);

            if (larger)
                memcpy(larger, data, BODY_SLACK + size);
            data = larger;
            room *= 4;
        }
    }
    if (fd < 0 || (data && got < 0))
        return fail(err, ERR_NOT_FOUND, "", "cannot read %s: %s", path, strerror(errno));
    if (fd != STDIN_FILENO)
        close(fd);
    *body = (struct bytes){ data + BODY_SLACK, size };
    return data || fail(err, ERR_TOO_LARGE, "", "%s is over the memory for one request", path);
}

/* name=value as a query string would carry it. */
static char *encode(char *out, const char *text)
{
    for (; *text; text++)
        if (isalnum((unsigned char)*text) || strchr("=-_.,", *text))
            *out++ = *text;
        else
            out += sprintf(out, "%%%02X", (unsigned char)*text);
    *out = '\0';
    return out;
}

static bool arguments_read(char **arguments, struct arena *arena, const char **path,
                           const char **query)
{
    size_t size = 1;
    char *out;

    for (char **argument = arguments; *argument; argument++)
        size += 3 * strlen(*argument) + 1;
    *query = out = arena_zeroed(arena, size, 1);
    *path = NULL;
    for (char **argument = arguments; *argument && out; argument++) {
        if (strchr(*argument, '=')) {
            if (out != *query)
                *out++ = '&';
            out = encode(out, *argument);
        } else if (*path) {
            return false;
        } else {
            *path = *argument;
        }
    }
    return out != NULL;
}

static bool write_all(const char *data, size_t size)
{
    while (size) {
        ssize_t wrote = write(STDOUT_FILENO, data, size);

        if (wrote < 0 && errno != EINTR)
            return false;
        data += wrote > 0 ? wrote : 0;
        size -= wrote > 0 ? (size_t)wrote : 0;
    }
    return true;
}

static int answer(struct exchange *exchange, const char *path, const struct config *config)
{
    struct error err;

    if (path && !body_read(path, config, exchange->arena, &exchange->in.body, &err))
        return complain(err.detail);
    if (!route_find(exchange, &err))
        return complain(err.detail);
    exchange->stages.started = clock_ms();
    if (!exchange->route->handle(exchange, &err)) {
        fprintf(stderr, "convolved: %s%s%s\n", err.field, *err.field ? ": " : "", err.detail);
        return 1;
    }
    if (!write_all(exchange->out.body.data, exchange->out.body.size))
        return complain("cannot write the reply");
    return 0;
}

int command_run(const struct config *config, char **arguments)
{
    struct service service = {
        .config = config,
        .limits = { config->max_pixels, config->max_output, config->max_macs, config->memory },
        .pool = pool_start((int)config->workers, 1),
    };
    struct exchange exchange = {
        .service = &service,
        .arena = arena_create(config->memory),
        .in = { "POST", "/convolve", "", "", "", "", "", { "", 0 }, NULL },
        .stages.clock_ms = clock_ms,
        .id = "run",
        .deadline_ms = INFINITY,
    };
    const char *path = NULL;
    int status = 2;

    if (!service.pool || !exchange.arena)
        status = complain("out of memory");
    else if (!arguments_read(arguments, exchange.arena, &path, &exchange.in.query))
        complain("usage: convolved run [picture or -] [name=value]... > reply");
    else
        status = answer(&exchange, path, config);
    if (service.pool) {
        pool_drain(service.pool);
        pool_destroy(service.pool);
    }
    arena_destroy(exchange.arena);
    return status;
}

/* --- healthcheck --- */

int command_healthcheck(const struct config *config)
{
    static const char request[] = "GET /readyz HTTP/1.1\r\nHost: localhost\r\n"
                                  "User-Agent: convolved-healthcheck\r\nConnection: close\r\n\r\n";
    int fd = listen_connect(config->listen);
    char reply[64] = "";
    size_t size = 0;
    ssize_t got = -1;

    if (fd < 0) {
        fprintf(stderr, "convolved: nothing answers on %s\n", config->listen);
        return 1;
    }
    if (send(fd, request, sizeof request - 1, MSG_NOSIGNAL) == (ssize_t)sizeof request - 1)
        while (size < 13 && (got = recv(fd, reply + size, sizeof reply - 1 - size, 0)) > 0)
            size += (size_t)got;
    close(fd);
    if (size >= 13 && !strncmp(reply, "HTTP/1.1 200 ", 13))
        return 0;
    fprintf(stderr, "convolved: the server on %s is not ready\n", config->listen);
    return 1;
}
