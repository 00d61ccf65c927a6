/* Addresses are parsed once here, for serving and for healthcheck alike. */
#include "server/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

struct place {
    const char *option;
    struct sockaddr_storage address;
    socklen_t size;
    int fd; /* of "fd:N", or -1 */
};

/* Somebody bound it and called listen(): systemd, or a test. */
static bool parse_fd(const char *text, struct place *place, struct error *err)
{
    char *end;
    long fd = strtol(text, &end, 10);
    int listens = 0;
    socklen_t size = sizeof listens;

    if (!*text || *end || fd < 0 || fd > 1000000 ||
        getsockopt((int)fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) || !listens)
        return fail(err, ERR_PARAMETER, "listen", "%s: fd:%s is not a socket that listens",
                    place->option, text);
    place->fd = (int)fd;
    return true;
}

static bool parse_unix(const char *path, struct place *place, struct error *err)
{
    struct sockaddr_un *address = (struct sockaddr_un *)&place->address;

    if (!*path || strlen(path) >= sizeof address->sun_path)
        return fail(err, ERR_PARAMETER, "listen", "%s: unix:%s must have a path of 1 to %zu bytes",
                    place->option, path, sizeof address->sun_path - 1);
    address->sun_family = AF_UNIX;
    memcpy(address->sun_path, path, strlen(path) + 1);
    place->size = sizeof *address;
    return true;
}

static bool parse(const char *option, const char *text, struct place *place, struct error *err)
{
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE }, *found;
    const char *colon = strrchr(text, ':');
    char host[256];
    int length = colon ? (int)(colon - text) : 0, failed;

    *place = (struct place){ .option = option, .fd = -1 };
    if (!strncmp(text, "fd:", 3))
        return parse_fd(text + 3, place, err);
    if (!strncmp(text, "unix:", 5))
        return parse_unix(text + 5, place, err);
    if (!colon || length >= (int)sizeof host ||
        strspn(colon + 1, "0123456789") != strlen(colon + 1) || !colon[1] ||
        atol(colon + 1) > 65535)
        return fail(err, ERR_PARAMETER, "listen",
                    "%s is \"%s\"; it must be like 127.0.0.1:8080, [::1]:8080, "
                    "unix:/run/convolved.sock or fd:3",
                    option, text);
    if (*text == '[' && length > 1 && text[length - 1] == ']')
        snprintf(host, sizeof host, "%.*s", length - 2, text + 1);
    else
        snprintf(host, sizeof host, "%.*s", length, text);
    failed = getaddrinfo(*host ? host : NULL, colon + 1, &hints, &found);
    if (failed)
        return fail(err, ERR_PARAMETER, "listen", "%s is \"%s\" and %s is no address here: %s",
                    option, text, host, gai_strerror(failed));
    memcpy(&place->address, found->ai_addr, found->ai_addrlen);
    place->size = found->ai_addrlen;
    freeaddrinfo(found);
    return true;
}

enum { URL = sizeof((struct door *)NULL)->url };

static int port_of(const struct sockaddr_storage *address)
{
    return ntohs(address->ss_family == AF_INET6 ? ((const struct sockaddr_in6 *)address)->sin6_port
                                                : ((const struct sockaddr_in *)address)->sin_port);
}

/* Any address becomes this machine's own, which is what can be typed. */
static void url_write(const struct sockaddr_storage *address, char *url)
{
    char host[INET6_ADDRSTRLEN] = "localhost";

    if (address->ss_family == AF_UNIX) {
        snprintf(url, URL, "http://localhost (unix:%.90s)",
                 ((const struct sockaddr_un *)address)->sun_path);
        return;
    }
    if (address->ss_family == AF_INET6) {
        const struct in6_addr *ip = &((const struct sockaddr_in6 *)address)->sin6_addr;

        if (!IN6_IS_ADDR_UNSPECIFIED(ip))
            inet_ntop(AF_INET6, ip, host, sizeof host);
    } else if (((const struct sockaddr_in *)address)->sin_addr.s_addr) {
        inet_ntop(AF_INET, &((const struct sockaddr_in *)address)->sin_addr, host, sizeof host);
    }
    snprintf(url, URL, strchr(host, ':') ? "http://[%s]:%d" : "http://%s:%d", host,
             port_of(address));
}

/* A socket file that nobody listens on is a leftover of a crash. */
static void remove_leftover(const struct place *place)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd >= 0 && connect(fd, (const struct sockaddr *)&place->address, place->size) &&
        errno == ECONNREFUSED)
        unlink(((const struct sockaddr_un *)&place->address)->sun_path);
    close(fd);
}

static int open_place(const struct place *place)
{
    int family = place->address.ss_family, on = 1;
    int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -1;
    if (family == AF_UNIX)
        remove_leftover(place);
    else
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (!bind(fd, (const struct sockaddr *)&place->address, place->size) && !listen(fd, 4096))
        return fd;
    on = errno;
    close(fd);
    errno = on;
    return -1;
}

static bool loopback(const struct sockaddr_storage *address)
{
    if (address->ss_family == AF_INET)
        return ntohl(((const struct sockaddr_in *)address)->sin_addr.s_addr) >> 24 == 127;
    return address->ss_family == AF_INET6 &&
           IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)address)->sin6_addr);
}

/* A socket of ours already is both of these; one that was passed to us may be neither. */
static void make_ours(int fd)
{
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    fcntl(fd, F_SETFD, FD_CLOEXEC);
}

bool listen_open(struct door *door, const char *option, const char *address, struct error *err)
{
    struct place place;

    door->fd = -1;
    if (!parse(option, address, &place, err))
        return false;
    door->fd = place.fd >= 0 ? place.fd : open_place(&place);
    if (door->fd < 0)
        return fail(err, ERR_INTERNAL, "listen", "cannot listen on %s: %s; %s %s", address,
                    strerror(errno),
                    errno == EADDRINUSE ? "stop what listens there or choose another port (0 picks "
                                          "a free one) with"
                    : errno == EACCES   ? "ports below 1024 need privileges: choose another with"
                                        : "choose an address of this machine with",
                    option);
    make_ours(door->fd);
    place.size = sizeof place.address;
    getsockname(door->fd, (struct sockaddr *)&place.address, &place.size);
    door->loopback = loopback(&place.address);
    door->address = address;
    url_write(&place.address, door->url);
    return true;
}

void listen_close(struct door *door)
{
    if (door->fd < 0)
        return;
    close(door->fd);
    door->fd = -1;
    if (!strncmp(door->address, "unix:", 5))
        unlink(door->address + 5);
}

int listen_connect(const char *address)
{
    struct timeval patience = { .tv_sec = 3 };
    struct place place;
    struct error err;
    int fd;

    if (!parse("--listen", address, &place, &err) || place.fd >= 0)
        return -1;
    fd = socket(place.address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    if (!connect(fd, (const struct sockaddr *)&place.address, place.size))
        return fd; /* Linux takes 0.0.0.0 and :: for this machine */
    close(fd);
    return -1;
}
