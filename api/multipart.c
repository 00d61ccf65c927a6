/* multipart/form-data, RFC 7578, read strictly: CRLF, a final boundary, bounded parts and headers.
 * (libmicrohttpd's own reader loses fields without saying so.) */
#include "api/decode.h"
#include "api/image.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { MOST_PARTS = 256, MOST_HEADERS = 8192, MOST_BOUNDARY = 200 };

struct part {
    char name[64];
    bool is_file; /* it has a filename */
    struct bytes content;
};

static bool malformed(struct decoder *d, const char *what)
{
    return fail(d->err, ERR_SYNTAX, "", "the multipart body is malformed: %s", what);
}

/* --- header parameters: ; name=value; name="value" ---------------------------------------------- */

static bool is_token(char c)
{
    return c > ' ' && c < 0x7f && !strchr("()<>@,;:\\\"/[]?={}", c);
}

static const char *skip_blanks(const char *p, const char *end)
{
    while (p < end && (*p == ' ' || *p == '\t'))
        p++;
    return p;
}

/* A token or a quoted string at p, into value unless that is NULL: its end; NULL when it has no
 * closing quote, a NUL in it, or does not fit. */
static const char *read_value(const char *p, const char *end, char *value, size_t size)
{
    bool quoted = p < end && *p == '"';
    size_t used = 0;

    for (p += quoted; p < end && !strchr(quoted ? "\"" : "; \t", *p); p++) {
        if (quoted && *p == '\\' && p + 1 < end && (p[1] == '"' || p[1] == '\\'))
            p++;
        if (value && used + 1 == size)
            return NULL;
        if (value)
            value[used++] = *p;
    }
    if (value)
        value[used] = '\0';
    if (p < end ? !*p : quoted)
        return NULL;
    return p + quoted;
}

enum found { MISSING, FOUND, BROKEN };

/* The named parameter behind text's first semicolon, into value unless that is NULL. */
static enum found parameter(struct bytes text, const char *name, char *value, size_t size)
{
    const char *p = memchr(text.data, ';', text.size), *end = text.data + text.size, *from;
    bool wanted;

    while (p && p < end) {
        p = from = skip_blanks(p + 1, end);
        while (p < end && is_token(*p))
            p++;
        wanted = (size_t)(p - from) == strlen(name) && !strncasecmp(from, name, strlen(name));
        if (p < end && *p == '=')
            p = read_value(p + 1, end, wanted ? value : NULL, size);
        else if (wanted)
            return BROKEN;
        if (!p || wanted)
            return p ? FOUND : BROKEN;
        p = skip_blanks(p, end);
        if (p < end && *p != ';')
            return BROKEN;
    }
    return MISSING;
}

/* --- one part -------------------------------------------------------------------------------- */

static bool starts(struct bytes line, const char *header)
{
    return line.size > strlen(header) && !strncasecmp(line.data, header, strlen(header));
}

static bool read_header(struct decoder *d, struct bytes line, struct part *part)
{
    enum found found;

    if (!memchr(line.data, ':', line.size) || !is_token(line.data[0]))
        return malformed(d, "a part's header line has no name and colon");
    if (starts(line, "content-transfer-encoding:") && !memmem(line.data, line.size, "8bit", 4) &&
        !memmem(line.data, line.size, "7bit", 4) && !memmem(line.data, line.size, "binary", 6))
        return fail(d->err, ERR_MEDIA, "",
                    "the parts of a form are sent as they are, without a "
                    "Content-Transfer-Encoding");
    if (!starts(line, "content-disposition:"))
        return true;
    found = parameter(line, "name", part->name, sizeof part->name);
    if (found != FOUND)
        return malformed(d, found == BROKEN ? "a part's name is too long or has no closing quote"
                                            : "a part's Content-Disposition has no name");
    part->is_file = parameter(line, "filename", NULL, 0) == FOUND ||
                    parameter(line, "filename*", NULL, 0) == FOUND;
    return true;
}

/* From behind a boundary's line: the headers; *at is moved behind their empty line. */
static bool read_headers(struct decoder *d, const char **at, const char *end, struct part *part)
{
    const char *from = *at;

    *part = (struct part){ 0 };
    for (;;) {
        size_t left = (size_t)(end - *at);
        const char *crlf = memmem(*at, left < MOST_HEADERS ? left : MOST_HEADERS, "\r\n", 2);
        struct bytes line = { *at, crlf ? (size_t)(crlf - *at) : 0 };

        if (!crlf || crlf - from > MOST_HEADERS)
            return malformed(d, "a part's headers have no end, or are over 8192 bytes");
        *at = crlf + 2;
        if (!line.size)
            break;
        if (!read_header(d, line, part))
            return false;
    }
    return *part->name || malformed(d, "a part has no Content-Disposition with a name");
}

