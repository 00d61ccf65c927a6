/* Base64 of RFC 4648, the only form: padded, no white space, no stray bits. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

size_t base64_size(size_t bytes); /* of their text */

char *base64_write(char *out, const void *bytes, size_t size); /* the end */

/* out may need length / 4 * 3 bytes. false unless text is what base64_write makes of *size bytes. */
bool base64_read(const char *text, size_t length, void *out, size_t *size);
