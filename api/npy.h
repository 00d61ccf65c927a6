/* Arrays in files: numpy's .npy, and safetensors. Readers give a view into the file, checked to
 * its last byte; npy_floats() makes float32 of it. */
#pragma once
#include "api/api.h"

#include <cjson/cJSON.h>

struct npy {
    int rank; /* 0: one number */
    size_t dims[MAX_RANK];
    char kind; /* 'u' unsigned, 'i' signed, 'f' float, 'b' bool, 'B' bfloat16 */
    int item_size;
    bool fortran, big_endian;
    const void *data; /* not aligned */
    size_t count;
};

/* The whole file, versions 1 to 3. ERR_SYNTAX on field. */
bool npy_read(struct bytes file, const char *field, struct npy *npy, struct error *err);

/* One tensor of a safetensors file: the named one, or with NULL the only one. ERR_SYNTAX, or
 * ERR_PARAMETER with the names that are there, on field "weights"; ERR_BUSY or ERR_TOO_LARGE when
 * memory is out. */
bool safetensors_read(struct bytes file, const char *name, struct arena *arena, struct npy *npy,
                      struct error *err);
/* Its header, an object; cJSON_Delete() it. NULL is an error like those. */
cJSON *safetensors_header(struct bytes text, struct arena *arena, struct error *err);

/* npy->count floats in C order (last dimension fastest). 64-bit numbers are rounded. */
void npy_floats(const struct npy *npy, float *out);

/* A version 1.0 header for little-endian float32 in C order, a multiple of 64 bytes long so that
 * the numbers are aligned; returns its end, at most NPY_HEADER bytes on. */
enum { NPY_HEADER = 320 };
char *npy_header(char *out, const size_t *dims, int rank);
