/* What systemd is told, without libsystemd: datagrams to the socket that NOTIFY_SOCKET names. All
 * of it does nothing where nobody listens. */
#pragma once

struct notify {
    int fd;                   /* -1: nobody listens */
    double every_ms, next_ms; /* WATCHDOG=1; 0: not wanted */
};

/* Reads NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID. */
void notify_open(struct notify *notify);
void notify_close(struct notify *notify);

void notify_say(const struct notify *notify, const char *state); /* "READY=1" */
void notify_reloading(const struct notify *notify);

/* To be called from the loop, so that one that is stuck falls silent and is restarted. */
void notify_alive(struct notify *notify, double now_ms);
int notify_patience(const struct notify *notify, double now_ms); /* ms until then; -1 for ever */
