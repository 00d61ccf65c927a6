/* A line is built in one buffer and written at once, so that lines of threads never mix. */
#include "server/log.h"

#include "server/clock.h"
#include "server/exchange.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *const levels[] = { "debug", "info", "warning", "error", "off" };

enum { LINE = 4096, ROOM = LINE - 8 };

struct line {
    const struct log *log;
    size_t size;
    char text[LINE];
};

struct log log_init(const char *format, const char *level)
{
    struct log log = { .level = LOG_INFO, .json = !strcmp(format, "json") };

    for (int i = LOG_DEBUG; i <= LOG_OFF; i++)
        if (!strcmp(levels[i], level))
            log.level = (enum log_level)i;
    return log;
}

__attribute__((format(printf, 2, 3))) static void put(struct line *line, const char *format, ...)
{
    va_list args;
    int size;

    va_start(args, format);
    size = vsnprintf(line->text + line->size, ROOM - line->size, format, args);
    va_end(args);
    if (size > 0)
        line->size += (size_t)size < ROOM - line->size ? (size_t)size : ROOM - line->size - 1;
}

/* Bytes outside of printable ASCII, and JSON's own two, become \u00XX. */
static void put_escaped(struct line *line, const char *text)
{
    for (const unsigned char *c = (const unsigned char *)text; *c && line->size < ROOM - 8; c++)
        if (*c < 0x20 || *c >= 0x7f || *c == '"' || *c == '\\')
            put(line, "\\u%04x", *c);
        else
            line->text[line->size++] = (char)*c;
    line->text[line->size] = '\0';
}

/* key="value" or ,"key":"value" */
static void put_text(struct line *line, const char *key, const char *value)
{
    put(line, line->log->json ? ",\"%s\":\"" : " %s=\"", key);
    put_escaped(line, value);
    put(line, "\"");
}

static void put_number(struct line *line, const char *key, double value)
{
    put(line, line->log->json ? ",\"%s\":%.15g" : " %s=%.15g", key, value);
}

static void put_ms(struct line *line, const char *key, double ms)
{
    put(line, line->log->json ? ",\"%s_ms\":%.3f" : " %s_ms=%.3f", key, ms > 0 ? ms : 0);
}

static void begin(struct line *line, const struct log *log, enum log_level level)
{
    struct timespec now;
    struct tm utc;
    char stamp[32];

    line->log = log;
    line->size = 0;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%S", &utc);
    put(line, log->json ? "{\"time\":\"%s.%03dZ\",\"level\":\"%s\"" : "%s.%03dZ %s", stamp,
        (int)(now.tv_nsec / 1000000), levels[level]);
}

static void end(struct line *line)
{
    ssize_t written;

    if (line->log->json)
        line->text[line->size++] = '}';
    line->text[line->size++] = '\n';
    written = write(STDERR_FILENO, line->text, line->size);
    (void)written; /* there is nobody left to tell */
}

void log_say(const struct log *log, enum log_level level, const char *format, ...)
{
    struct line line;
    char message[1024];
    va_list args;

    if (level < log->level)
        return;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    begin(&line, log, level);
    if (log->json) {
        put_text(&line, "message", message);
    } else {
        put(&line, " ");
        put_escaped(&line, message);
    }
    end(&line);
}

static void put_shape(struct line *line, const char *key, struct shape shape)
{
    put(line, line->log->json ? ",\"%s\":[%d,%d,%d,%d]" : " %s=%d,%d,%d,%d", key, shape.count,
        shape.channels, shape.height, shape.width);
}

void log_request(const struct log *log, const struct exchange *exchange, int status)
{
    const struct stages *stages = &exchange->stages;
    enum log_level level = status >= 500 ? LOG_WARNING : LOG_INFO;
    struct line line;

    if (level < log->level)
        return;
    begin(&line, log, level);
    put_text(&line, "id", exchange->id);
    if (*exchange->trace)
        put_text(&line, "traceparent", exchange->trace);
    put_text(&line, "method", exchange->in.method);
    put_text(&line, "path", exchange->in.path);
    put_number(&line, "status", status);
    put_number(&line, "bytes_in", (double)exchange->in.body.size);
    put_number(&line, "bytes_out", (double)exchange->out.body.size);
    if (exchange->input.count)
        put_shape(&line, "input", exchange->input);
    if (exchange->out.output_shape.count)
        put_shape(&line, "output", exchange->out.output_shape);
    if (stages->decode > 0) {
        put_ms(&line, "queue", stages->queue);
        put_ms(&line, "decode", stages->decode);
        put_ms(&line, "convolve", stages->convolve);
        put_ms(&line, "encode", stages->encode);
    }
    put_ms(&line, "total", clock_ms() - exchange->began_ms);
    end(&line);
}