/* --- what a part is for ------------------------------------------------------------------------ */

/* An image part: a file by its bytes or its filename, else what a query could say, like cat. */
static bool use_image(struct decoder *d, const struct part *part)
{
    enum media media = media_sniff(part->content);

    if (media == MEDIA_JSON || (media == MEDIA_UNKNOWN && !part->is_file))
        return decode_text(d, "image", part->content, "the form");
    return (d->images || decode_mark(d, P_image, 0, "the form")) &&
           decode_add_image(d, part->content);
}

static bool use_file(struct decoder *d, const struct part *part, enum param_id id,
                     struct bytes *file)
{
    enum media media = media_sniff(part->content);

    if (media == MEDIA_JSON || (media == MEDIA_UNKNOWN && !part->is_file))
        return decode_text(d, part->name, part->content, "the form");
    *file = part->content;
    return decode_mark(d, id, 0, "the form");
}

static bool use_part(struct decoder *d, const struct part *part)
{
    enum media media = media_sniff(part->content);
    const struct param *row = param_find(part->name, NULL);

    if (part->is_file && !part->content.size)
        return true; /* a browser's file field that was left empty */
    if (!strcmp(part->name, "params"))
        return decode_json(d, part->content, "the part params");
    if (!strcmp(part->name, "data") &&
        (part->is_file || (media != MEDIA_UNKNOWN && media != MEDIA_JSON)))
        return use_image(d, part);
    if (row == &params[P_image])
        return use_image(d, part);
    if (row == &params[P_weights])
        return use_file(d, part, P_weights, &d->weights);
    if (row == &params[P_bias])
        return use_file(d, part, P_bias, &d->bias);
    return decode_text(d, part->name, part->content, "the form");
}

/* --- the body -------------------------------------------------------------------------------- */

struct boundary {
    char text[MOST_BOUNDARY + 8]; /* CR LF - - and the boundary */
    size_t size;
};

/* Behind a delimiter: *last says that it was the final one; *at is moved behind its line. false:
 * these bytes only look like a delimiter. */
static bool delimiter_ends(const char **at, const char *end, bool *last)
{
    const char *p = *at;

    *last = end - p >= 2 && p[0] == '-' && p[1] == '-';
    if (*last)
        return true;
    while (p < end && (*p == ' ' || *p == '\t'))
        p++;
    if (end - p < 2 || p[0] != '\r' || p[1] != '\n')
        return false;
    *at = p + 2;
    return true;
}

/* The content from *at to the next delimiter, which *at is moved behind. */
static bool read_content(const char **at, const char *end, const struct boundary *boundary,
                         struct bytes *content, bool *last)
{
    const char *p = *at;

    for (;;) {
        const char *found = memmem(p, (size_t)(end - p), boundary->text, boundary->size);

        if (!found)
            return false;
        *content = (struct bytes){ *at, (size_t)(found - *at) };
        p = found + boundary->size;
        if (delimiter_ends(&p, end, last)) {
            *at = p;
            return true;
        }
    }
}

/* The first delimiter: at the start, or behind a preamble that nobody reads. */
static bool find_first(const char **at, const char *end, const struct boundary *boundary,
                       bool *last)
{
    size_t size = boundary->size - 2;
    const char *p = *at + size;
    struct bytes preamble;

    if ((size_t)(end - *at) >= size && !memcmp(*at, boundary->text + 2, size) &&
        delimiter_ends(&p, end, last)) {
        *at = p;
        return true;
    }
    return read_content(at, end, boundary, &preamble, last);
}

bool decode_multipart(struct decoder *d, const char *content_type, struct bytes body)
{
    const char *at = body.data, *end = body.data + body.size;
    struct bytes type = { content_type, strlen(content_type) };
    struct boundary boundary = { "\r\n--", 4 };
    struct part part;
    bool last;

    if (parameter(type, "boundary", boundary.text + 4, MOST_BOUNDARY) != FOUND || !boundary.text[4])
        return malformed(d, "its Content-Type needs a boundary of 1 to 199 bytes");
    boundary.size = strlen(boundary.text);
    if (!find_first(&at, end, &boundary, &last))
        return malformed(d, "the boundary that its Content-Type names is not in it");
    for (int parts = 0; !last; parts++) {
        if (parts == MOST_PARTS)
            return malformed(d, "it has more than 256 parts");
        if (!read_headers(d, &at, end, &part))
            return false;
        if (!read_content(&at, end, &boundary, &part.content, &last))
            return malformed(d, "it breaks off before its final boundary");
        if (!use_part(d, &part))
            return false;
    }
    return true;
}
