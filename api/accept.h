/* Which of the formats that can be made does the client want? */
#pragma once
#include "api/api.h"

/* accept: the header, "" for none. *format is an enum format. ERR_ACCEPT when it wants none. */
bool format_from_accept(const char *accept, int *format, struct error *err);
