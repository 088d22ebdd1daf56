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

// What is done to the map, in place, before all else: x * scale + shift unless scale is null, one
// scale and shift for each channel, and then a clamp to 0 ... 6.
template <typename A>
struct Entry {
  bool clamp = false;
  const A *scale = nullptr, *shift = nullptr;  // with `clamp` only
};

// Means over the width and over the height, from one read of x.
template <typename T>
void dual_pool(const Shape& s, T* x, const Entry<Wide<T>>& entry, Wide<T>* pool_h,
               Wide<T>* pool_w);

// out = x * gate_w * gate_h; out may be x.
template <typename T>
void gate(const Shape& s, const T* x, const Wide<T>* gate_h, const Wide<T>* gate_w, T* out);

// Gradients of both gates from one read of g and x; `out`, unless null, gets what gate() makes.
template <typename T>
void gate_gradients(const Shape& s, const T* g, const T* x, const Wide<T>* gate_h,
                    const Wide<T>* gate_w, Wide<T>* grad_h, Wide<T>* grad_w, T* out);

// out = g * gate_w * gate_h + grad_pool_h / W + grad_pool_w / H; out may be g. `clamped`, unless
// null, is the map after a clamp to 0 ... 6, of which this gives the gradient before it.
template <typename T>
void input_gradient(const Shape& s, const T* g, const Wide<T>* gate_h, const Wide<T>* gate_w,
                    const Wide<T>* grad_pool_h, const Wide<T>* grad_pool_w, const T* clamped,
                    T* out);

// Small matrices: `rows` rows of C numbers on one side, of `middle` numbers on the other. `size`
// columns of the C are meant, from `begin` on: pointers are to whole rows.

// out[r, m] = bias[m] + sum over the columns c of a[r, c] * w[m, c], bias being null for 0.
template <typename T>
void reduce_rows(int64_t rows, int64_t channels, int64_t middle, int64_t begin, int64_t size,
                 const T* a, const T* w, const T* bias, T* out);

// before[r, c] = g[r, c] * gate[r, c] * (1 - gate[r, c]), the gradient before a sigmoid, and
// out[r, m] = sum over all c of before[r, c] * w[c, m].
template <typename T>
void reduce_sigmoid_gradient(int64_t rows, int64_t channels, int64_t middle, const T* g,
                             const T* gate, const T* w, T* before, T* out);

// out[r, c] = bias[c] + sum over m of y[r, m] * w[m, c], bias being null for 0, then a sigmoid if
// asked for. `turned`: w is given as (C, middle).
template <typename T>
void expand_columns(int64_t rows, int64_t channels, int64_t middle, int64_t begin, int64_t size,
                    const T* y, const T* w, bool turned, const T* bias, bool sigmoid, T* out);

// grad_w[m, c] = sum over r of y[r, m] * a[r, c], and unless grad_bias is null, grad_bias[c] = sum
// over r of a[r, c]. `turned`: grad_w is wanted as (C, middle).
template <typename T>
void weight_gradient(int64_t rows, int64_t channels, int64_t middle, int64_t begin, int64_t size,
                     const T* y, const T* a, bool turned, T* grad_w, T* grad_bias);

}  // namespace mmca
