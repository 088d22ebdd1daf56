// Coordinate attention on the CPU: passes over the map, and the small matrices between them.
//
// A map is (N, C, H, W), dense in either memory format. A profile holds one row of C numbers for
// each image and position along one axis: (N, H, C) or (N, W, C), dense, whatever the map's
// format, in `Wide` precision: float for float and bfloat16 maps, double for double.
//
// Every sum is taken in an order that the shape alone decides, so neither the number of threads
// nor the moment changes a bit.
#pragma once

#include <c10/util/BFloat16.h>

#include <cstdint>
#include <type_traits>

namespace mmca {

template <typename T>
using Wide = std::conditional_t<std::is_same_v<T, double>, double, float>;

struct Shape {
  int64_t images, channels, height, width;
  bool channels_last;
};

// Means over the width and over the height, from one read of x.
template <typename T>
void dual_pool(const Shape& s, const T* x, Wide<T>* pool_h, Wide<T>* pool_w);

// out = x * gate_w * gate_h; out may be x.
template <typename T>
void gate(const Shape& s, const T* x, const Wide<T>* gate_h, const Wide<T>* gate_w, T* out);

// Gradients of both gates from one read of g and x; `out`, unless null, gets what gate() makes.
template <typename T>
void gate_gradients(const Shape& s, const T* g, const T* x, const Wide<T>* gate_h,
                    const Wide<T>* gate_w, Wide<T>* grad_h, Wide<T>* grad_w, T* out);

// out = g * gate_w * gate_h + grad_pool_h / W + grad_pool_w / H; out may be g.
template <typename T>
void input_gradient(const Shape& s, const T* g, const Wide<T>* gate_h, const Wide<T>* gate_w,
                    const Wide<T>* grad_pool_h, const Wide<T>* grad_pool_w, T* out);

// Small matrices. `w` is always (middle, channels), as conv1's weight; conv_h and conv_w, which
// are (channels, middle), are transposed first.

// out[r, m] = bias[m] + sum over c of a[r, c] * w[m, c]; bias may be null.
template <typename T>
void reduce_rows(int64_t rows, int64_t channels, int64_t middle, const T* a, const T* w,
                 const T* bias, T* out);

// out[r, c] = bias[c] + sum over m of y[r, m] * w[m, c], then a sigmoid if asked for.
template <typename T>
void expand_rows(int64_t rows, int64_t channels, int64_t middle, const T* y, const T* w,
                 const T* bias, bool sigmoid, T* out);

// grad_w[m, c] = sum over r of y[r, m] * a[r, c], to be added to what is there if `add`; grad_bias
// (channels), unless null, is the sum of a's rows.
template <typename T>
void weight_gradient(int64_t rows, int64_t channels, int64_t middle, const T* y, const T* a,
                     bool add, T* grad_w, T* grad_bias);

template <typename T>
void transpose(int64_t rows, int64_t columns, const T* from, T* to);

}  // namespace mmca
