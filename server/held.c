/* Layers that live as long as somebody uses them. */
#include "server/held.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct held *held_create(const char *name, size_t limit, struct arena_cache *memory)
{
    struct held *held = calloc(1, sizeof *held);

    if (!held)
        return NULL;
    held->arena = arena_create_cached(limit, memory);
    pthread_mutex_init(&held->packing, NULL);
    atomic_init(&held->users, 1);
    snprintf(held->name, sizeof held->name, "%s", name);
    return held;
}

void held_release(struct held *held)
{
    if (!held || atomic_fetch_sub(&held->users, 1) > 1)
        return;
    pthread_mutex_destroy(&held->packing);
    arena_destroy(held->arena);
    free(held);
}

/* --- packed weights --------------------------------------------------------------------------- */

/* Whatever the pictures' size and padding, these two read the same packed weights. */
static bool same_packing(const struct conv_plan *a, const struct conv_plan *b)
{
    const struct conv_params *p = &a->params, *q = &b->params;

    return a->engine == b->engine && a->in.channels == b->in.channels &&
           conv_packed_size(a) == conv_packed_size(b) && p->out_channels == q->out_channels &&
           p->groups == q->groups &&
           !memcmp(p->kernel_size, q->kernel_size, sizeof p->kernel_size) &&
           !memcmp(p->stride, q->stride, sizeof p->stride) &&
           !memcmp(p->dilation, q->dilation, sizeof p->dilation);
}

static bool same_bias(const float *a, const float *b, size_t count)
{
    return !a == !b && (!a || !memcmp(a, b, count * sizeof *a));
}

static void pack(struct held *held, const struct conv_plan *plan, struct conv_inputs *inputs)
{
    size_t filters = (size_t)plan->maps.channels;
    struct packed *packed = held->packed, *end = packed + held->packed_count;
    void *data;
    float *bias;

    for (; packed < end; packed++)
        if (same_packing(&packed->plan, plan) && same_bias(packed->bias, inputs->bias, filters)) {
            inputs->packed = packed->data;
            return;
        }
    data = held->packed_count < MOST_PACKED ? arena_alloc(held->arena, 1, conv_packed_size(plan))
                                            : NULL;
    bias = data && inputs->bias ? arena_new(held->arena, float, filters) : NULL;
    if (!data || (inputs->bias && !bias))
        return; /* it is packed for this run alone, then */
    if (bias)
        memcpy(bias, inputs->bias, filters * sizeof *bias);
    conv_pack(plan, inputs, data);
    *packed = (struct packed){ *plan, data, bias };
    held->packed_count++;
    inputs->packed = data;
}

void held_pack(struct held *held, const struct conv_plan *plan, struct conv_inputs *inputs)
{
    if (!conv_packed_size(plan))
        return;
    pthread_mutex_lock(&held->packing);
    pack(held, plan, inputs);
    pthread_mutex_unlock(&held->packing);
}
