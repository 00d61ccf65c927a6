/* Content negotiation (RFC 9110, 12.5.1): for each format the most specific range that covers it
 * says how much it is wanted; of equals the one that was named more exactly, then JSON first. */
#include "api/accept.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const struct {
    const char *type;
    enum format format;
} offers[] = {
    { "application/json", FORMAT_JSON },
    { "image/png", FORMAT_PNG },
    { "application/x-npy", FORMAT_NPY },
    { "application/octet-stream", FORMAT_RAW },
};
enum { OFFERS = sizeof offers / sizeof *offers };

/* How exactly the range [text, text + length) covers a type: 3 by name, 2 by its first half,
 * 1 as anything, 0 not at all. */
static int range_covers(const char *text, size_t length, const char *type)
{
    size_t half = (size_t)(strchr(type, '/') - type) + 1;

    if (length == strlen(type) && !strncasecmp(text, type, length))
        return 3;
    if (length == half + 1 && text[half] == '*' && !strncasecmp(text, type, half))
        return 2;
    return length == 3 && !strncmp(text, "*/*", 3);
}

/* The q of a range's parameters, in thousandths. */
static int range_quality(const char *text, const char *end)
{
    for (; text < end; text++) {
        if (*text != ';')
            continue;
        while (++text < end && (*text == ' ' || *text == '\t'))
            ;
        if (end - text > 2 && (*text == 'q' || *text == 'Q') && text[1] == '=')
            return (int)(strtod(text + 2, NULL) * 1000 + 0.5);
        text--;
    }
    return 1000;
}

bool format_from_accept(const char *accept, int *format, struct error *err)
{
    struct {
        int quality, exactness;
    } wanted[OFFERS] = { 0 };
    int best = -1;
    bool asked = false;

    for (const char *p = accept, *end; *p; p = end + (*end == ',')) {
        size_t length;

        p += strspn(p, " \t");
        end = p + strcspn(p, ",");
        length = strcspn(p, ",; \t");
        asked = asked || length;
        for (int i = 0; i < OFFERS; i++) {
            int exactness = range_covers(p, length, offers[i].type);

            if (exactness > wanted[i].exactness) {
                wanted[i].exactness = exactness;
                wanted[i].quality = range_quality(p + length, end);
            }
        }
    }
    for (int i = 0; i < OFFERS; i++)
        if (wanted[i].quality > 0 && (best < 0 || wanted[i].quality > wanted[best].quality ||
                                      (wanted[i].quality == wanted[best].quality &&
                                       wanted[i].exactness > wanted[best].exactness)))
            best = i;
    if (best < 0 && asked)
        return fail(err, ERR_ACCEPT, "format",
                    "none of the accepted media types can be made; accept application/json, "
                    "image/png, application/x-npy or application/octet-stream, or give format=");
    *format = best < 0 ? FORMAT_JSON : (int)offers[best].format;
    return true;
}
