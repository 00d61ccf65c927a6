/* Listening sockets from an address text. */
#pragma once
#include "core/core.h"

/* Where clients come in. */
struct door {
    int fd;              /* -1: closed */
    bool loopback;       /* only this machine reaches it */
    const char *address; /* as configured */
    char url[128];       /* what a client on this machine types, with the port as it was bound */
};

/* "127.0.0.1:8080", "[::1]:8080", "unix:/path", "fd:3". The socket becomes nonblocking and closed
 * in children. false: a sentence that names the option, the address and the fix. */
bool listen_open(struct door *door, const char *option, const char *address, struct error *err);
void listen_close(struct door *door); /* removes a unix socket's file */

/* A connected socket to the same kind of address, or -1: for healthcheck. */
int listen_connect(const char *address);
