/* The closed vocabularies of the parameters, each once: an enum here, its words in words.c. */
#pragma once

#define WORDS_OF_auto_pad(W)                                                                       \
    W(AUTO_PAD_NOTSET, "notset")                                                                   \
    W(AUTO_PAD_VALID, "valid")                                                                     \
    W(AUTO_PAD_SAME_UPPER, "same_upper")                                                           \
    W(AUTO_PAD_SAME_LOWER, "same_lower")
#define WORDS_OF_padding_mode(W)                                                                   \
    W(PADDING_ZEROS, "zeros")                                                                      \
    W(PADDING_REFLECT, "reflect")                                                                  \
    W(PADDING_REPLICATE, "replicate")                                                              \
    W(PADDING_CIRCULAR, "circular")
#define WORDS_OF_activation(W)                                                                     \
    W(ACTIVATION_NONE, "none")                                                                     \
    W(ACTIVATION_RELU, "relu")                                                                     \
    W(ACTIVATION_RELU6, "relu6")                                                                   \
    W(ACTIVATION_LEAKY_RELU, "leaky_relu")                                                         \
    W(ACTIVATION_SIGMOID, "sigmoid")                                                               \
    W(ACTIVATION_TANH, "tanh")                                                                     \
    W(ACTIVATION_ELU, "elu")                                                                       \
    W(ACTIVATION_HARDSWISH, "hardswish")
#define WORDS_OF_pool_type(W)                                                                      \
    W(POOL_NONE, "none")                                                                           \
    W(POOL_MAX, "max")                                                                             \
    W(POOL_AVG, "avg")
#define WORDS_OF_combine(W)                                                                        \
    W(COMBINE_NONE, "none")                                                                        \
    W(COMBINE_MAGNITUDE, "magnitude")                                                              \
    W(COMBINE_SUM, "sum")                                                                          \
    W(COMBINE_MAX, "max")

#define WORD_ENUM(code, word) code,
enum auto_pad { WORDS_OF_auto_pad(WORD_ENUM) };
enum padding_mode { WORDS_OF_padding_mode(WORD_ENUM) };
enum activation { WORDS_OF_activation(WORD_ENUM) };
enum pool_type { WORDS_OF_pool_type(WORD_ENUM) };
enum combine { WORDS_OF_combine(WORD_ENUM) };

/* NULL-terminated lists, indexed by the enum. */
extern const char *const auto_pad_words[],
    *const padding_mode_words[], *const activation_words[], *const pool_type_words[],
                                                                *const combine_words[];

/* Letters to change, add or leave out to make one word of the other, case apart, for "did you mean";
 * 99 when a word is longer than 31 letters. */
int word_distance(const char *a, const char *b);

/* Is a word of this length near enough at this distance to be what was meant? */
static inline int word_is_near(int distance, int length)
{
    return distance <= 2 && distance * 2 < length;
}

/* The one of the NULL-terminated words that was meant, or NULL when none is near. */
const char *word_nearest(const char *given, const char *const *words);
