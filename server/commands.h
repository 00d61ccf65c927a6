/* The subcommands that are no server. Each gives the exit status. */
#pragma once
#include "server/config.h"

/* [picture | - ] [name=value]...: the reply's body on stdout. */
int command_run(const struct config *config, char **arguments);
int command_healthcheck(const struct config *config);
