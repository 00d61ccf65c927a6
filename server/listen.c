/* Addresses are parsed once here, for serving and for healthcheck alike. */
#include "server/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

struct place {
    struct sockaddr_storage address;
    socklen_t size;
    int fd; /* of "fd:N", or -1 */
};

static bool parse_fd(const char *text, struct place *place, struct error *err)
{
    char *end;
    long fd = strtol(text, &end, 10);
    struct stat about;

    if (!*text || *end || fd < 0 || fd > 1000000 || fstat((int)fd, &about) ||
        !S_ISSOCK(about.st_mode))
        return fail(err, ERR_PARAMETER, "listen", "fd:%s is not an open socket", text);
    place->fd = (int)fd;
    return true;
}

static bool parse_unix(const char *path, struct place *place, struct error *err)
{
    struct sockaddr_un *address = (struct sockaddr_un *)&place->address;

    if (!*path || strlen(path) >= sizeof address->sun_path)
        return fail(err, ERR_PARAMETER, "listen", "unix:%s must have a path of 1 to %zu bytes",
                    path, sizeof address->sun_path - 1);
    address->sun_family = AF_UNIX;
    strcpy(address->sun_path, path);
    place->size = sizeof *address;
    return true;
}

static bool parse(const char *text, struct place *place, struct error *err)
{
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE }, *found;
    const char *colon = strrchr(text, ':');
    char host[256];
    int length = colon ? (int)(colon - text) : 0, failed;

    *place = (struct place){ .fd = -1 };
    if (!strncmp(text, "fd:", 3))
        return parse_fd(text + 3, place, err);
    if (!strncmp(text, "unix:", 5))
        return parse_unix(text + 5, place, err);
    if (!colon || length >= (int)sizeof host ||
        strspn(colon + 1, "0123456789") != strlen(colon + 1) || !colon[1] ||
        atol(colon + 1) > 65535)
        return fail(err, ERR_PARAMETER, "listen",
                    "--listen is \"%s\"; it must be like 127.0.0.1:8080, [::1]:8080, "
                    "unix:/run/convolved.sock or fd:3",
                    text);
    if (*text == '[' && length > 1 && text[length - 1] == ']')
        snprintf(host, sizeof host, "%.*s", length - 2, text + 1);
    else
        snprintf(host, sizeof host, "%.*s", length, text);
    failed = getaddrinfo(*host ? host : NULL, colon + 1, &hints, &found);
    if (failed)
        return fail(err, ERR_PARAMETER, "listen",
                    "--listen is \"%s\" and %s is no address here: %s", text, host,
                    gai_strerror(failed));
    memcpy(&place->address, found->ai_addr, found->ai_addrlen);
    place->size = found->ai_addrlen;
    freeaddrinfo(found);
    return true;
}

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
        snprintf(url, 128, "http://localhost (unix:%.90s)",
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
    snprintf(url, 128, strchr(host, ':') ? "http://[%s]:%d" : "http://%s:%d", host,
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

int listen_open(const char *text, char *url, struct error *err)
{
    struct place place;
    int fd;

    if (!parse(text, &place, err))
        return -1;
    fd = place.fd >= 0 ? place.fd : open_place(&place);
    if (fd < 0) {
        fail(err, ERR_INTERNAL, "listen", "cannot listen on %s: %s; %s", text, strerror(errno),
             errno == EADDRINUSE ? "stop what listens there or choose another port with --listen "
                                   "127.0.0.1:PORT (0 picks a free one)"
             : errno == EACCES   ? "ports below 1024 need privileges: choose another with --listen"
                                 : "choose an address of this machine with --listen");
        return -1;
    }
    place.size = sizeof place.address;
    getsockname(fd, (struct sockaddr *)&place.address, &place.size);
    url_write(&place.address, url);
    return fd;
}

void listen_close(int fd, const char *text)
{
    close(fd);
    if (!strncmp(text, "unix:", 5))
        unlink(text + 5);
}

int listen_connect(const char *text)
{
    struct timeval patience = { .tv_sec = 3 };
    struct place place;
    struct error err;
    int fd;

    if (!parse(text, &place, &err) || place.fd >= 0)
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

bool listen_is_loopback(int fd)
{
    struct sockaddr_storage address = { 0 };
    socklen_t size = sizeof address;

    getsockname(fd, (struct sockaddr *)&address, &size);
    if (address.ss_family == AF_INET)
        return ntohl(((struct sockaddr_in *)&address)->sin_addr.s_addr) >> 24 == 127;
    return address.ss_family == AF_INET6 &&
           IN6_IS_ADDR_LOOPBACK(&((struct sockaddr_in6 *)&address)->sin6_addr);
}
