/* The door to core: other folders include this header of core's and no other. */
#pragma once
#include "core/arena.h"   /* memory: one arena per request */
#include "core/checked.h" /* sizes that cannot overflow */
#include "core/conv.h"    /* the layer: plan, then run */
#include "core/embed.h"   /* files in the binary */
#include "core/error.h"   /* what went wrong, as a value */
#include "core/filters.h" /* preset and generated filter banks */
#include "core/pool.h"    /* the worker threads */
#include "core/samples.h" /* built-in pictures */
#include "core/tensor.h"  /* shapes and views of floats */
