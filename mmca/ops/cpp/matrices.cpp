// Matrix products with 8 to 40 columns, which the large libraries are slow at.
#include "kernels.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>
#include <cstring>

namespace mmca {
namespace {

#ifdef __AVX512VL__
constexpr int kVectorBytes = 64, kTileRows = 4;  // of 32 registers, 16 hold sums
#else
constexpr int kVectorBytes = 32, kTileRows = 3;  // of 16 registers, 12
#endif
constexpr int kTileColumns = 4;

template <typename T>
struct VectorOf {
  typedef T type __attribute__((vector_size(kVectorBytes)));
};

template <typename V, typename T>
inline V load(const T* from) {
  V v;
  std::memcpy(&v, from, sizeof(V));
  return v;
}

template <typename F>
void parallel_tiles(int64_t tiles, int64_t work, const F& f) {
  const int64_t grain = std::max<int64_t>(1, 65536 / std::max<int64_t>(1, work));
  at::parallel_for(0, tiles, grain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) f(i);
  });
}

inline int64_t tiles_of(int64_t count, int64_t size) { return (count + size - 1) / size; }

// exp by 2^n * polynomial (Cephes' coefficients), to 2 units in the last place; vectorises.
inline float exponential(float x) {
  x = x < -87.f ? -87.f : x;
  x = x > 88.f ? 88.f : x;
  constexpr float rounder = 12582912.f;  // 1.5 * 2^23: adding it leaves a whole number
  const float shifted = x * 1.44269504f + rounder;
  const float n = shifted - rounder;
  const float f = x - n * 0.693359375f + n * 2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * f + 1.3981999507e-3f;
  p = p * f + 8.3334519073e-3f;
  p = p * f + 4.1665795894e-2f;
  p = p * f + 1.6666665459e-1f;
  p = p * f + 5.0000001201e-1f;
  p = p * f * f + f + 1.f;
  int32_t bits;
  std::memcpy(&bits, &shifted, sizeof(bits));
  bits = static_cast<int32_t>(static_cast<uint32_t>(bits - 0x4b400000 + 127) << 23);
  float scale;
  std::memcpy(&scale, &bits, sizeof(scale));
  return p * scale;
}

inline double exponential(double x) { return std::exp(x); }

template <typename T>
void sigmoid_in_place(int64_t count, T* values) {
#pragma omp simd
  for (int64_t i = 0; i < count; ++i) values[i] = T(1) / (T(1) + exponential(-values[i]));
}

// `Vectors` vectors V (V may be T itself) of columns from c on, for all rows.
template <typename V, int Vectors, typename T>
void expand_columns(int64_t rows, int64_t channels, int64_t middle, const T* y, const T* w,
                    const T* bias, int64_t c, T* out) {
  constexpr int lanes = sizeof(V) / sizeof(T);
  V start[Vectors];
  for (int v = 0; v < Vectors; ++v) {
    start[v] = bias != nullptr ? load<V>(bias + c + v * lanes) : V{};
  }
  for (int64_t first = 0; first < rows; first += kTileRows) {
    V sum[kTileRows][Vectors];
    const T* in[kTileRows];
    for (int r = 0; r < kTileRows; ++r) {
      // The last tile repeats the last row: it computes and writes the same numbers again.
      in[r] = y + std::min(first + r, rows - 1) * middle;
      for (int v = 0; v < Vectors; ++v) sum[r][v] = start[v];
    }
    for (int64_t m = 0; m < middle; ++m) {
      for (int v = 0; v < Vectors; ++v) {
        const V weight = load<V>(w + m * channels + c + v * lanes);
        for (int r = 0; r < kTileRows; ++r) sum[r][v] += weight * in[r][m];
      }
    }
    for (int r = 0; r < kTileRows; ++r) {
      T* to = out + std::min(first + r, rows - 1) * channels + c;
      for (int v = 0; v < Vectors; ++v) std::memcpy(to + v * lanes, &sum[r][v], sizeof(V));
    }
  }
}

template <typename V, int Vectors, typename T>
void gradient_columns(int64_t rows, int64_t channels, int64_t middle, const T* y, const T* a,
                      bool add, int64_t c, T* grad_w, T* grad_bias) {
  constexpr int lanes = sizeof(V) / sizeof(T);
  for (int64_t first = 0; first < middle; first += kTileColumns) {
    V sum[kTileColumns][Vectors] = {};
    int64_t column[kTileColumns];
    for (int m = 0; m < kTileColumns; ++m) column[m] = std::min(first + m, middle - 1);
    for (int64_t r = 0; r < rows; ++r) {
      for (int v = 0; v < Vectors; ++v) {
        const V value = load<V>(a + r * channels + c + v * lanes);
        for (int m = 0; m < kTileColumns; ++m) sum[m][v] += value * y[r * middle + column[m]];
      }
    }
    for (int m = 0; m < std::min<int64_t>(kTileColumns, middle - first); ++m) {
      T* to = grad_w + column[m] * channels + c;
      for (int v = 0; v < Vectors; ++v) {
        if (add) sum[m][v] += load<V>(to + v * lanes);
        std::memcpy(to + v * lanes, &sum[m][v], sizeof(V));
      }
    }
  }
  if (grad_bias != nullptr) {
    V sum[Vectors] = {};
    for (int64_t r = 0; r < rows; ++r) {
      for (int v = 0; v < Vectors; ++v) sum[v] += load<V>(a + r * channels + c + v * lanes);
    }
    std::memcpy(grad_bias + c, sum, sizeof(sum));
  }
}

