/* SHA-256 as FIPS 180-4 writes it down: no library of ours has one, and a checksum that catches
 * accidents alone would be no name for a layer's content. */
#include "api/sha256.h"

#include <stdio.h>
#include <string.h>

/* The first 32 bits of the fractional parts of the cube roots of the first 64 primes. */
static const uint32_t k[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2
};

static uint32_t turn(uint32_t x, int bits)
{
    return x >> bits | x << (32 - bits);
}

static uint32_t big_endian(const unsigned char *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void mix(uint32_t state[8], const unsigned char *block)
{
    uint32_t w[64], s[8];

    memcpy(s, state, sizeof s);
    for (int i = 0; i < 64; i++) {
        uint32_t t1, t2;

        if (i < 16)
            w[i] = big_endian(block + 4L * i);
        else
            w[i] = w[i - 16] + w[i - 7] +
                   (turn(w[i - 15], 7) ^ turn(w[i - 15], 18) ^ w[i - 15] >> 3) +
                   (turn(w[i - 2], 17) ^ turn(w[i - 2], 19) ^ w[i - 2] >> 10);
        t1 = s[7] + (turn(s[4], 6) ^ turn(s[4], 11) ^ turn(s[4], 25)) +
             ((s[4] & s[5]) ^ (~s[4] & s[6])) + k[i] + w[i];
        t2 = (turn(s[0], 2) ^ turn(s[0], 13) ^ turn(s[0], 22)) +
             ((s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]));
        memmove(s + 1, s, 7 * sizeof *s);
        s[4] += t1;
        s[0] = t1 + t2;
    }
    for (int i = 0; i < 8; i++)
        state[i] += s[i];
}

void sha256_init(struct sha256 *sha)
{
    *sha = (struct sha256){ { 0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f,
                              0x9b05688c, 0x1f83d9ab, 0x5be0cd19 },
                            0,
                            { 0 } };
}

void sha256_add(struct sha256 *sha, const void *data, size_t size)
{
    const unsigned char *at = data;
    size_t have = (size_t)(sha->size % 64);

    sha->size += size;
    if (have && have + size >= 64) {
        memcpy(sha->block + have, at, 64 - have);
        mix(sha->state, sha->block);
        at += 64 - have;
        size -= 64 - have;
        have = 0;
    }
    for (; !have && size >= 64; at += 64, size -= 64)
        mix(sha->state, at);
    memcpy(sha->block + have, at, size);
}

void sha256_finish(struct sha256 *sha, char hex[65])
{
    static const unsigned char end[64] = { 0x80 };
    uint64_t bits = sha->size * 8;
    unsigned char length[8];

    for (int i = 0; i < 8; i++)
        length[i] = (unsigned char)(bits >> (56 - 8 * i));
    sha256_add(sha, end, 1 + (119 - (size_t)(sha->size % 64)) % 64);
    sha256_add(sha, length, sizeof length);
    for (int i = 0; i < 8; i++)
        snprintf(hex + (size_t)i * 8, 9, "%08x", (unsigned)sha->state[i]);
}
