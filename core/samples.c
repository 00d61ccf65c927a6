/* The pictures, pixel by pixel. Positions run from 0 to 1 across and down, so that each picture
 * looks alike at every size; nothing but exact arithmetic, so that it is alike on every machine. */
#include "core/samples.h"
#include "core/elementary.h"

#include <math.h> /* floor, sqrt, fabs: exact everywhere */
#include <string.h>

struct spot {
    int x, y, size; /* the pixel, and the picture's height and width */
    double u, v;    /* its middle, from 0 to 1 */
};

static void set(uint8_t *pixel, double r, double g, double b)
{
    pixel[0] = (uint8_t)(r + 0.5);
    pixel[1] = (uint8_t)(g + 0.5);
    pixel[2] = (uint8_t)(b + 0.5);
}

/* 0 to 255, from a place alone: splitmix64's scrambler. */
static uint8_t hash(int x, int y)
{
    uint64_t z = ((uint64_t)(uint32_t)x << 32 | (uint32_t)y) + 0x9e3779b97f4a7c15;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return (uint8_t)(z >> 40);
}

static double fraction(double x)
{
    return x - floor(x);
}

/* A wave of parabolas between -1 and 1, one for each unit of t. */
static double wave(double t)
{
    double f = fraction(t);

    return f < 0.5 ? 16 * f * (0.5 - f) : -16 * (f - 0.5) * (1 - f);
}

static bool within(double x, double from, double to)
{
    return x >= from && x < to;
}

static double square(double x)
{
    return x * x;
}

static void draw_land(const struct spot *s, uint8_t *pixel)
{
    double far = 0.5 + 0.06 * wave(s->u * 1.4 + 0.1) + 0.02 * wave(s->u * 4.3);
    double near = 0.64 + 0.04 * wave(s->u * 0.8 + 0.55), row;

    if (s->v >= near) { /* a field in perspective: its furrows meet on the horizon */
        row = fraction((s->u - 0.62) / (s->v - 0.5) * 3.5);
        set(pixel, row < 0.5 ? 122 : 92, row < 0.5 ? 158 : 128, row < 0.5 ? 74 : 56);
    } else if (s->v >= far) {
        set(pixel, 96, 130, 132);
    } else if (square(s->u - 0.8) + square(s->v - 0.18) < square(0.085)) {
        set(pixel, 255, 226, 130);
    } else {
        set(pixel, 92 + 200 * s->v, 152 + 130 * s->v, 236 + 20 * s->v);
    }
}

static void draw_house(const struct spot *s, uint8_t *pixel)
{
    double u = (s->u - 0.12) / 0.34, v = (s->v - 0.5) / 0.26; /* the wall is 0 to 1 */
    bool pane;

    if (within(v, -0.6, 0) && fabs(u - 0.5) < 0.6 * (v + 0.6) / 0.6) {
        set(pixel, fraction(v * 10) < 0.25 ? 120 : 178, 62, 50); /* tiles */
    } else if (within(v, 0, 1) && within(u, 0, 1)) {
        set(pixel, 232, 214, 184);
        if (within(v, 0.45, 1) && within(u, 0.42, 0.6))
            set(pixel, 108, 64, 44);
        if (within(v, 0.2, 0.6) && (within(u, 0.1, 0.32) || within(u, 0.7, 0.92))) {
            pane = fabs(v - 0.4) < 0.17 && fabs(v - 0.4) > 0.02;
            pane = pane && fabs(fabs(u - 0.51) - 0.3) < 0.08 && fabs(fabs(u - 0.51) - 0.3) > 0.012;
            set(pixel, pane ? 84 : 250, pane ? 120 : 250, pane ? 152 : 246);
        }
    }
}

static void draw_tree(const struct spot *s, uint8_t *pixel)
{
    double leaf = hash((int)(s->u * 96), (int)(s->v * 96)) / 8.0;

    if (within(s->u, 0.725, 0.765) && within(s->v, 0.55, 0.8))
        set(pixel, 92, 66, 48);
    if (square(s->u - 0.745) + square((s->v - 0.47) * 0.9) < square(0.14))
        set(pixel, 34 + leaf, 84 + 2 * leaf, 40 + leaf);
}

static void draw_fence(const struct spot *s, uint8_t *pixel)
{
    double picket = fraction(s->u * 16), top = 0.8 + 0.02 * fabs(picket - 0.3) / 0.3;

    if ((picket < 0.6 && within(s->v, top, 0.95)) || within(s->v, 0.84, 0.86) ||
        within(s->v, 0.9, 0.92))
        set(pixel, 246, 244, 238);
}

static void scene(const struct spot *s, uint8_t *pixel)
{
    draw_land(s, pixel);
    draw_house(s, pixel);
    draw_tree(s, pixel);
    draw_fence(s, pixel);
}

