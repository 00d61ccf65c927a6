/* One number's text against the C library, and whatever was read back through its own text. */
#include "api/floats.h"
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

/* RFC 8259's number at the start of text: its end, or NULL. */
static const char *number_end(const char *text)
{
    const char *at = text + (*text == '-');

    if (*at == '0')
        at++;
    else if (strspn(at, "123456789"))
        at += strspn(at, "0123456789");
    else
        return NULL;
    if (*at == '.') {
        if (!strspn(++at, "0123456789"))
            return NULL;
        at += strspn(at, "0123456789");
    }
    if (*at == 'e' || *at == 'E') {
        at += at[1] == '+' || at[1] == '-' ? 2 : 1;
        if (!strspn(at, "0123456789"))
            return NULL;
        at += strspn(at, "0123456789");
    }
    return at;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = calloc(1, size + FLOATS_SLACK), again[FLOAT_TEXT + FLOATS_SLACK] = "";
    const char *end, *right;
    char follower;
    float got = 0, want, back = 0;

    if (!text)
        return 0;
    memcpy(text, data, size);
    end = float_read(text, &got);
    right = number_end(text);
    if (end && end != right)
        abort();
    follower = right ? *right : '\0';
    if (right)
        text[right - text] = '\0'; /* strtof would read 0x1 */
    want = strtof(text, NULL);
    if (end && memcmp(&got, &want, sizeof got))
        abort();
    if (end && got - got == 0) {
        *floats_write(again, &got, 1) = '\0';
        if (!float_read(again, &back) || memcmp(&back, &got, sizeof got))
            abort();
    }
    /* "01" and "1.2.3" break the promise of what follows a number, so they may be either. */
    if (!end && right && !(follower && strchr("0123456789+-.eE", follower)))
        abort();
    free(text);
    return 0;
}
