/* One line an event on stderr, as text or as JSON; control bytes of strangers are escaped. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARNING, LOG_ERROR, LOG_OFF };

struct log {
    enum log_level level;
    bool json;
};

struct log log_init(const char *format, const char *level);
void log_say(const struct log *log, enum log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

struct exchange;
/* The line of an answered (or abandoned) request. status 499: the client has left. */
void log_request(const struct log *log, const struct exchange *exchange, int status);
