/* What this process may use of the machine: its affinity, its control group, its limits. */
#pragma once
#include <stddef.h>

int machine_cores(void);
size_t machine_memory(void); /* bytes */

/* Raises the limit of open files towards wanted; gives what it is now. */
size_t machine_files(size_t wanted);
