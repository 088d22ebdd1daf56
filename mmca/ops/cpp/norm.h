// The batch norm and the h-swish between pools and gates.
#pragma once

#include "middle.h"

#include <algorithm>
#include <cmath>
#include <memory>

namespace mmca {

// Memory that is written before it is read: not cleared, as std::vector would.
template <typename T>
struct Buffer {
  explicit Buffer(int64_t size) : memory(new T[size]) {}
  operator T*() const { return memory.get(); }
  std::unique_ptr<T[]> memory;
};

template <typename T>
inline T clamp6(T z) {
  return std::min(std::max(z + T(3), T(0)), T(6));
}

// y = hardswish(features * scale + shift), one scale and shift for each column.
template <typename T>
void normalise(int64_t rows, int64_t middle, const T* features, const T* scale, const T* shift,
               T* y) {
  for (int64_t r = 0; r < rows; ++r) {
#pragma omp simd
    for (int64_t m = 0; m < middle; ++m) {
      const T z = features[r * middle + m] * scale[m] + shift[m];
      y[r * middle + m] = z * clamp6(z) * T(1.0 / 6.0);
    }
  }
}

// Batch norm as one scale and shift for each column.
template <typename T>
struct Affine {
  Affine(int64_t middle, const T* mean, const T* over_deviation, const Parameters<T>& p)
      : scale(middle), shift(middle) {
    for (int64_t m = 0; m < middle; ++m) {
      scale[m] = p.norm_weight[m] * over_deviation[m];
      shift[m] = p.norm_bias[m] - mean[m] * scale[m];
    }
  }
  Buffer<T> scale, shift;
};

// The same, of a batch norm with fixed statistics around the attention.
template <typename T>
void scale_and_shift(int64_t channels, Norm<T> norm, T* scale, T* shift) {
#pragma omp simd
  for (int64_t c = 0; c < channels; ++c) {
    scale[c] = norm.weight[c] / std::sqrt(norm.variance[c] + norm.epsilon);
    shift[c] = norm.bias[c] - norm.mean[c] * scale[c];
  }
}

template <typename T>
void fixed_statistics(int64_t middle, const Statistics<T>& s, T* mean, T* over_deviation) {
  for (int64_t m = 0; m < middle; ++m) {
    mean[m] = s.mean[m];
    over_deviation[m] = 1.0 / std::sqrt(static_cast<double>(s.variance[m]) + s.epsilon);
  }
}

}  // namespace mmca
