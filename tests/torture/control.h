/* What the torturer and the shim inside the daemon share: which call fails next. */
#pragma once
#include <stdatomic.h>

struct control {
    atomic_long calls;        /* allocations and threads asked for so far */
    atomic_long from, until;  /* those with these numbers fail: [from, until) */
    atomic_long failed, live; /* how many did; blocks that are not freed */
};
#define CONTROL_VARIABLE "TORTURE_CONTROL" /* the number of an open memfd */
