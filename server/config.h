/* The options of server/options.def, as the server uses them. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct config {
#define CONFIG_TEXT                                const char *
#define CONFIG_COUNT                               size_t
#define CONFIG_SIZE                                size_t  /* bytes */
#define CONFIG_TIME                                int64_t /* milliseconds */
#define CONFIG_FLAG                                bool
#define OPTION(kind, name, preset, min, max, help) CONFIG_##kind name;
#include "server/options.def"
};

/* What the command line asks for besides values. */
enum config_wish { CONFIG_RUN, CONFIG_HELP, CONFIG_PRINT, CONFIG_USAGE };

/* Defaults, then CONVOLVED_NAME in the environment (and PORT), then --name value or --name=value.
 * arguments: those without "--", in their order; NULL where there must be none. Says on stderr
 * what is wrong, naming option, value and range, and returns CONFIG_USAGE then. The texts live as
 * long as argv, the environment and the process. */
enum config_wish config_read(struct config *config, int argc, char **argv, char **arguments);

void config_help(void);
