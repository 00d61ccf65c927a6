/* The .npy format: a Python dict as text, then the numbers. The dict is read by hand, strictly. */
#include "api/npy.h"

#include <stdio.h>
#include <string.h>

struct reader {
    struct bytes text;
    size_t at;
    struct npy *npy;
    unsigned seen; /* a bit for each of the three keys */
};

static void skip_space(struct reader *r)
{
    while (r->at < r->text.size && (r->text.data[r->at] == ' ' || r->text.data[r->at] == '\n'))
        r->at++;
}

/* Behind white space: is it this text? Then it is passed. */
static bool take(struct reader *r, const char *word)
{
    size_t size = strlen(word);

    skip_space(r);
    if (r->text.size - r->at < size || memcmp(r->text.data + r->at, word, size) != 0)
        return false;
    r->at += size;
    return true;
}

/* A quoted text without escapes, shorter than size. */
static bool take_text(struct reader *r, char *out, size_t size)
{
    char quote = take(r, "'") ? '\'' : '"';
    size_t length = 0;

    if (quote == '"' && !take(r, "\""))
        return false;
    for (; r->at < r->text.size && r->text.data[r->at] != quote; r->at++) {
        if (length + 1 >= size || r->text.data[r->at] == '\\')
            return false;
        out[length++] = r->text.data[r->at];
    }
    out[length] = '\0';
    return r->at++ < r->text.size;
}

static bool take_number(struct reader *r, size_t *number)
{
    size_t start;

    skip_space(r);
    start = r->at;
    for (*number = 0;
         r->at < r->text.size && r->text.data[r->at] >= '0' && r->text.data[r->at] <= '9'; r->at++)
        if (!checked_mul(*number, 10, number) ||
            !checked_add(*number, (size_t)(r->text.data[r->at] - '0'), number))
            return false;
    return r->at > start;
}

/* "(3, 4)", "(3,)" or "()" */
static bool take_shape(struct reader *r)
{
    struct npy *npy = r->npy;

    if (!take(r, "("))
        return false;
    for (npy->rank = 0; !take(r, ")"); npy->rank++) {
        bool comma;

        if (npy->rank == MAX_RANK || !take_number(r, &npy->dims[npy->rank]))
            return false;
        take(r, "L"); /* Python 2 wrote 3L */
        comma = take(r, ",");
        if (!comma && (npy->rank == 0 || !take(r, ")")))
            return false;
        if (!comma) {
            npy->rank++;
            break;
        }
    }
    return true;
}

/* "<f4": order, kind, bytes. */
static bool take_descr(struct reader *r)
{
    static const char *const known[] = { "b1", "u1", "i1", "u2", "i2", "u4",
                                         "i4", "u8", "i8", "f2", "f4", "f8" };
    struct npy *npy = r->npy;
    char text[8] = "";

    if (!take_text(r, text, sizeof text) || !text[0] || !strchr("<>|=", text[0]))
        return false;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(text + 1, known[i]) == 0) {
            npy->kind = text[1];
            npy->item_size = text[2] - '0';
            npy->big_endian = text[0] == '>';
            return true;
        }
    return false;
}

static bool take_member(struct reader *r)
{
    char key[16];
    unsigned bit;
    bool ok;

    if (!take_text(r, key, sizeof key) || !take(r, ":"))
        return false;
    if (strcmp(key, "descr") == 0) {
        bit = 1;
        ok = take_descr(r);
    } else if (strcmp(key, "fortran_order") == 0) {
        bit = 2;
        r->npy->fortran = take(r, "True");
        ok = r->npy->fortran || take(r, "False");
    } else if (strcmp(key, "shape") == 0) {
        bit = 4;
        ok = take_shape(r);
    } else {
        return false;
    }
    ok = ok && !(r->seen & bit);
    r->seen |= bit;
    return ok;
}

static bool read_dict(struct reader *r)
{
    if (!take(r, "{"))
        return false;
    while (!take(r, "}")) {
        if (!take_member(r))
            return false;
        if (!take(r, ",") && !take(r, "}"))
            return false;
        if (r->text.data[r->at - 1] == '}')
            break;
    }
    skip_space(r);
    return r->at == r->text.size && r->seen == 7;
}

/* count, and whether exactly its bytes are there. */
static bool check_size(struct npy *npy, size_t bytes, const char *field, struct error *err)
{
    size_t need;

    npy->count = 1;
    for (int i = 0; i < npy->rank; i++)
        if (!checked_mul(npy->count, npy->dims[i], &npy->count))
            return fail(err, ERR_SYNTAX, field, "the array's shape overflows");
    if (npy->count == 0)
        return fail(err, ERR_SYNTAX, field, "the array is empty: a dimension is 0");
    if (!checked_mul(npy->count, (size_t)npy->item_size, &need) || need != bytes)
        return fail(err, ERR_SYNTAX, field,
                    "the array's %zu numbers of %d bytes do not fill its "
                    "%zu bytes of data exactly; is the file whole?",
                    npy->count, npy->item_size, bytes);
    return true;
}

