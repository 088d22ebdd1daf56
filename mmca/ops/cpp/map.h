// What the passes work on.
//
// A map is (N, C, H, W), dense in either memory format. A profile holds one row of C numbers for
// each image and position along one axis: (N, H, C) or (N, W, C), dense, float, whatever the map's
// format and type.
//
// Every sum is taken in an order that the shape alone decides, so neither the number of threads
// nor the moment changes a bit.
#pragma once

#include "simd.h"

#include <ATen/Parallel.h>

namespace mmca {

struct Shape {
  int64_t images, channels, height, width;
  bool channels_last;
};

// Of both directions: pools, gates, or their gradients.
struct Profiles {
  float *h, *w;
};

// What happens to the map, in place, before it is pooled; known to the compiler, so that no loop
// asks. In training nothing or ReLU6, in inference batch norm and maybe ReLU6.
enum class PrologueKind { none, relu6, norm, norm_relu6 };

// A batch norm as one scale and shift for each channel.
struct Affine {
  const float *scale = nullptr, *shift = nullptr;
};

template <PrologueKind kind>
constexpr bool kHasNorm = kind >= PrologueKind::norm;

template <typename V>
inline V relu6(V value) {
  value = value < 0 ? V{} : value;  // what is not a number stays so
  return value > 6 ? V{} + 6 : value;
}

template <PrologueKind kind, typename V, typename S>
inline V apply_prologue(V value, const S& scale, const S& shift) {
  if (kHasNorm<kind>) value = value * scale + shift;
  return kind == PrologueKind::norm ? value : relu6(value);
}

// The gradient before a ReLU6 from the one after it and what it returned.
template <bool has_relu6, typename V>
inline V relu6_gradient(V gradient, V value) {
  if (!has_relu6) return gradient;
  const V passed = value > 0 ? gradient : V{};
  return value < 6 ? passed : V{};
}

// Calls f(first, last) in parallel, for rows of so many numbers.
template <typename F>
void over_rows_of(int64_t size, int64_t rows, const F& f) {
  at::parallel_for(0, rows, std::max<int64_t>(1, 8192 / std::max<int64_t>(1, size)), f);
}

}  // namespace mmca
