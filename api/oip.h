/* What the two sides of the Open Inference Protocol share. Private to them. */
#pragma once
#include "api/decode.h"

/* The model and version that /v2/models/{model}[/versions/{version}]... names; ERR_NOT_FOUND. */
bool model_find(const char *path, struct arena *arena, struct infer *infer, struct error *err);
