/* The words themselves. */
#include "core/words.h"

#include <stddef.h>

#define WORD_TEXT(code, word) word,
const char *const auto_pad_words[] = { WORDS_OF_auto_pad(WORD_TEXT) NULL };
const char *const padding_mode_words[] = { WORDS_OF_padding_mode(WORD_TEXT) NULL };
const char *const activation_words[] = { WORDS_OF_activation(WORD_TEXT) NULL };
const char *const pool_type_words[] = { WORDS_OF_pool_type(WORD_TEXT) NULL };
const char *const combine_words[] = { WORDS_OF_combine(WORD_TEXT) NULL };
