/* What the vector loops share with base64.c. Private to the two. */
#pragma once
#include <stddef.h>
#include <stdint.h>

enum { BASE64_LETTER = 0x40 }; /* marks a letter's six bits, so that other bytes' zeros stand out */
extern const char base64_letters[65];
extern const uint8_t base64_sextets[256];

/* As much from the front as they can: bytes (or letters) that are done. Reading stops before what
 * is no letter and writes up to 16 bytes behind what it has read. */
size_t base64_write_avx512(char *out, const uint8_t *bytes, size_t size);
size_t base64_read_avx512(uint8_t *out, const uint8_t *text, size_t length);
