/* Listening sockets from an address text. */
#pragma once
#include "core/error.h"

/* "127.0.0.1:8080", "[::1]:8080", "unix:/path", "fd:3". The socket, nonblocking, or -1 and a
 * sentence that names the address and the fix. url: what a client on this machine types, with the
 * port as it was bound, at least 128 bytes. */
int listen_open(const char *address, char *url, struct error *err);
void listen_close(int fd, const char *address); /* removes a unix socket's file */

/* A connected socket to the same kind of address, or -1: for healthcheck. */
int listen_connect(const char *address);
bool listen_is_loopback(int fd);
