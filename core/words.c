/* The words themselves, and how far one is from another. */
#include "core/words.h"

#include <ctype.h>
#include <stddef.h>
#include <string.h>

#define WORD_TEXT(code, word) word,
const char *const auto_pad_words[] = { WORDS_OF_auto_pad(WORD_TEXT) NULL };
const char *const padding_mode_words[] = { WORDS_OF_padding_mode(WORD_TEXT) NULL };
const char *const activation_words[] = { WORDS_OF_activation(WORD_TEXT) NULL };
const char *const pool_type_words[] = { WORDS_OF_pool_type(WORD_TEXT) NULL };
const char *const combine_words[] = { WORDS_OF_combine(WORD_TEXT) NULL };

int word_distance(const char *a, const char *b)
{
    enum { LONGEST = 31, FAR = 99 };
    int rows = (int)strnlen(a, LONGEST + 1), columns = (int)strnlen(b, LONGEST + 1);
    int cost[LONGEST + 1]; /* of turning the first i letters of a into the first j of b */

    if (rows > LONGEST || columns > LONGEST)
        return FAR;
    for (int j = 0; j <= columns; j++)
        cost[j] = j;
    for (int i = 1; i <= rows; i++) {
        int diagonal = cost[0];

        cost[0] = i;
        for (int j = 1; j <= columns; j++) {
            int same = tolower((unsigned char)a[i - 1]) == tolower((unsigned char)b[j - 1]);
            int best = diagonal + !same;

            diagonal = cost[j];
            best = best < cost[j] + 1 ? best : cost[j] + 1;
            cost[j] = best < cost[j - 1] + 1 ? best : cost[j - 1] + 1;
        }
    }
    return cost[columns];
}

const char *word_nearest(const char *given, const char *const *words)
{
    const char *nearest = NULL;
    int least = 99;

    for (; *words; words++) {
        int distance = word_distance(given, *words);

        if (distance < least && word_is_near(distance, (int)strlen(*words))) {
            least = distance;
            nearest = *words;
        }
    }
    return nearest;
}
