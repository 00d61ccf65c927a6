/* Colour maps as a few colours at equal distances; what lies between is interpolated. */
#include "api/colormap.h"

/* matplotlib's viridis (CC0), every 28th or so of its 256 colours. */
static const uint32_t viridis[] = { 0x440154, 0x482878, 0x3e4989, 0x31688e, 0x26828e,
                                    0x1f9e89, 0x35b779, 0x6ece58, 0xb5de2b, 0xfde725 };

/* ColorBrewer's red to blue, so turned that negative is blue, zero white, positive red. */
static const uint32_t rdbu[] = { 0x053061, 0x2166ac, 0x4393c3, 0x92c5de, 0xd1e5f0, 0xf7f7f7,
                                 0xfddbc7, 0xf4a582, 0xd6604d, 0xb2182b, 0x67001f };

static const uint32_t gray[] = { 0x000000, 0xffffff };

static const struct {
    const uint32_t *stops;
    int count;
} maps[] = {
    [COLORMAP_GRAY] = { gray, sizeof gray / sizeof *gray },
    [COLORMAP_VIRIDIS] = { viridis, sizeof viridis / sizeof *viridis },
    [COLORMAP_RDBU] = { rdbu, sizeof rdbu / sizeof *rdbu },
};

void colormap_fill(enum colormap colormap, uint8_t colors[256][3])
{
    const uint32_t *stops = maps[colormap].stops;
    int spans = maps[colormap].count - 1;

    for (int i = 0; i < 256; i++) {
        int at = i * spans, span = at / 255 < spans ? at / 255 : spans - 1, over = at - span * 255;

        for (int c = 0; c < 3; c++) {
            int from = stops[span] >> (16 - 8 * c) & 255,
                to = stops[span + 1] >> (16 - 8 * c) & 255;

            colors[i][c] = (uint8_t)((from * (255 - over) + to * over + 127) / 255);
        }
    }
}