// Tiles of two vectors of columns; in the last one what is left.
template <typename T, typename Pair, typename Single>
void parallel_columns(int64_t channels, int64_t work, const Pair& pair, const Single& single) {
  constexpr int64_t size = 2 * kVectorBytes / sizeof(T);
  parallel_tiles(tiles_of(channels, size), work * size, [&](int64_t i) {
    if ((i + 1) * size <= channels) {
      pair(i * size);
    } else {
      for (int64_t c = i * size; c < channels; ++c) single(c);
    }
  });
}

}  // namespace

template <typename T>
void reduce_rows(int64_t rows, int64_t channels, int64_t middle, const T* a, const T* w,
                 const T* bias, T* out) {
  using V = typename VectorOf<T>::type;
  constexpr int lanes = kVectorBytes / sizeof(T);
  parallel_tiles(tiles_of(rows, kTileRows), kTileRows * channels * middle, [&](int64_t tile) {
    const T* in[kTileRows];
    T* to[kTileRows];
    for (int r = 0; r < kTileRows; ++r) {
      const int64_t row = std::min(tile * kTileRows + r, rows - 1);
      in[r] = a + row * channels;
      to[r] = out + row * middle;
    }
    for (int64_t first = 0; first < middle; first += kTileColumns) {
      V sum[kTileRows][kTileColumns] = {};
      const T* weights[kTileColumns];
      int64_t column[kTileColumns];
      for (int m = 0; m < kTileColumns; ++m) {
        column[m] = std::min(first + m, middle - 1);
        weights[m] = w + column[m] * channels;
      }
      int64_t c = 0;
      for (; c + lanes <= channels; c += lanes) {
        V value[kTileRows];
        for (int r = 0; r < kTileRows; ++r) value[r] = load<V>(in[r] + c);
        for (int m = 0; m < kTileColumns; ++m) {
          const V weight = load<V>(weights[m] + c);
          for (int r = 0; r < kTileRows; ++r) sum[r][m] += value[r] * weight;
        }
      }
      for (int r = 0; r < kTileRows; ++r) {
        for (int m = 0; m < kTileColumns; ++m) {
          T total = bias != nullptr ? bias[column[m]] : T(0);
          for (int64_t tail = c; tail < channels; ++tail) total += in[r][tail] * weights[m][tail];
          for (int half = lanes / 2; half > 0; half /= 2) {
            for (int i = 0; i < half; ++i) sum[r][m][i] += sum[r][m][i + half];
          }
          to[r][column[m]] = total + sum[r][m][0];
        }
      }
    }
  });
}

template <typename T>
void expand_rows(int64_t rows, int64_t channels, int64_t middle, const T* y, const T* w,
                 const T* bias, bool sigmoid, T* out) {
  using V = typename VectorOf<T>::type;
  constexpr int64_t size = 2 * kVectorBytes / sizeof(T);
  const auto finish = [&](int64_t c, int64_t count) {
    if (!sigmoid) return;
    for (int64_t r = 0; r < rows; ++r) sigmoid_in_place(count, out + r * channels + c);
  };
  parallel_columns<T>(
      channels, rows * middle,
      [&](int64_t c) {
        expand_columns<V, 2>(rows, channels, middle, y, w, bias, c, out);
        finish(c, size);
      },
      [&](int64_t c) {
        expand_columns<T, 1>(rows, channels, middle, y, w, bias, c, out);
        finish(c, 1);
      });
}

template <typename T>
void weight_gradient(int64_t rows, int64_t channels, int64_t middle, const T* y, const T* a,
                     bool add, T* grad_w, T* grad_bias) {
  using V = typename VectorOf<T>::type;
  parallel_columns<T>(
      channels, rows * middle,
      [&](int64_t c) {
        gradient_columns<V, 2>(rows, channels, middle, y, a, add, c, grad_w, grad_bias);
      },
      [&](int64_t c) {
        gradient_columns<T, 1>(rows, channels, middle, y, a, add, c, grad_w, grad_bias);
      });
}

template <typename T>
void transpose(int64_t rows, int64_t columns, const T* from, T* to) {
  constexpr int64_t size = 8;  // a tile's lines stay in the cache while it is turned
  for (int64_t r0 = 0; r0 < rows; r0 += size) {
    const int64_t r1 = std::min(r0 + size, rows);
    for (int64_t c = 0; c < columns; ++c) {
      for (int64_t r = r0; r < r1; ++r) to[c * rows + r] = from[r * columns + c];
    }
  }
}

#define MMCA_INSTANTIATE(T)                                                                     \
  template void reduce_rows<T>(int64_t, int64_t, int64_t, const T*, const T*, const T*, T*);    \
  template void expand_rows<T>(int64_t, int64_t, int64_t, const T*, const T*, const T*, bool,   \
                               T*);                                                             \
  template void weight_gradient<T>(int64_t, int64_t, int64_t, const T*, const T*, bool, T*,     \
                                   T*);                                                         \
  template void transpose<T>(int64_t, int64_t, const T*, T*);
MMCA_INSTANTIATE(float)
MMCA_INSTANTIATE(double)

}  // namespace mmca
