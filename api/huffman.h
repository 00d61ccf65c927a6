/* Deflate without a search for matches: Huffman codes over bytes, and runs of one byte. On the rows
 * of filtered pictures that packs as well as a fast match finder does, several times as fast. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

size_t huffman_bound(size_t size); /* bytes that the encoders below may write for so many */

/* size bytes as complete deflate blocks that end at a byte; last: nothing follows them. Refers to
 * nothing before in. Returns the bytes written. */
size_t huffman_encode(uint8_t *out, const uint8_t *in, size_t size, bool last);
size_t huffman_store(uint8_t *out, const uint8_t *in, size_t size, bool last); /* as they are */

/* About how many bytes huffman_encode would make of them, for choosing between filters. */
double huffman_estimate(const uint8_t *in, size_t size);
