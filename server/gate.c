/* HTTP/1.1 (RFC 9112) without its tolerances. */
#include "server/gate.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

static bool token(const char *text)
{
    if (!*text)
        return false;
    for (; *text; text++)
        if (!isalnum((unsigned char)*text) && !strchr("!#$%&'*+-.^_`|~", *text))
            return false;
    return true;
}

static bool check_line(const struct gate_request *request, struct error *err)
{
    const char *target = request->target;

    if (!token(request->method) || strlen(request->method) > 16)
        return fail(err, ERR_SYNTAX, "", "the request's method is not a token");
    if (strcmp(request->version, "HTTP/1.1") && strcmp(request->version, "HTTP/1.0"))
        return fail(err, ERR_SYNTAX, "", "the request line must end in HTTP/1.1 or HTTP/1.0");
    if (strlen(target) > GATE_TARGET)
        return fail(err, ERR_HEADERS, "",
                    "the path and query are over %d bytes; send long "
                    "parameters in the body",
                    GATE_TARGET);
    if (request->method + strlen(request->method) + 1 != request->target_at ||
        request->target_at + strlen(target) + 1 != request->version)
        return fail(err, ERR_SYNTAX, "",
                    "the request line must be method, path and version with "
                    "one space between them");
    if (*target != '/' && strcmp(target, "*"))
        return fail(err, ERR_SYNTAX, "", "the path must begin with /");
    for (; *target; target++)
        if ((unsigned char)*target <= ' ' || (unsigned char)*target >= 0x7f)
            return fail(err, ERR_SYNTAX, "", "the path has a byte that must be percent-encoded");
    return true;
}

/* From one text's end to the next there are blanks and the line ends, each two bytes (NULs by
 * now). Anything else is a folded line, a bare line feed, or what hid behind a NUL. */
static bool adjoins(const char *end, const char *next, int line_ends)
{
    int others = 0;

    if (next < end || next > end + GATE_BYTES)
        return false;
    for (; end < next; end++)
        if (*end != ' ' && *end != '\t')
            others++;
    return others == 2 * line_ends;
}

static bool check_header(const struct gate_header *header, const char *before, struct error *err)
{
    const char *colon = header->name + strlen(header->name);

    if (!token(header->name))
        return fail(err, ERR_SYNTAX, "", "a header's name is not a token");
    if (!adjoins(before, header->name, 1) || header->value <= colon ||
        header->value > colon + GATE_BYTES)
        return fail(err, ERR_SYNTAX, "", "the header %.40s is folded or cut by a NUL",
                    header->name);
    for (const char *gap = colon + 1; gap < header->value; gap++)
        if (*gap != ' ' && *gap != '\t')
            return fail(err, ERR_SYNTAX, "", "the header %.40s is folded", header->name);
    for (const unsigned char *c = (const unsigned char *)header->value; *c; c++)
        if ((*c < ' ' && *c != '\t') || *c == 0x7f)
            return fail(err, ERR_SYNTAX, "", "the header %.40s has a control byte", header->name);
    return true;
}

static bool read_length(const char *text, struct gate_result *result, struct error *err)
{
    if (result->sized)
        return fail(err, ERR_SYNTAX, "", "Content-Length is there twice");
    if (!*text || strspn(text, "0123456789") != strlen(text) || strlen(text) > 15)
        return fail(err, ERR_SYNTAX, "", "Content-Length must be a decimal number below 10^15");
    result->sized = true;
    for (result->length = 0; *text; text++)
        result->length = result->length * 10 + (uint64_t)(*text - '0');
    return true;
}

static bool read_framing(const struct gate_header *header, struct gate_result *result,
                         struct error *err)
{
    if (!strcasecmp(header->name, "Content-Length"))
        return read_length(header->value, result, err);
    if (!strcasecmp(header->name, "Transfer-Encoding")) {
        if (result->chunked)
            return fail(err, ERR_SYNTAX, "", "Transfer-Encoding is there twice");
        if (strcasecmp(header->value, "chunked"))
            return fail(err, ERR_ENCODING, "", "Transfer-Encoding can only be chunked");
        result->chunked = true;
    } else if (!strcasecmp(header->name, "Host")) {
        if (result->host)
            return fail(err, ERR_SYNTAX, "", "Host is there twice");
        result->host = header->value;
    }
    return true;
}

