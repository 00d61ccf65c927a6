/* One table makes the flags, the environment, the defaults, --help and --print-config. */
#include "server/config.h"

#include "core/core.h"
#include "server/machine.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

extern char **environ;

enum kind { TEXT, COUNT, SIZE, TIME, FLAG };

static const struct option {
    enum kind kind;
    const char *name, *preset;
    double min, max;
    const char *help;
    size_t offset;
} options[] = {
#define OPTION(kind, name, preset, min, max, help)                                                 \
    { kind, #name, preset, min, max, help, offsetof(struct config, name) },
#include "server/options.def"
};
enum { OPTIONS = sizeof options / sizeof options[0], NAME = 64 };

/* Where each value came from, and its text, for --print-config. */
struct origins {
    const char *from[OPTIONS], *text[OPTIONS];
};

static const struct unit {
    const char *name;
    enum kind kind;
    double factor;
} units[] = {
    { "", COUNT, 1 },
    { "k", COUNT, 1e3 },
    { "M", COUNT, 1e6 },
    { "G", COUNT, 1e9 },
    { "T", COUNT, 1e12 },
    { "", SIZE, 1 },
    { "B", SIZE, 1 },
    { "KiB", SIZE, 1024 },
    { "MiB", SIZE, 1048576 },
    { "GiB", SIZE, 1 << 30 },
    { "TiB", SIZE, 1024.0 * (1 << 30) },
    { "ms", TIME, 1 },
    { "s", TIME, 1000 },
    { "min", TIME, 60000 },
    { "h", TIME, 3600000 },
};

static const char *const kind_help[] = {
    [COUNT] = "a whole number (k, M, G, T may follow)",
    [SIZE] = "bytes, or a number with KiB, MiB or GiB",
    [TIME] = "a number with ms, s, min or h",
    [FLAG] = "true or false",
};

/* max-body for max_body, or CONVOLVED_MAX_BODY. */
static void spell(const struct option *option, bool environment, char out[NAME])
{
    snprintf(out, NAME, "%s%s", environment ? "CONVOLVED_" : "--", option->name);
    for (char *c = out + (environment ? 0 : 2); *c; c++)
        *c = environment ? (char)toupper(*c) : *c == '_' ? '-' : *c;
}

static bool number_read(enum kind kind, const char *text, double *value)
{
    char *end;

    if (!isdigit((unsigned char)*text) || strchr(text, 'x'))
        return false;
    *value = strtod(text, &end);
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
        if (units[i].kind == kind && !strcmp(units[i].name, end)) {
            *value *= units[i].factor;
            return *value == floor(*value) || kind != COUNT;
        }
    return false;
}

static void number_write(enum kind kind, double value, char *out, size_t size)
{
    const char *unit = "";
    double factor = 1;

    for (size_t i = 0; i < sizeof units / sizeof units[0] && value > 0; i++)
        if (units[i].kind == kind && kind != COUNT && fmod(value, units[i].factor) == 0) {
            unit = units[i].name;
            factor = units[i].factor;
        }
    snprintf(out, size, "%.15g%s", value / factor, unit);
}

static bool store_number(struct config *config, const struct option *option, double value)
{
    char *at = (char *)config + option->offset;

    if (value < option->min || value > option->max)
        return false;
    if (option->kind == TIME)
        memcpy(at, &(int64_t){ (int64_t)value }, sizeof(int64_t));
    else
        memcpy(at, &(size_t){ (size_t)value }, sizeof(size_t));
    return true;
}

static bool complain(const struct option *option, const char *from, const char *text)
{
    char min[40], max[40], name[NAME];

    spell(option, false, name);
    fprintf(stderr, "convolved: %s is \"%s\" (%s); it must be %s", name, text, from,
            kind_help[option->kind]);
    if (option->kind != FLAG) {
        number_write(option->kind, option->min, min, sizeof min);
        number_write(option->kind, option->max, max, sizeof max);
        fprintf(stderr, ", from %s to %s", min, max);
    }
    fputs("\n", stderr);
    return false;
}

static bool set(struct config *config, struct origins *origins, const struct option *option,
                const char *from, const char *text)
{
    char *at = (char *)config + option->offset;
    bool flag = !strcmp(text, "true") || !strcmp(text, "1") || !strcmp(text, "");
    double value;

    origins->from[option - options] = from;
    origins->text[option - options] = text;
    switch (option->kind) {
    case TEXT:
        memcpy(at, &text, sizeof text);
        return true;
    case FLAG:
        memcpy(at, &flag, sizeof flag);
        return flag || !strcmp(text, "false") || !strcmp(text, "0") || complain(option, from, text);
    default:
        return (number_read(option->kind, text, &value) && store_number(config, option, value)) ||
               complain(option, from, text);
    }
}

static void warn_unknown(const char *variable)
{
    size_t length = strcspn(variable, "=");
    const char *names[OPTIONS + 1];
    char spelled[OPTIONS][NAME], given[NAME];
    const char *near;

    snprintf(given, sizeof given, "%.*s", (int)length, variable);
    for (int i = 0; i < OPTIONS; i++) {
        spell(&options[i], true, spelled[i]);
        names[i] = spelled[i];
    }
    names[OPTIONS] = NULL;
    near = word_nearest(given, names);
    fprintf(stderr, "convolved: warning: there is no option %s; %s%s\n", given,
            near ? "did you mean " : "see convolved --help", near ? near : "");
}

/* CONVOLVED_ISA is core's own: it takes the kernels of this name, or the portable ones. */
static bool check_isa(void)
{
    const char *wanted = getenv("CONVOLVED_ISA");

    if (!wanted || !*wanted || !strcmp(wanted, conv_isa()))
        return true;
    fprintf(stderr,
            "convolved: CONVOLVED_ISA is \"%s\"; it must be avx512, avx2 or portable, and what "
            "this machine has\n",
            wanted);
    return false;
}

static bool read_environment(struct config *config, struct origins *origins)
{
    for (char **variable = environ; *variable; variable++) {
        bool known = !strncmp(*variable, "CONVOLVED_ISA=", 14);
        char name[NAME];

        if (strncmp(*variable, "CONVOLVED_", 10))
            continue;
        for (int i = 0; i < OPTIONS && !known; i++) {
            size_t length;

            spell(&options[i], true, name);
            length = strlen(name);
            known = !strncmp(*variable, name, length) && (*variable)[length] == '=';
            if (known && !set(config, origins, &options[i], "environment", *variable + length + 1))
                return false;
        }
        if (!known)
            warn_unknown(*variable);
    }
    return true;
}

/* PORT, as hosting platforms set it, replaces the port of the address. */
static bool read_port(struct config *config, struct origins *origins)
{
    static char listen[256];
    const char *port = getenv("PORT"), *colon = strrchr(config->listen, ':');
    double value;

    if (!port || !*port || !strncmp(config->listen, "unix:", 5) ||
        !strncmp(config->listen, "fd:", 3) || !colon)
        return true;
    if (!number_read(COUNT, port, &value) || value > 65535) {
        fprintf(stderr, "convolved: PORT is \"%s\"; it must be a port, from 0 to 65535\n", port);
        return false;
    }
    snprintf(listen, sizeof listen, "%.*s:%s", (int)(colon - config->listen), config->listen, port);
    return set(config, origins, &options[0], "PORT", listen);
}

/* Sockets that systemd opened (LISTEN_FDS, from fd 3 on) replace the addresses: one that is named
 * metrics (FileDescriptorName=metrics) that of --metrics-listen, any other that of --listen. */
static bool read_activation(struct config *config, struct origins *origins)
{
    static char texts[OPTIONS][16];
    const char *pid = getenv("LISTEN_PID"), *count = getenv("LISTEN_FDS");
    const char *names = getenv("LISTEN_FDNAMES") ?: "";
    int sockets = pid && count && atol(pid) == getpid() ? atoi(count) : 0;
    bool taken[OPTIONS] = { false };

    for (int i = 0; i < sockets; i++) {
        size_t length = strcspn(names, ":");
        bool metrics = length == strlen("metrics") && !strncmp(names, "metrics", length);
        const char *wanted = metrics ? "metrics_listen" : "listen";
        const struct option *option = options;

        while (strcmp(option->name, wanted))
            option++;
        if (taken[option - options]) {
            fprintf(stderr,
                    "convolved: LISTEN_FDS is %d; it takes one socket to serve on and one "
                    "that is named metrics\n",
                    sockets);
            return false;
        }
        taken[option - options] = true;
        snprintf(texts[option - options], sizeof texts[0], "fd:%d", 3 + i);
        set(config, origins, option, "LISTEN_FDS", texts[option - options]);
        names += length + (names[length] != 0);
    }
    return true;
}

static bool no_such_flag(const char *flag)
{
    static char spelled[OPTIONS][NAME];
    const char *names[OPTIONS + 1], *near;

    for (int i = 0; i < OPTIONS; i++) {
        spell(&options[i], false, spelled[i]);
        names[i] = spelled[i];
    }
    names[OPTIONS] = NULL;
    near = word_nearest(flag, names);
    fprintf(stderr, "convolved: there is no option %s; %s%s\n", flag,
            near ? "did you mean " : "see convolved --help", near ? near : "");
    return false;
}

/* *index moves to the flag's value when that is an argument of its own. */
static bool read_flag(struct config *config, struct origins *origins, char **argv, int *index)
{
    const char *flag = argv[*index], *equals = strchr(flag, '=');
    size_t length = equals ? (size_t)(equals - flag) : strlen(flag);
    char name[NAME];

    for (int i = 0; i < OPTIONS; i++) {
        const char *text = equals ? equals + 1 : "";

        spell(&options[i], false, name);
        if (strlen(name) != length || strncmp(flag, name, length))
            continue;
        if (!equals && options[i].kind != FLAG && !(text = argv[++*index])) {
            fprintf(stderr, "convolved: %s needs a value: %s\n", name, options[i].help);
            return false;
        }
        return set(config, origins, &options[i], "flag", text);
    }
    return no_such_flag(flag);
}

void config_help(void)
{
    char name[NAME];

    puts("usage: convolved [serve] [--option value]...          serve HTTP\n"
         "       convolved run [picture] [name=value]... > out  one convolution, no server\n"
         "       convolved healthcheck [--listen address]       0 when a server is ready there\n"
         "       convolved version\n\n"
         "Every option may also be set in the environment: CONVOLVED_MAX_BODY is --max-body.\n");
    for (int i = 0; i < OPTIONS; i++) {
        spell(&options[i], false, name);
        printf("  %-20s %s%s%s%s\n", name, options[i].help, *options[i].preset ? " (" : "",
               options[i].preset, *options[i].preset ? ")" : "");
    }
    puts("  --print-config       show every value and where it came from\n"
         "  --help               say this");
}

static void print(const struct origins *origins)
{
    char name[NAME];

    for (int i = 0; i < OPTIONS; i++) {
        spell(&options[i], false, name);
        printf("%-20s %-24s %s\n", name + 2, *origins->text[i] ? origins->text[i] : "-",
               origins->from[i]);
    }
}

static bool check(const struct config *config)
{
    static const char *const formats[] = { "text", "json", NULL };
    static const char *const levels[] = { "debug", "info", "warning", "error", "off", NULL };
    const struct {
        const char *name, *value;
        const char *const *words;
    } rows[] = { { "--log-format", config->log_format, formats },
                 { "--log-level", config->log_level, levels } };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const char *const *word = rows[i].words;

        while (*word && strcmp(*word, rows[i].value))
            word++;
        if (*word)
            continue;
        fprintf(stderr, "convolved: %s is \"%s\"; it must be one of:", rows[i].name, rows[i].value);
        for (word = rows[i].words; *word; word++)
            fprintf(stderr, " %s", *word);
        fputs("\n", stderr);
        return false;
    }
    return true;
}

