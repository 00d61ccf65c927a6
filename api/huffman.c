/* Deflate blocks (RFC 1951) with codes made for each block. Eight bytes are one step: either all of
 * them repeat the byte before (part of a run, sent as a match of distance 1), or eight literals. */
#include "api/huffman.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    CODE_MOST = 12, /* bits of a code: four codes and a rest of 7 bits fit into 64 */
    END = 256,      /* the symbol that ends a block */
    SYMBOLS = 286,
    RUN_STEPS = 32, /* the longest run is 32 steps: 256 bytes; matches end at 258 */
    STORED_MOST = 65535
};

/* The symbol of a run of 8 * steps bytes, and the extra bits behind it (RFC 1951, 3.2.5). */
struct run_code {
    int symbol;
    unsigned extra, extra_bits;
};

static struct run_code run_code(int steps)
{
    int length = 8 * steps, group = 0;
    unsigned bits;

    if (length <= 10) /* 3..10: a symbol each */
        return (struct run_code){ 254 + length, 0, 0 };
    while (length - 3 >= 8 << group) /* then four symbols for each doubling */
        group++;
    bits = (unsigned)group;
    return (struct run_code){ 257 + 4 * (group + 1) + ((length - 3) >> group & 3),
                              (unsigned)(length - 3) & ((1u << bits) - 1), bits };
}

/* Does the step at `at` repeat the byte before it? */
static bool repeats(const uint8_t *in, size_t at, uint64_t word)
{
    return at && word == (word << 8 | in[at - 1]);
}

/* How often each symbol will be sent. */
static void count_symbols(const uint8_t *in, size_t size, uint32_t total[SYMBOLS])
{
    uint32_t lanes[4][256] = { { 0 } }; /* so that equal bytes in a row do not wait in turn */
    size_t at = 0;
    int run = 0;

    memset(total, 0, SYMBOLS * sizeof *total);
    total[END] = 1;
    for (; at + 8 <= size; at += 8) {
        uint64_t word;

        memcpy(&word, in + at, 8);
        if (repeats(in, at, word)) {
            if (++run == RUN_STEPS)
                total[run_code(run).symbol]++, run = 0;
            continue;
        }
        if (run)
            total[run_code(run).symbol]++, run = 0;
        for (int i = 0; i < 8; i++)
            lanes[i & 3][word >> 8 * i & 255]++;
    }
    if (run)
        total[run_code(run).symbol]++;
    for (; at < size; at++)
        total[in[at]]++;
    for (int i = 0; i < 256; i++)
        total[i] += lanes[0][i] + lanes[1][i] + lanes[2][i] + lanes[3][i];
}