bool gate_check(const struct gate_request *request, struct gate_result *result, struct error *err)
{
    const char *before;
    size_t bytes = 0;

    *result = (struct gate_result){ 0 };
    if (!check_line(request, err))
        return false;
    if (request->count > GATE_HEADERS)
        return fail(err, ERR_SYNTAX, "", "there are more than %d headers", GATE_HEADERS);
    before = request->version + strlen(request->version);
    for (int i = 0; i < request->count; i++) {
        const struct gate_header *header = &request->headers[i];

        if (!check_header(header, before, err) || !read_framing(header, result, err))
            return false;
        before = header->value + strlen(header->value);
        bytes += (size_t)(before - header->name);
    }
    if (!adjoins(before, request->head_end, 2))
        return fail(err, ERR_SYNTAX, "", "the last header is folded or cut by a NUL");
    if (bytes > GATE_BYTES)
        return fail(err, ERR_HEADERS, "", "the headers are over %d bytes", GATE_BYTES);
    if (result->chunked && result->sized)
        return fail(err, ERR_SYNTAX, "",
                    "Content-Length and Transfer-Encoding cannot both be there");
    if (strcmp(request->version, "HTTP/1.1"))
        return !result->chunked || fail(err, ERR_SYNTAX, "", "Transfer-Encoding needs HTTP/1.1");
    return result->host || fail(err, ERR_SYNTAX, "", "HTTP/1.1 needs a Host header");
}

static int hex(char c)
{
    return isdigit((unsigned char)c)    ? c - '0'
           : isxdigit((unsigned char)c) ? (c | 32) - 'a' + 10
                                        : -1;
}

static bool dots(const char *path)
{
    for (const char *slash = path; (slash = strchr(slash, '/')); slash++) {
        size_t length = strcspn(slash + 1, "/");

        if ((length == 1 && slash[1] == '.') || (length == 2 && !strncmp(slash + 1, "..", 2)))
            return true;
    }
    return false;
}

bool gate_path(char *path, struct error *err)
{
    char *out = path;

    for (const char *in = path; *in; in++) {
        int byte = (unsigned char)*in;

        if (byte == '%') {
            byte = hex(in[1]) < 0 || hex(in[2]) < 0 ? -1 : hex(in[1]) * 16 + hex(in[2]);
            in += 2;
            if (byte < 0)
                return fail(err, ERR_SYNTAX, "", "the path has a %% without two hex digits");
            if (byte == '/')
                return fail(err, ERR_SYNTAX, "", "the path has an encoded slash");
        }
        if (byte < ' ' || byte == 0x7f || byte == '\\')
            return fail(err, ERR_SYNTAX, "", "the path has a backslash or a control byte");
        *out++ = (char)byte;
    }
    *out = '\0';
    return !dots(path) || fail(err, ERR_SYNTAX, "", "the path has a . or .. segment");
}

bool gate_id(const char *given)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    size_t length = strlen(given);

    return length && length <= GATE_ID && strspn(given, allowed) == length;
}

/* version-trace-parent-flags: 2, 32, 16 and 2 lower hex digits; version ff and zeros as an id are
 * none. A later version may have more behind a dash, which is dropped. */
void gate_trace(const char *given, char trace[GATE_TRACE + 1])
{
    static const char hex_digits[] = "0123456789abcdef";
    static const int digits[] = { 2, 32, 16, 2 };
    const char *at = given;

    *trace = '\0';
    for (int i = 0; i < 4; i++) {
        if ((int)strspn(at, hex_digits) != digits[i] ||
            ((i == 1 || i == 2) && (int)strspn(at, "0") >= digits[i]))
            return;
        at += digits[i];
        if (i < 3 && *at++ != '-')
            return;
    }
    if (!strncmp(given, "ff", 2) || (*at && (*at != '-' || !strncmp(given, "00", 2))))
        return;
    memcpy(trace, given, GATE_TRACE);
    trace[GATE_TRACE] = '\0';
}
