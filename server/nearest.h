/* "Did you mean": the word that a typing error most likely meant. */
#pragma once

/* One of the NULL-terminated words, or NULL when none is near. */
const char *nearest(const char *given, const char *const *words);