static enum config_wish read_arguments(struct config *config, struct origins *origins, int argc,
                                       char **argv, char **arguments)
{
    enum config_wish wish = CONFIG_RUN;

    for (int i = 0; i < argc; i++) {
        if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h"))
            return CONFIG_HELP;
        if (!strcmp(argv[i], "--print-config")) {
            wish = CONFIG_PRINT;
        } else if (!strncmp(argv[i], "--", 2)) {
            if (!read_flag(config, origins, argv, &i))
                return CONFIG_USAGE;
        } else if (arguments) {
            *arguments++ = argv[i];
        } else {
            fprintf(stderr, "convolved: \"%s\" is not an option; see convolved --help\n", argv[i]);
            return CONFIG_USAGE;
        }
    }
    if (arguments)
        *arguments = NULL;
    return wish;
}

enum config_wish config_read(struct config *config, int argc, char **argv, char **arguments)
{
    struct origins origins;
    enum config_wish wish;

    for (int i = 0; i < OPTIONS; i++)
        set(config, &origins, &options[i], "default", options[i].preset);
    if (!read_environment(config, &origins) || !check_isa() || !read_port(config, &origins) ||
        !read_activation(config, &origins))
        return CONFIG_USAGE;
    wish = read_arguments(config, &origins, argc, argv, arguments);
    if (wish == CONFIG_HELP)
        config_help();
    if (wish != CONFIG_RUN && wish != CONFIG_PRINT)
        return wish;
    if (!check(config))
        return CONFIG_USAGE;
    if (wish == CONFIG_PRINT)
        print(&origins);
    if (!config->workers)
        config->workers = (size_t)machine_cores();
    if (!config->memory)
        config->memory = machine_memory() / 2;
    return wish;
}
