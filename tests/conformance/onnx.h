/* Reads the little of ONNX's protobuf files that one convolution's test case is made of. */
#pragma once
#include <stddef.h>
#include <stdint.h>

enum { ONNX_RANK = 4 };

struct onnx_tensor {
    char name[64];
    size_t dims[ONNX_RANK], count;
    int rank;
    float *data;
};

/* One Conv node with its operands and the answer that somebody else computed. */
struct onnx_case {
    struct onnx_tensor x, w, b, y; /* b.count 0: no bias */
    char attributes[512];          /* JSON members: "strides":[2,2],"pads":[...] */
};

/* folder: .../node/test_conv_with_strides_padding. Fails the test when anything is not as
 * expected; memory is the test's. */
void onnx_read(struct onnx_case *onnx, const char *folder);
