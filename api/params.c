/* The table itself, its aliases, and the look-ups. */
#include "api/params.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define WORD_TEXT(code, word) word,
static const char *const weight_layout_words[] = { WORDS_OF_weight_layout(WORD_TEXT) NULL },
                         *const input_layout_words[] = { WORDS_OF_input_layout(WORD_TEXT) NULL },
                         *const output_layout_words[] = { WORDS_OF_output_layout(WORD_TEXT) NULL },
                         *const channels_words[] = { WORDS_OF_channels(WORD_TEXT) NULL },
                         *const bank_depth_words[] = { WORDS_OF_bank_depth(WORD_TEXT) NULL },
                         *const format_words[] = { WORDS_OF_format(WORD_TEXT) NULL },
                         *const data_words[] = { WORDS_OF_data(WORD_TEXT) NULL },
                         *const what_words[] = { WORDS_OF_what(WORD_TEXT) NULL },
                         *const range_words[] = { WORDS_OF_range(WORD_TEXT) NULL },
                         *const colormap_words[] = { WORDS_OF_colormap(WORD_TEXT) NULL };

#define WORDS_INT(name)   NULL
#define WORDS_PAIR(name)  NULL
#define WORDS_QUAD(name)  NULL
#define WORDS_REAL(name)  NULL
#define WORDS_REALS(name) NULL
#define WORDS_BOOL(name)  NULL
#define WORDS_TEXT(name)  NULL
#define WORDS_WORD(name)  name##_words

#define ROW(kind, name, preset, min, max, help, home)                                              \
    [P_##name] = { PARAM_##kind,                                                                   \
                   #name,                                                                          \
                   WORDS_##kind(name),                                                             \
                   preset,                                                                         \
                   min,                                                                            \
                   max,                                                                            \
                   offsetof(struct convolve_request, home.name),                                   \
                   help },

const struct param params[PARAM_COUNT] = {
#define PARAM(kind, name, preset, min, max, help) ROW(kind, name, preset, min, max, help, params)
#include "core/params.def"
#define PARAM(kind, name, preset, min, max, help) ROW(kind, name, preset, min, max, help, fields)
#include "api/fields.def"
#define COMPOSITE(what, id, says) [P_##id] = { .kind = PARAM_##what, .name = #id, .help = says },
#include "api/composites.def"
};

const struct alias aliases[] = {
    { "K", P_out_channels, 0 },
    { "num_output", P_out_channels, 0 },
    { "F", P_kernel_size, 0 },
    { "kernel_shape", P_kernel_size, 0 },
    { "kernel_h", P_kernel_size, 1 },
    { "kernel_w", P_kernel_size, 2 },
    { "S", P_stride, 0 },
    { "strides", P_stride, 0 },
    { "stride_h", P_stride, 1 },
    { "stride_w", P_stride, 2 },
    { "P", P_padding, 0 },
    { "pad", P_padding, 0 },
    { "pad_h", P_padding, 1 },
    { "pad_w", P_padding, 2 },
    { "dilations", P_dilation, 0 },
    { "dilation_rate", P_dilation, 0 },
    { "dilation_h", P_dilation, 1 },
    { "dilation_w", P_dilation, 2 },
    { "group", P_groups, 0 },
    { "kernel", P_weights, 0 },
    { "filters", P_weights, 0 }, /* or out_channels, when it is a number */
    { "file", P_image, 0 },
    { "img", P_image, 0 },
    { "engine", P_algorithm, 0 },
    { "output.format", P_format, 0 },
    { "output.data", P_data, 0 },
    { "output.what", P_what, 0 },
    { NULL, PARAM_COUNT, 0 },
};

const struct param *param_find(const char *name, int *part)
{
    if (part)
        *part = 0;
    for (int i = 0; i < PARAM_COUNT; i++)
        if (!strcmp(params[i].name, name))
            return &params[i];
    for (const struct alias *alias = aliases; alias->name; alias++)
        if (!strcmp(alias->name, name)) {
            if (part)
                *part = alias->part;
            return &params[alias->id];
        }
    return NULL;
}

const char *param_nearest(const char *name)
{
    const char *nearest = "";
    int least = 99, distance;

    for (int i = 0; i < PARAM_COUNT; i++)
        if ((distance = word_distance(name, params[i].name)) < least) {
            nearest = params[i].name;
            least = distance;
        }
    for (const struct alias *alias = aliases; alias->name; alias++)
        if ((distance = word_distance(name, alias->name)) < least) {
            nearest = alias->name;
            least = distance;
        }
    return word_is_near(least, (int)strlen(nearest)) ? nearest : NULL;
}

int word_find(const char *const *words, const char *word)
{
    for (int i = 0; words[i]; i++)
        if (!strcasecmp(words[i], word))
            return i;
    return -1;
}

const char *words_join(const char *const *words, char *text, size_t size)
{
    size_t used = 0;

    *text = '\0';
    for (int i = 0; words[i] && used < size; i++)
        used += (size_t)snprintf(text + used, size - used, "%s%s",
                                 !i             ? ""
                                 : words[i + 1] ? ", "
                                                : " or ",
                                 words[i]);
    return text;
}