/* Rings whose frequency grows with the radius and is as high as can be at the picture's edge. */
static void zone_plate(const struct spot *s, uint8_t *pixel)
{
    double r2 = square(s->u - 0.5) + square(s->v - 0.5);

    *pixel = (uint8_t)(127.5 + 127.5 * elementary_cos(r2 * s->size / 2) + 0.5);
}

/* (re + i im)^2 */
static void turn_twice(double *re, double *im)
{
    double cross = *re * *im;

    *re = *re * *re - *im * *im;
    *im = 2 * cross;
}

/* Siemens' star: the 18th power of a direction turns 18 times as fast. */
static void star(const struct spot *s, uint8_t *pixel)
{
    double x = s->u - 0.5, y = s->v - 0.5, r = sqrt(x * x + y * y), edge;
    double re = r > 0 ? x / r : 1, im = r > 0 ? y / r : 0, re2, im2;

    turn_twice(&re, &im);
    re2 = re;
    im2 = im;
    for (int power = 2; power < 16; power *= 2)
        turn_twice(&re, &im);
    im = re * im2 + im * re2;     /* 16 + 2 */
    edge = im * r * s->size / 18; /* about the distance to the nearest edge, in pixels */
    edge = edge < -0.5 ? -0.5 : edge > 0.5 ? 0.5 : edge;
    *pixel = (uint8_t)(255 * (edge + 0.5) + 0.5);
}

static void checker(const struct spot *s, uint8_t *pixel)
{
    *pixel = ((int)(s->u * 8) + (int)(s->v * 8)) % 2 ? 0 : 255;
}

static void ramp(const struct spot *s, uint8_t *pixel)
{
    *pixel = (uint8_t)(s->size > 1 ? (s->x * 255 + (s->size - 1) / 2) / (s->size - 1) : 0);
}

static void bars(const struct spot *s, uint8_t *pixel)
{
    static const uint8_t colours[8] = { 7, 6, 3, 2, 5, 4, 1, 0 }; /* red 4, green 2, blue 1 */
    int bar = (int)(s->u * 8), step = 255 * bar / 7;

    if (s->v < 0.75)
        set(pixel, colours[bar] & 4 ? 255 : 0, colours[bar] & 2 ? 255 : 0,
            colours[bar] & 1 ? 255 : 0);
    else
        set(pixel, step, step, step);
}

static void noise(const struct spot *s, uint8_t *pixel)
{
    *pixel = hash(s->x, s->y);
}

static void impulse(const struct spot *s, uint8_t *pixel)
{
    *pixel = s->x == s->size / 2 && s->y == s->size / 2 ? 255 : 0;
}

/* A red square, a green cross and a blue slope in one-digit numbers; repeated when larger. */
static void tiny(const struct spot *s, uint8_t *pixel)
{
    int x = s->x % 8, y = s->y % 8;
    bool square_edge = x >= 1 && x <= 6 && y >= 1 && y <= 6;
    bool hollow = x >= 3 && x <= 4 && y >= 3 && y <= 4;

    pixel[0] = square_edge && !hollow ? 9 : 1;
    pixel[1] = x == 3 || y == 4 ? 5 : 0;
    pixel[2] = (uint8_t)((x + y) / 2);
}

static const struct drawn {
    struct sample sample;
    void (*draw)(const struct spot *spot, uint8_t *pixel);
} samples[] = {
    { { "scene", "a house, a tree and a fence: edges of every kind, in colour", 3, 256 }, scene },
    { { "zone_plate", "rings of every frequency and angle", 1, 256 }, zone_plate },
    { { "star", "Siemens' star: edges at every angle", 1, 256 }, star },
    { { "checker", "eight by eight squares: edges and corners", 1, 256 }, checker },
    { { "ramp", "black to white: the same gradient everywhere", 1, 256 }, ramp },
    { { "bars", "eight colours and eight greys", 3, 256 }, bars },
    { { "noise", "white noise: every frequency at once", 1, 256 }, noise },
    { { "impulse", "one white pixel: the output is the filter, turned half around", 1, 31 },
      impulse },
    { { "tiny", "8x8 pixels of one-digit numbers, to read along with", 3, 8 }, tiny },
};

int sample_count(void)
{
    return sizeof samples / sizeof *samples;
}

const struct sample *sample_at(int index)
{
    return &samples[index].sample;
}

const struct sample *sample_find(const char *id)
{
    for (int i = 0; i < sample_count(); i++)
        if (strcmp(samples[i].sample.id, id) == 0)
            return &samples[i].sample;
    return NULL;
}

bool sample_draw(const struct sample *sample, int size, const atomic_bool *stop, uint8_t *pixels)
{
    const struct drawn *drawn = (const struct drawn *)sample; /* its first member */

    for (int y = 0; y < size; y++) {
        if (stop && atomic_load_explicit(stop, memory_order_relaxed))
            return false;
        for (int x = 0; x < size; x++, pixels += sample->channels) {
            struct spot spot = { x, y, size, (x + 0.5) / size, (y + 0.5) / size };

            drawn->draw(&spot, pixels);
        }
    }
    return true;
}
