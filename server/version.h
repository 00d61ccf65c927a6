/* The release's name. */
#pragma once
#define VERSION "0.1.0"
