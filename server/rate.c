/* A table of fixed size: what an attacker with many addresses can do is to share buckets with
 * others of his own, since nobody can choose which (the hash has a secret seed). */
#include "server/rate.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

enum { SETS = 4096, WAYS = 4 };

struct bucket {
    uint64_t client;
    double tokens, at_ms;
};

struct rate {
    double per_second;
    uint64_t seed;
    struct bucket buckets[SETS][WAYS];
};

struct rate *rate_create(double per_second, uint64_t seed)
{
    struct rate *rate = calloc(1, sizeof *rate);

    if (rate) {
        rate->per_second = per_second;
        rate->seed = seed | 1;
    }
    return rate;
}

void rate_destroy(struct rate *rate)
{
    free(rate);
}

/* The client's bucket, or the one that was used longest ago, filled anew. */
static struct bucket *find(struct rate *rate, uint64_t client, double now_ms)
{
    uint64_t mixed = (client ^ rate->seed) * 0x9e3779b97f4a7c15u;
    struct bucket *set = rate->buckets[(mixed ^ mixed >> 32) % SETS], *oldest = set;

    for (int i = 0; i < WAYS; i++) {
        if (set[i].client == client && set[i].at_ms > 0)
            return &set[i];
        if (set[i].at_ms < oldest->at_ms)
            oldest = &set[i];
    }
    *oldest = (struct bucket){ client, rate->per_second, now_ms };
    return oldest;
}

double rate_take(struct rate *rate, uint64_t client, double now_ms)
{
    struct bucket *bucket = find(rate, client, now_ms);

    bucket->tokens += (now_ms - bucket->at_ms) * rate->per_second / 1000;
    bucket->at_ms = now_ms;
    if (bucket->tokens > rate->per_second)
        bucket->tokens = rate->per_second;
    if (bucket->tokens >= 1) {
        bucket->tokens -= 1;
        return 0;
    }
    return (1 - bucket->tokens) * 1000 / rate->per_second;
}

uint64_t rate_client(const struct sockaddr *address)
{
    const struct in6_addr *ip = &((const struct sockaddr_in6 *)address)->sin6_addr;
    uint64_t client = 0;

    if (address->sa_family == AF_INET)
        client = ((const struct sockaddr_in *)address)->sin_addr.s_addr;
    else if (address->sa_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(ip)) /* by way of [::] */
        memcpy(&client, &ip->s6_addr[12], 4);
    else if (address->sa_family == AF_INET6)
        memcpy(&client, ip, sizeof client);
    return client;
}
