/* A generator of layers: PCG32 underneath, so that a failure can be drawn again by its number. */
#include "tests/random_layer.h"

uint32_t random_next(uint64_t *state)
{
    uint64_t old = *state;
    uint32_t mixed = (uint32_t)(((old >> 18) ^ old) >> 27), turn = (uint32_t)(old >> 59);

    *state = old * 6364136223846793005u + 1442695040888963407u;
    return mixed >> turn | mixed << (-turn & 31);
}

int random_between(uint64_t *state, int least, int most)
{
    return least + (int)(random_next(state) % (uint32_t)(most - least + 1));
}

static bool sometimes(uint64_t *state, int one_in)
{
    return random_between(state, 1, one_in) == 1;
}

static void draw_padding(uint64_t *state, struct conv_params *p)
{
    int same = random_between(state, 0, 3);

    for (int i = 0; i < 4; i++)
        p->pads[i] = sometimes(state, 3) ? random_between(state, 0, 3) : same;
    if (sometimes(state, 4))
        p->auto_pad = random_between(state, AUTO_PAD_VALID, AUTO_PAD_SAME_LOWER);
    if (sometimes(state, 4))
        p->padding_mode = random_between(state, PADDING_REFLECT, PADDING_CIRCULAR);
    else if (sometimes(state, 6))
        p->padding_value = (float)random_between(state, -3, 3);
}

static void draw_after(uint64_t *state, struct conv_params *p)
{
    if (sometimes(state, 4))
        p->activation = random_between(state, ACTIVATION_RELU, ACTIVATION_HARDSWISH);
    if (sometimes(state, 8)) {
        p->pool_type = random_between(state, POOL_MAX, POOL_AVG);
        for (int i = 0; i < 2; i++) {
            p->pool_kernel_size[i] = random_between(state, 1, 3);
            p->pool_stride[i] = random_between(state, 0, 3);
            p->pool_pads[i] = p->pool_pads[i + 2] = random_between(state, 0, 1);
        }
    }
    if (sometimes(state, 10))
        p->combine = random_between(state, COMBINE_MAGNITUDE, COMBINE_MAX);
}

static struct random_layer draw(uint64_t *state)
{
    struct random_layer l = { .params = conv_defaults };
    struct conv_params *p = &l.params;
    int group_channels = random_between(state, 1, 9), group_filters = random_between(state, 1, 20);
    int kernel = random_between(state, 1, sometimes(state, 6) ? 11 : 5);
    int stride = random_between(state, 1, sometimes(state, 4) ? 4 : 2);

    p->groups = sometimes(state, 3) ? random_between(state, 2, 6) : 1;
    if (sometimes(state, 6)) {
        group_channels = group_filters = 1;
        p->groups = random_between(state, 1, 24);
    }
    p->out_channels = p->groups * group_filters;
    l.in = (struct shape){ sometimes(state, 5) ? random_between(state, 2, 3) : 1,
                           p->groups * group_channels, random_between(state, 1, 24),
                           random_between(state, 1, sometimes(state, 4) ? 70 : 24) };
    for (int i = 0; i < 2; i++) {
        p->kernel_size[i] = sometimes(state, 4) ? random_between(state, 1, 7) : kernel;
        p->stride[i] = sometimes(state, 5) ? random_between(state, 1, 4) : stride;
        p->dilation[i] = sometimes(state, 5) ? random_between(state, 1, 3) : 1;
    }
    draw_padding(state, p);
    draw_after(state, p);
    return l;
}

struct random_layer random_layer(uint64_t *state, struct conv_plan *plan)
{
    struct random_layer l;
    struct error err;

    do
        l = draw(state);
    while (!conv_plan_init(plan, &l.params, l.in, NULL, &err));
    return l;
}

void random_fill(uint64_t *state, float *floats, size_t count, bool whole)
{
    for (size_t i = 0; i < count; i++)
        floats[i] = whole ? (float)random_between(state, -8, 8)
                          : (float)((int32_t)random_next(state)) * 0x1p-31f;
}