bool npy_read(struct bytes file, const char *field, struct npy *npy, struct error *err)
{
    const uint8_t *p = (const uint8_t *)file.data;
    struct reader reader = { .npy = npy };
    size_t start, length;

    *npy = (struct npy){ 0 };
    if (file.size < 12 || memcmp(p, "\x93NUMPY", 6) != 0 || p[6] < 1 || p[6] > 3)
        return fail(err, ERR_SYNTAX, field, "this is not an npy file of version 1, 2 or 3");
    start = p[6] == 1 ? 10 : 12;
    length = (size_t)p[8] | (size_t)p[9] << 8;
    if (p[6] > 1)
        length |= (size_t)p[10] << 16 | (size_t)p[11] << 24;
    if (length > file.size - start)
        return fail(err, ERR_SYNTAX, field,
                    "the npy file is cut short in its header; send all of "
                    "it");
    reader.text = (struct bytes){ file.data + start, length };
    if (!read_dict(&reader))
        return fail(
            err, ERR_SYNTAX, field,
            "the npy header is not understood at byte %zu; it needs "
            "a descr of bool, u1 to u8, i1 to i8, f2, f4 or f8, fortran_order and a shape of "
            "at most %d dimensions; save it with numpy.save",
            start + reader.at, MAX_RANK);
    npy->data = file.data + start + length;
    return check_size(npy, file.size - start - length, field, err);
}

char *npy_header(char *out, const size_t *dims, int rank)
{
    char dict[NPY_HEADER - 10] = "{'descr': '<f4', 'fortran_order': False, 'shape': (";
    int length = (int)strlen(dict), total;

    for (int i = 0; i < rank; i++)
        length += snprintf(dict + length, sizeof dict - (size_t)length, "%zu,%s", dims[i],
                           i + 1 < rank ? " " : "");
    if (rank > 1)
        length--; /* (3, 4), but (3,) */
    length += snprintf(dict + length, sizeof dict - (size_t)length, "), }");
    total = (10 + length + 1 + 63) / 64 * 64;
    memset(out, ' ', (size_t)total);
    memcpy(out, "\x93NUMPY\1\0", 8); /* NOLINT: not a string */
    out[8] = (char)((total - 10) & 255);
    out[9] = (char)((total - 10) >> 8);
    memcpy(out + 10, dict, (size_t)length);
    out[total - 1] = '\n';
    return out + total;
}

/* A 16-bit float: sign, 5 bits of exponent, 10 of fraction. Every one is a float32. */
static float from_half(uint16_t half)
{
    uint32_t sign = (uint32_t)(half & 0x8000) << 16, exponent = half >> 10 & 31;
    uint32_t fraction = half & 1023, bits;
    float value;

    if (exponent == 0) {
        value = (float)fraction * 0x1p-24f;
        memcpy(&bits, &value, 4);
    } else {
        bits = (exponent == 31 ? 255u : exponent + 112) << 23 | fraction << 13;
    }
    bits |= sign;
    memcpy(&value, &bits, 4);
    return value;
}

static float item_float(const struct npy *npy, const uint8_t *item)
{
    uint64_t bits = 0;
    uint32_t low;
    float single;
    double twice;

    for (int i = 0; i < npy->item_size; i++)
        bits |= (uint64_t)item[npy->big_endian ? npy->item_size - 1 - i : i] << 8 * i;
    low = (uint32_t)bits;
    switch (npy->kind) {
    case 'b':
        return bits != 0;
    case 'u':
        return (float)bits;
    case 'i':
        return (float)((int64_t)(bits << (64 - 8 * npy->item_size)) >> (64 - 8 * npy->item_size));
    case 'B':
        low <<= 16;
        break;
    default:
        if (npy->item_size == 2)
            return from_half((uint16_t)bits);
        memcpy(&twice, &bits, 8);
        if (npy->item_size == 8)
            return (float)twice;
    }
    memcpy(&single, &low, 4);
    return single;
}

void npy_floats(const struct npy *npy, float *out)
{
    size_t index[MAX_RANK] = { 0 }, steps[MAX_RANK] = { 0 }, step = 1;
    const uint8_t *data = npy->data;

    if (npy->kind == 'f' && npy->item_size == 4 && !npy->big_endian && !npy->fortran) {
        memcpy(out, data, 4 * npy->count);
        return;
    }
    if (npy->kind == 'u' && npy->item_size == 1 && !npy->fortran) { /* pictures: worth a fast way */
        for (size_t n = 0; n < npy->count; n++)
            out[n] = data[n];
        return;
    }
    for (int i = 0; i < npy->rank; i++) {
        int d = npy->fortran ? i : npy->rank - 1 - i;

        steps[d] = step * (size_t)npy->item_size;
        step *= npy->dims[d];
    }
    for (size_t n = 0; n < npy->count; n++) {
        out[n] = item_float(npy, data);
        for (int d = npy->rank - 1; d >= 0; d--) { /* an odometer: the last dimension first */
            data += steps[d];
            if (++index[d] < npy->dims[d])
                break;
            data -= npy->dims[d] * steps[d];
            index[d] = 0;
        }
    }
}
