/* Which instruction set the kernels use. */
#include "core/conv.h"

const char *conv_isa(void)
{
    return "portable";
}
