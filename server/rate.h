/* How many requests a second one client may make: a bucket of tokens each. */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

struct rate;

/* A bucket holds a second's tokens. NULL when out of memory. */
struct rate *rate_create(double per_second, uint64_t seed);
void rate_destroy(struct rate *rate); /* NULL is fine */

/* 0: it may; else the milliseconds until it may. */
double rate_take(struct rate *rate, uint64_t client, double now_ms);

/* An IPv4 address, or the /64 that one IPv6 customer has. */
uint64_t rate_client(const struct sockaddr *address);
