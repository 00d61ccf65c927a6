/* Three bytes are four letters: by plain tables, after as much by vectors as there is. */
#include "api/base64.h"
#include "api/base64_inner.h"
#include "core/core.h"

#include <string.h>

const char base64_letters[65] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

#define L(c, value) [c] = BASE64_LETTER | (value)
const uint8_t base64_sextets[256] = {
    L('A', 0),  L('B', 1),  L('C', 2),  L('D', 3),  L('E', 4),  L('F', 5),  L('G', 6),  L('H', 7),
    L('I', 8),  L('J', 9),  L('K', 10), L('L', 11), L('M', 12), L('N', 13), L('O', 14), L('P', 15),
    L('Q', 16), L('R', 17), L('S', 18), L('T', 19), L('U', 20), L('V', 21), L('W', 22), L('X', 23),
    L('Y', 24), L('Z', 25), L('a', 26), L('b', 27), L('c', 28), L('d', 29), L('e', 30), L('f', 31),
    L('g', 32), L('h', 33), L('i', 34), L('j', 35), L('k', 36), L('l', 37), L('m', 38), L('n', 39),
    L('o', 40), L('p', 41), L('q', 42), L('r', 43), L('s', 44), L('t', 45), L('u', 46), L('v', 47),
    L('w', 48), L('x', 49), L('y', 50), L('z', 51), L('0', 52), L('1', 53), L('2', 54), L('3', 55),
    L('4', 56), L('5', 57), L('6', 58), L('7', 59), L('8', 60), L('9', 61), L('+', 62), L('/', 63),
};
#undef L

/* Only where the kernels are as wide, which CONVOLVED_ISA may narrow. */
static bool has_vectors(void)
{
#ifdef __x86_64__
    return __builtin_cpu_supports("avx512vbmi") && __builtin_cpu_supports("avx512bw") &&
           !strcmp(conv_isa(), "avx512");
#else
    return false;
#endif
}

size_t base64_size(size_t bytes)
{
    return (bytes + 2) / 3 * 4;
}

char *base64_write(char *out, const void *bytes, size_t size)
{
    const uint8_t *from = bytes;
    size_t done = has_vectors() ? base64_write_avx512(out, from, size) : 0;

    from += done;
    size -= done;
    out += done / 3 * 4;
    for (; size >= 3; size -= 3, from += 3) {
        uint32_t bits = (uint32_t)from[0] << 16 | (uint32_t)from[1] << 8 | from[2];

        *out++ = base64_letters[bits >> 18];
        *out++ = base64_letters[bits >> 12 & 63];
        *out++ = base64_letters[bits >> 6 & 63];
        *out++ = base64_letters[bits & 63];
    }
    if (size) {
        uint32_t bits = (uint32_t)from[0] << 16 | (size > 1 ? (uint32_t)from[1] << 8 : 0);

        *out++ = base64_letters[bits >> 18];
        *out++ = base64_letters[bits >> 12 & 63];
        *out++ = size > 1 ? base64_letters[bits >> 6 & 63] : '=';
        *out++ = '=';
    }
    return out;
}

/* Four letters' 24 bits; *all keeps the mark only while every byte is a letter. */
static uint32_t read_group(const uint8_t *text, uint32_t *all)
{
    uint32_t a = base64_sextets[text[0]], b = base64_sextets[text[1]], c = base64_sextets[text[2]],
             d = base64_sextets[text[3]];

    *all &= a & b & c & d;
    return (a & 63) << 18 | (b & 63) << 12 | (c & 63) << 6 | (d & 63);
}

bool base64_read(const char *text, size_t length, void *out, size_t *size)
{
    const uint8_t *from = (const uint8_t *)text;
    uint8_t last[4], *to = out;
    uint32_t all = BASE64_LETTER, bits, padding = 0;
    size_t done;

    *size = 0;
    if (length == 0 || length % 4)
        return length == 0;
    done = has_vectors() ? base64_read_avx512(to, from, length) : 0;
    from += done;
    length -= done;
    to += done / 4 * 3;
    for (; length > 4; length -= 4, from += 4, to += 3) {
        bits = read_group(from, &all);
        to[0] = (uint8_t)(bits >> 16);
        to[1] = (uint8_t)(bits >> 8);
        to[2] = (uint8_t)bits;
    }
    for (int i = 0; i < 4; i++) /* the last group, its padding read as zero bits */
        last[i] = from[i];
    while (padding < 2 && last[3 - padding] == '=')
        last[3 - padding++] = 'A';
    bits = read_group(last, &all);
    for (uint32_t i = 0; i < 3 - padding; i++)
        *to++ = (uint8_t)(bits >> (16 - 8 * i));
    *size = (size_t)(to - (uint8_t *)out);
    return (all & BASE64_LETTER) && !(bits & ((1u << 8 * padding) - 1));
}
