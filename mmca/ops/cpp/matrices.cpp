// Matrix products with 8 to 40 columns, which the large libraries are slow at.
#include "kernels.h"
#include "vectors.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <memory>

namespace mmca {
namespace {

constexpr int kRows = kVectorBytes == 64 ? 4 : 3;  // of a product that registers hold at once

// The last tile of rows repeats the last row: it computes and writes the same numbers again.
template <typename T>
struct RowTile {
  RowTile(int64_t tile, int64_t rows) {
    for (int r = 0; r < kRows; ++r) row[r] = std::min(tile * kRows + r, rows - 1);
  }
  int64_t row[kRows];
};

// Room for the turned weights of one piece, if they are to be turned.
template <typename T>
struct Turned : std::unique_ptr<T[]> {
  Turned(bool wanted, int64_t middle, int64_t size)
      : std::unique_ptr<T[]>(wanted ? new T[middle * std::min<int64_t>(size, 4 * kFull<T>)]
                                    : nullptr) {}
};

template <typename F>
void parallel_row_tiles(int64_t rows, int64_t work, const F& f) {
  const int64_t grain = std::max<int64_t>(1, 262144 / std::max<int64_t>(1, kRows * work));
  at::parallel_for(0, (rows + kRows - 1) / kRows, grain, [&](int64_t begin, int64_t end) {
    for (int64_t tile = begin; tile < end; ++tile) f(tile);
  });
}

template <typename P, typename T>
void expand_piece(P piece, int64_t rows, int64_t channels, int64_t middle, const T* y, const T* w,
                  int64_t stride, const T* bias, bool sigmoid, T* out) {
  using V = typename P::V;
  constexpr int count = P::kCount;
  V start[count] = {};
  for (int k = 0; bias != nullptr && k < count; ++k) start[k] = piece.load_from(bias, k);
  for (int64_t first = 0; first < rows; first += kRows) {
    V total[kRows][count];
    const T* in[kRows];
    for (int r = 0; r < kRows; ++r) {
      in[r] = y + std::min(first + r, rows - 1) * middle;
      for (int k = 0; k < count; ++k) total[r][k] = start[k];
    }
    for (int64_t m = 0; m < middle; ++m) {
      for (int k = 0; k < count; ++k) {
        const V weight = piece.load_from(w + m * stride, k);
        for (int r = 0; r < kRows; ++r) total[r][k] += weight * in[r][m];
      }
    }
    for (int r = 0; r < kRows; ++r) {
      for (int k = 0; k < count; ++k) {
        if (sigmoid) total[r][k] = T(1) / (T(1) + exponential<P::kLanes>(-total[r][k]));
        piece.store_to(out + std::min(first + r, rows - 1) * channels, k, total[r][k]);
      }
    }
  }
}

// `kGroup` rows of the gradient at once: each reads the whole of a.
template <typename P, typename T>
void gradient_piece(P piece, int64_t rows, int64_t channels, int64_t middle, const T* y,
                    const T* a, int64_t stride, T* grad_w, T* grad_bias) {
  using V = typename P::V;
  constexpr int count = P::kCount, kGroup = kRows == 4 ? 4 : 2;
  for (int64_t first = 0; first < middle; first += kGroup) {
    V total[kGroup][count] = {}, plain[count] = {};
    int64_t row[kGroup];
    for (int m = 0; m < kGroup; ++m) row[m] = std::min(first + m, middle - 1);
    for (int64_t r = 0; r < rows; ++r) {
      for (int k = 0; k < count; ++k) {
        const V value = piece.load_from(a + r * channels, k);
        plain[k] += value;
        for (int m = 0; m < kGroup; ++m) total[m][k] += value * y[r * middle + row[m]];
      }
    }
    for (int k = 0; k < count; ++k) {
      for (int m = 0; m < kGroup; ++m) piece.store_to(grad_w + row[m] * stride, k, total[m][k]);
      if (grad_bias != nullptr) piece.store_to(grad_bias, k, plain[k]);
    }
  }
}

}  // namespace

template <typename T>
void reduce_rows(int64_t rows, int64_t channels, int64_t middle, int64_t begin, int64_t size,
                 const T* a, const T* w, const T* bias, T* out) {
  constexpr int lanes = kFull<T>, kColumns = 4;
  using V = Vector<T, lanes>;
  parallel_row_tiles(rows, size * middle, [=](int64_t tile) {
    const RowTile<T> tiled(tile, rows);
    for (int64_t first = 0; first < middle; first += kColumns) {
      V total[kRows][kColumns] = {};
      int64_t column[kColumns];
      for (int m = 0; m < kColumns; ++m) column[m] = std::min(first + m, middle - 1);
      int64_t c = begin;
      for (; c + lanes <= begin + size; c += lanes) {
        V value[kRows];
        for (int r = 0; r < kRows; ++r) value[r] = load<lanes>(a + tiled.row[r] * channels + c);
        for (int m = 0; m < kColumns; ++m) {
          const V weight = load<lanes>(w + column[m] * channels + c);
          for (int r = 0; r < kRows; ++r) total[r][m] += value[r] * weight;
        }
      }
      for (int r = 0; r < kRows; ++r) {
        for (int m = 0; m < kColumns; ++m) {
          T tail = bias == nullptr ? T(0) : bias[column[m]];
          for (int64_t i = c; i < begin + size; ++i) {
            tail += a[tiled.row[r] * channels + i] * w[column[m] * channels + i];
          }
          out[tiled.row[r] * middle + column[m]] = tail + sum<T, lanes>(total[r][m]);
        }
      }
    }
  });
}

template <typename T>
void reduce_sigmoid_gradient(int64_t rows, int64_t channels, int64_t middle, const T* g,
                             const T* gate, const T* w, T* before, T* out) {
  parallel_row_tiles(rows, channels * middle, [=](int64_t tile) {
    const RowTile<T> tiled(tile, rows);
    const T* in[kRows];
    for (int r = 0; r < kRows; ++r) {
      const int64_t at = tiled.row[r] * channels;
      in[r] = before + at;
#pragma omp simd
      for (int64_t c = 0; c < channels; ++c) {
        before[at + c] = g[at + c] * gate[at + c] * (T(1) - gate[at + c]);
      }
    }
    over_pieces<T>(0, middle, [&](const auto& found) {
      const auto piece = found;
      using P = std::decay_t<decltype(piece)>;
      typename P::V total[kRows][P::kCount] = {};
      for (int64_t c = 0; c < channels; ++c) {
        for (int k = 0; k < P::kCount; ++k) {
          const auto weight = piece.load_from(w + c * middle + piece.begin, k);
          for (int r = 0; r < kRows; ++r) total[r][k] += weight * in[r][c];
        }
      }
      for (int r = 0; r < kRows; ++r) {
        for (int k = 0; k < P::kCount; ++k) {
          piece.store_to(out + tiled.row[r] * middle + piece.begin, k, total[r][k]);
        }
      }
    });
  });
}

template <typename T>
void expand_columns(int64_t rows, int64_t channels, int64_t middle, int64_t begin, int64_t size,
                    const T* y, const T* w, bool turned, const T* bias, bool sigmoid, T* out) {
  const Turned<T> own(turned, middle, size);
  over_pieces<T>(begin, size, [&](const auto& piece) {
    const T* weights = w + piece.begin;
    if (turned) {
      turn<T>(piece.size, middle, w + piece.begin * middle, middle, own.get(), piece.size);
      weights = own.get();
    }
    expand_piece(piece, rows, channels, middle, y, weights, turned ? piece.size : channels,
                 bias == nullptr ? bias : bias + piece.begin, sigmoid, out + piece.begin);
  });
}

template <typename T>
void weight_gradient(int64_t rows, int64_t channels, int64_t middle, int64_t begin, int64_t size,
                     const T* y, const T* a, bool turned, T* grad_w, T* grad_bias) {
  const Turned<T> own(turned, middle, size);
  over_pieces<T>(begin, size, [&](const auto& piece) {
    gradient_piece(piece, rows, channels, middle, y, a + piece.begin,
                   turned ? piece.size : channels, turned ? own.get() : grad_w + piece.begin,
                   grad_bias == nullptr ? grad_bias : grad_bias + piece.begin);
    if (!turned) return;
    turn<T>(middle, piece.size, own.get(), piece.size, grad_w + piece.begin * middle, middle);
  });
}

#define MMCA_INSTANTIATE(T)                                                                      \
  template void reduce_rows<T>(int64_t, int64_t, int64_t, int64_t, int64_t, const T*, const T*,  \
                               const T*, T*);                                                    \
  template void reduce_sigmoid_gradient<T>(int64_t, int64_t, int64_t, const T*, const T*,        \
                                           const T*, T*, T*);                                    \
  template void expand_columns<T>(int64_t, int64_t, int64_t, int64_t, int64_t, const T*,         \
                                  const T*, bool, const T*, bool, T*);                           \
  template void weight_gradient<T>(int64_t, int64_t, int64_t, int64_t, int64_t, const T*,        \
                                   const T*, bool, T*, T*);
MMCA_INSTANTIATE(float)
MMCA_INSTANTIATE(double)

}  // namespace mmca
