/* sd_notify(3) and sd_watchdog_enabled(3), as their pages describe the wire. */
#include "server/notify.h"

#include "server/clock.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* "/path", or "@name" of the abstract kind. */
static int open_socket(const char *name)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    size_t size = strlen(name);
    int fd;

    if ((*name != '/' && *name != '@') || size >= sizeof address.sun_path)
        return -1;
    memcpy(address.sun_path, name, size);
    if (*name == '@')
        address.sun_path[0] = '\0';
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || !connect(fd, (const struct sockaddr *)&address,
                           (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size)))
        return fd;
    close(fd);
    return -1;
}

void notify_open(struct notify *notify)
{
    const char *name = getenv("NOTIFY_SOCKET"), *us = getenv("WATCHDOG_USEC"),
               *pid = getenv("WATCHDOG_PID");

    notify->fd = name ? open_socket(name) : -1;
    notify->every_ms = notify->next_ms = 0;
    if (notify->fd >= 0 && us && atof(us) > 0 && (!pid || atol(pid) == getpid()))
        notify->every_ms = atof(us) / 2000; /* at half of its patience */
}

void notify_close(struct notify *notify)
{
    if (notify->fd >= 0)
        close(notify->fd);
    notify->fd = -1;
}

void notify_say(const struct notify *notify, const char *state)
{
    if (notify->fd >= 0)
        send(notify->fd, state, strlen(state), MSG_NOSIGNAL);
}

/* systemd must see that what it asked for began after it asked. */
void notify_reloading(const struct notify *notify)
{
    char text[64];

    snprintf(text, sizeof text, "RELOADING=1\nMONOTONIC_USEC=%.0f", clock_ms() * 1000);
    notify_say(notify, text);
}

void notify_alive(struct notify *notify, double now_ms)
{
    if (notify->every_ms <= 0 || now_ms < notify->next_ms)
        return;
    notify_say(notify, "WATCHDOG=1");
    notify->next_ms = now_ms + notify->every_ms;
}

int notify_patience(const struct notify *notify, double now_ms)
{
    if (notify->every_ms <= 0)
        return -1;
    return now_ms < notify->next_ms ? (int)(notify->next_ms - now_ms) + 1 : 0;
}
