/* Grey levels to colours. */
#pragma once
#include "api/api.h"

/* 256 colours, red, green, blue; from the lowest value to the highest. gray is a ramp. */
void colormap_fill(enum colormap colormap, uint8_t colors[256][3]);
