/* Strings: escapes, UTF-8, and long ones cut out instead of copied. */
#include "api/json_inner.h"

#include <stdio.h>
#include <string.h>

static int hex_digit(char c)
{
    if (is_digit(c))
        return c - '0';
    c |= 32;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Four hex digits at at; -1 when they are not. */
static int hex4(struct scan *scan)
{
    int code = 0;

    for (int i = 0; i < 4; i++, scan->at++) {
        int digit = hex_digit(scan_peek(scan));

        if (digit < 0)
            return -1;
        code = code * 16 + digit;
    }
    return code;
}

/* Behind a backslash. */
static bool scan_escape(struct scan *scan)
{
    const char *slash = scan->at - 1;
    int code, low;

    if (scan->at == scan->end || !*scan->at || !strchr("\"\\/bfnrtu", *scan->at))
        return scan_malformed(scan, "there is no such escape");
    if (*scan->at++ != 'u')
        return true;
    code = hex4(scan);
    if (code < 0)
        return scan_malformed(scan, "\\u needs four hexadecimal digits");
    if (code == 0 && scan->nul == SIZE_MAX)
        scan->nul = (size_t)(slash - scan->start);
    if (code < 0xd800 || code > 0xdfff)
        return true;
    if (code > 0xdbff || scan_peek(scan) != '\\')
        return scan_malformed(scan, "half of a surrogate pair");
    scan->at++;
    if (scan_peek(scan) != 'u')
        return scan_malformed(scan, "half of a surrogate pair");
    scan->at++;
    low = hex4(scan);
    return (low >= 0xdc00 && low <= 0xdfff) || scan_malformed(scan, "half of a surrogate pair");
}

/* The bytes of the character at, a byte over 0x7f, if it is well-formed UTF-8 (RFC 3629: shortest
 * form, no surrogates, at most U+10FFFF), else 0. */
static int utf8_length(const char *at, const char *end)
{
    const unsigned char *p = (const unsigned char *)at;
    int length = *p >= 0xf0 ? 4 : *p >= 0xe0 ? 3 : 2;
    unsigned char low = *p == 0xe0 ? 0xa0 : *p == 0xf0 ? 0x90 : 0x80;
    unsigned char high = *p == 0xed ? 0x9f : *p == 0xf4 ? 0x8f : 0xbf;

    if (*p < 0xc2 || *p > 0xf4 || end - at < length || p[1] < low || p[1] > high)
        return 0;
    for (int i = 2; i < length; i++)
        if (p[i] < 0x80 || p[i] > 0xbf)
            return 0;
    return length;
}

static bool scan_utf8(struct scan *scan)
{
    int length = utf8_length(scan->at, scan->end);

    scan->at += length;
    return length || scan_malformed(scan, "this is not UTF-8");
}

bool json_utf8(struct bytes text)
{
    const char *at = text.data, *end = at + text.size;

    while (at < end) {
        int length = (unsigned char)*at < 0x80 ? 1 : utf8_length(at, end);

        if (!length)
            return false;
        at += length;
    }
    return true;
}

/* Eight bytes at once, while none of them is a quote, a backslash, control or not ASCII. */
static void skip_plain(struct scan *scan)
{
    const uint64_t ones = 0x0101010101010101u, highs = 0x8080808080808080u;

    while (scan->end - scan->at >= 8) {
        uint64_t word, quote, slash;

        memcpy(&word, scan->at, sizeof word);
        quote = word ^ ones * '"';
        slash = word ^ ones * '\\';
        if ((word | (word - ones * 0x20) | ((quote - ones) & ~quote) | ((slash - ones) & ~slash)) &
            highs)
            return;
        scan->at += 8;
    }
}

/* From behind the opening quote to behind the closing one. plain: no escape but \/ is in it. */
static bool skip_string(struct scan *scan, bool *plain, bool *escaped)
{
    for (*plain = true, *escaped = false;;) {
        skip_plain(scan);
        if (scan->at == scan->end)
            return scan_malformed(scan, "the string has no end");
        if (*scan->at == '"')
            return scan->at++, true;
        if ((unsigned char)*scan->at < 0x20)
            return scan_malformed(scan, "a control character in a string must be escaped");
        if ((unsigned char)*scan->at >= 0x80) {
            if (!scan_utf8(scan))
                return false;
            continue;
        }
        if (*scan->at++ != '\\')
            continue;
        *escaped = true;
        *plain &= scan_peek(scan) == '/';
        if (!scan_escape(scan))
            return false;
    }
}

/* A long string is not copied for cJSON: base64 of megabytes. PHP writes its slashes as \/. */
static bool cut_string(struct scan *scan, struct bytes text, bool escaped)
{
    struct json_cut *cut = scan_cut(scan);
    char mark[24], *out;

    if (!cut)
        return scan_too_large(scan);
    cut->text = text;
    if (escaped) {
        out = arena_new(scan->arena, char, text.size + BODY_SLACK);
        if (!out)
            return scan_too_large(scan);
        cut->text.data = out;
        for (size_t i = 0; i < text.size; i++)
            if (text.data[i] != '\\')
                *out++ = text.data[i];
        cut->text.size = (size_t)(out - cut->text.data);
    }
    return scan_put(scan, mark,
                    (size_t)snprintf(mark, sizeof mark, "\"%c%d\"", STRING_MARK, cut->index));
}

/* At the opening quote. */
bool scan_string(struct scan *scan)
{
    const char *from = ++scan->at;
    bool plain, escaped;
    size_t size;

    if (!skip_string(scan, &plain, &escaped))
        return false;
    size = (size_t)(scan->at - 1 - from);
    if (size > JSON_LONG && plain)
        return cut_string(scan, (struct bytes){ from, size }, escaped);
    return scan_put(scan, from - 1, size + 2);
}

bool scan_name(struct scan *scan)
{
    const char *from = ++scan->at;
    bool plain, escaped;
    size_t size, shown;

    if (!skip_string(scan, &plain, &escaped))
        return false;
    size = (size_t)(scan->at - 1 - from);
    if (scan->depth == 1) {
        shown = size < sizeof scan->member ? size : sizeof scan->member - 1;
        memcpy(scan->member, from, shown);
        scan->member[shown] = '\0';
    }
    return scan_put(scan, from - 1, size + 2);
}