static int compare_keys(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

/* One Huffman tree over leaves sorted by weight; the depth of each leaf, and the deepest. The two
 * queues are the leaves and the inner nodes, both in order of weight. */
static int tree_depths(const uint32_t *weights, int leaves, int *depths)
{
    uint32_t weight[2 * SYMBOLS];
    int parent[2 * SYMBOLS], leaf = 0, inner = leaves, nodes = leaves, deepest = 0;

    memcpy(weight, weights, (size_t)leaves * sizeof *weight);
    while (nodes < 2 * leaves - 1) {
        weight[nodes] = 0;
        for (int child = 0; child < 2; child++) {
            bool take_leaf = leaf < leaves && (inner == nodes || weight[leaf] <= weight[inner]);
            int lightest = take_leaf ? leaf++ : inner++;

            weight[nodes] += weight[lightest];
            parent[lightest] = nodes;
        }
        nodes++;
    }
    depths[nodes - 1] = 0;
    for (int node = nodes - 2; node >= 0; node--) {
        depths[node] = depths[parent[node]] + 1;
        if (depths[node] > deepest)
            deepest = depths[node];
    }
    return deepest;
}

/* Code lengths for the counts; weights are evened out until no code is too long. There are at
 * least two symbols. */
static void code_lengths(const uint32_t counts[SYMBOLS], uint8_t lengths[SYMBOLS])
{
    uint64_t keys[SYMBOLS]; /* count and symbol */
    uint32_t weights[SYMBOLS];
    int depths[2 * SYMBOLS], leaves = 0;

    memset(lengths, 0, SYMBOLS);
    for (int i = 0; i < SYMBOLS; i++)
        if (counts[i])
            keys[leaves++] = (uint64_t)counts[i] << 16 | (unsigned)i;
    qsort(keys, (size_t)leaves, sizeof *keys, compare_keys);
    for (int shift = 0; shift < 64; shift += 2) {
        for (int i = 0; i < leaves; i++)
            weights[i] = (uint32_t)(keys[i] >> 16 >> shift) + 1;
        if (tree_depths(weights, leaves, depths) <= CODE_MOST)
            break;
    }
    for (int i = 0; i < leaves; i++)
        lengths[keys[i] & 0xffff] = (uint8_t)depths[i];
}

static uint32_t reversed(uint32_t code, int bits)
{
    uint32_t result = 0;

    for (int i = 0; i < bits; i++)
        result |= (code >> i & 1) << (bits - 1 - i);
    return result;
}

/* What is sent for a symbol: its code, first bit lowest, and its length. */
struct code {
    uint16_t bits, length;
};

static void assign_codes(const uint8_t lengths[SYMBOLS], struct code codes[SYMBOLS])
{
    uint32_t of_length[CODE_MOST + 1] = { 0 }, next[CODE_MOST + 1] = { 0 };

    for (int i = 0; i < SYMBOLS; i++)
        of_length[lengths[i]]++;
    of_length[0] = 0;
    for (int i = 1; i <= CODE_MOST; i++)
        next[i] = (next[i - 1] + of_length[i - 1]) << 1;
    for (int i = 0; i < SYMBOLS; i++) {
        uint32_t code = lengths[i] ? next[lengths[i]]++ : 0;

        codes[i] = (struct code){ (uint16_t)reversed(code, lengths[i]), lengths[i] };
    }
}

/* Bits go out lowest first. A flush writes eight bytes and keeps what is no whole byte. */
struct bits {
    uint64_t bits;
    unsigned count;
    uint8_t *out;
};

static inline void put_bits(struct bits *bits, uint32_t value, unsigned count)
{
    bits->bits |= (uint64_t)value << bits->count;
    bits->count += count;
}

static inline void flush_bits(struct bits *bits)
{
    memcpy(bits->out, &bits->bits, 8);
    bits->out += bits->count >> 3;
    bits->bits >>= bits->count & 56;
    bits->count &= 7;
}

/* The block's header: every code length as a code of four bits, which is 130 bytes and no work. */
static void put_header(struct bits *bits, const uint8_t lengths[SYMBOLS], bool last)
{
    put_bits(bits, last, 1);
    put_bits(bits, 2, 2);             /* dynamic codes */
    put_bits(bits, SYMBOLS - 257, 5); /* literals and lengths */
    put_bits(bits, 0, 5);             /* one distance */
    put_bits(bits, 19 - 4, 4);
    flush_bits(bits);
    for (int i = 0; i < 19; i++) { /* repeat codes (16, 17, 18) are not used; 0..15 have 4 bits */
        put_bits(bits, i < 3 ? 0 : 4, 3);
        flush_bits(bits);
    }
    for (int i = 0; i <= SYMBOLS; i++) { /* the last is the distance's: 1 bit */
        put_bits(bits, reversed(i < SYMBOLS ? lengths[i] : 1, 4), 4);
        flush_bits(bits);
    }
}

static inline void put_symbol(struct bits *bits, const struct code *codes, unsigned symbol)
{
    put_bits(bits, codes[symbol].bits, codes[symbol].length);
}

static void put_run(struct bits *bits, const struct code *codes, int steps)
{
    struct run_code run = run_code(steps);

    put_symbol(bits, codes, (unsigned)run.symbol);
    put_bits(bits, run.extra, run.extra_bits);
    put_bits(bits, 0, 1); /* the distance: 1 */
    flush_bits(bits);
}

static void put_body(struct bits *bits, const struct code *codes, const uint8_t *in, size_t size)
{
    size_t at = 0;
    int run = 0;

    for (; at + 8 <= size; at += 8) {
        uint64_t word;

        memcpy(&word, in + at, 8);
        if (repeats(in, at, word)) {
            if (++run == RUN_STEPS)
                put_run(bits, codes, run), run = 0;
            continue;
        }
        if (run)
            put_run(bits, codes, run), run = 0;
        for (int i = 0; i < 32; i += 8)
            put_symbol(bits, codes, word >> i & 255);
        flush_bits(bits);
        for (int i = 32; i < 64; i += 8)
            put_symbol(bits, codes, word >> i & 255);
        flush_bits(bits);
    }
    if (run)
        put_run(bits, codes, run);
    for (; at < size; at++) {
        put_symbol(bits, codes, in[at]);
        flush_bits(bits);
    }
    put_symbol(bits, codes, END);
    flush_bits(bits);
}

size_t huffman_bound(size_t size)
{
    return size + (size / STORED_MOST + 2) * 5 + 16;
}

size_t huffman_store(uint8_t *out, const uint8_t *in, size_t size, bool last)
{
    uint8_t *start = out;

    do {
        uint16_t length = (uint16_t)(size < STORED_MOST ? size : STORED_MOST);
        uint16_t inverse = (uint16_t)~length;

        size -= length;
        *out = last && !size; /* two bits 0: stored; the rest of the byte is not used */
        memcpy(out + 1, &length, 2);
        memcpy(out + 3, &inverse, 2);
        memcpy(out + 5, in, length);
        out += 5 + length;
        in += length;
    } while (size);
    return (size_t)(out - start);
}

/* The exact size of the block in bits. */
static uint64_t block_bits(const uint32_t counts[SYMBOLS], const uint8_t lengths[SYMBOLS])
{
    uint64_t bits = 17 + 19 * 3 + (SYMBOLS + 1) * 4;

    for (int i = 0; i < SYMBOLS; i++)
        bits +=
            (uint64_t)counts[i] * (lengths[i] + (i > END ? 6u : 0)); /* at most 5 extra, and 1 */
    return bits;
}

size_t huffman_encode(uint8_t *out, const uint8_t *in, size_t size, bool last)
{
    struct bits bits = { 0, 0, out };
    struct code codes[SYMBOLS];
    uint32_t counts[SYMBOLS];
    uint8_t lengths[SYMBOLS];

    if (!size)
        return huffman_store(out, in, size, last);
    count_symbols(in, size, counts);
    code_lengths(counts, lengths);
    if (block_bits(counts, lengths) / 8 + 6 >= size)
        return huffman_store(out, in, size, last);
    assign_codes(lengths, codes);
    put_header(&bits, lengths, last);
    put_body(&bits, codes, in, size);
    if (!last) { /* an empty stored block brings the next one to a byte */
        put_bits(&bits, 0, 3);
        flush_bits(&bits);
    }
    if (bits.count)
        *bits.out++ = (uint8_t)bits.bits;
    if (!last) {
        memcpy(bits.out, "\0\0\xff\xff", 4);
        bits.out += 4;
    }
    return (size_t)(bits.out - out);
}

double huffman_estimate(const uint8_t *in, size_t size)
{
    uint32_t counts[SYMBOLS];
    double bits = 0, all = 0;

    count_symbols(in, size, counts);
    for (int i = 0; i < SYMBOLS; i++) {
        if (!counts[i])
            continue;
        all += counts[i];
        bits -= counts[i] * log2(counts[i]);
        bits += i > END ? 4.0 * counts[i] : 0;
    }
    return (bits + all * log2(all)) / 8;
}
