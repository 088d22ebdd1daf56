// Matrix products with 8 to 40 columns, which the large libraries are slow at.
#pragma once

#include "simd.h"

#include <ATen/Parallel.h>

namespace mmca {

// On one side are rows of C numbers, on the other rows of `hidden` numbers. Of the C columns, `size`
// from `begin` on are meant; pointers are to whole rows.
struct Product {
  int64_t rows, channels, hidden, begin, size;

  Product part(int64_t from, int64_t some) const { return {rows, channels, hidden, from, some}; }
};

constexpr int kRows = kLanes == 16 ? 4 : 3;  // of a product that registers hold at once

// The last tile of rows repeats the last row: it computes and writes the same numbers again.
struct RowTile {
  RowTile(int64_t tile, int64_t rows) {
    for (int r = 0; r < kRows; ++r) row[r] = std::min(tile * kRows + r, rows - 1);
  }
  int64_t row[kRows];
};

template <typename F>
void over_row_tiles(const Product& p, const F& f) {
  const int64_t work = std::max<int64_t>(1, kRows * p.size * p.hidden);
  const int64_t grain = std::max<int64_t>(1, 262144 / work);
  at::parallel_for(0, (p.rows + kRows - 1) / kRows, grain, [&](int64_t begin, int64_t end) {
    for (int64_t tile = begin; tile < end; ++tile) f(RowTile(tile, p.rows));
  });
}

// Calls f(first column, number of columns) for tiles of them, in parallel.
template <typename F>
void over_column_tiles(const Product& p, const F& f) {
  constexpr int64_t kTile = 32;  // as many as keep a thread busy
  const int64_t work = std::max<int64_t>(1, p.rows * p.hidden * kTile);
  const int64_t tiles = (p.channels + kTile - 1) / kTile;
  at::parallel_for(0, tiles, std::max<int64_t>(1, 262144 / work), [&](int64_t i, int64_t end) {
    for (; i < end; ++i) f(i * kTile, std::min(kTile, p.channels - i * kTile));
  });
}

// out[r, m] = bias[m] + sum over the columns c of a[r, c] * w[m, c], bias being null for 0.
inline void reduce_columns(Product p, const float* a, const float* w, const float* bias,
                           float* out) {
  constexpr int kColumns = 4;
  using V = Vector<kLanes>;
  over_row_tiles(p, [=](const RowTile& tile) {
    for (int64_t first = 0; first < p.hidden; first += kColumns) {
      V total[kRows][kColumns] = {};
      int64_t column[kColumns];
      for (int m = 0; m < kColumns; ++m) column[m] = std::min(first + m, p.hidden - 1);
      int64_t c = p.begin;
      for (; c + kLanes <= p.begin + p.size; c += kLanes) {
        V value[kRows];
        for (int r = 0; r < kRows; ++r) value[r] = load<kLanes>(a + tile.row[r] * p.channels + c);
        for (int m = 0; m < kColumns; ++m) {
          const V weight = load<kLanes>(w + column[m] * p.channels + c);
          for (int r = 0; r < kRows; ++r) total[r][m] += value[r] * weight;
        }
      }
      for (int r = 0; r < kRows; ++r) {
        for (int m = 0; m < kColumns; ++m) {
          float rest = bias == nullptr ? 0.f : bias[column[m]];
          for (int64_t i = c; i < p.begin + p.size; ++i) {
            rest += a[tile.row[r] * p.channels + i] * w[column[m] * p.channels + i];
          }
          out[tile.row[r] * p.hidden + column[m]] = rest + sum<kLanes>(total[r][m]);
        }
      }
    }
  });
}

template <typename S>
void expand_segment(S segment, Product p, const float* y, const float* w, const float* bias,
                    bool with_sigmoid, float* out) {
  using V = typename S::V;
  constexpr int count = S::kCount;
  V start[count] = {};
  for (int k = 0; bias != nullptr && k < count; ++k) {
    start[k] = segment.load_from(bias + segment.begin, k);
  }
  for (int64_t first = 0; first < p.rows; first += kRows) {
    V total[kRows][count];
    const RowTile tile(first / kRows, p.rows);
    const float* in[kRows];
    for (int r = 0; r < kRows; ++r) {
      in[r] = y + tile.row[r] * p.hidden;
      for (int k = 0; k < count; ++k) total[r][k] = start[k];
    }
    for (int64_t m = 0; m < p.hidden; ++m) {
      for (int k = 0; k < count; ++k) {
        const V weight = segment.load_from(w + m * p.channels + segment.begin, k);
        for (int r = 0; r < kRows; ++r) total[r][k] += weight * in[r][m];
      }
    }
    for (int r = 0; r < kRows; ++r) {
      for (int k = 0; k < count; ++k) {
        if (with_sigmoid) total[r][k] = sigmoid<S::kWidth>(total[r][k]);
        segment.store_to(out + tile.row[r] * p.channels + segment.begin, k, total[r][k]);
      }
    }
  }
}

// out[r, c] = bias[c] + sum over m of y[r, m] * w[m, c], bias being null for 0, then a sigmoid if
// asked for.
inline void expand_columns(Product p, const float* y, const float* w, const float* bias,
                           bool with_sigmoid, float* out) {
  over_segments(p.begin, p.size, [&](const auto& segment) {
    expand_segment(segment, p, y, w, bias, with_sigmoid, out);
  });
}

// Several rows of the gradient at once: each reads the whole of a.
template <typename S>
void gradient_segment(S segment, Product p, const float* y, const float* a, float* grad_w,
                      float* grad_bias) {
  using V = typename S::V;
  constexpr int count = S::kCount, kGroup = kRows == 4 ? 4 : 2;
  for (int64_t first = 0; first < p.hidden; first += kGroup) {
    V total[kGroup][count] = {}, plain[count] = {};
    int64_t row[kGroup];
    for (int m = 0; m < kGroup; ++m) row[m] = std::min(first + m, p.hidden - 1);
    for (int64_t r = 0; r < p.rows; ++r) {
      for (int k = 0; k < count; ++k) {
        const V value = segment.load_from(a + r * p.channels + segment.begin, k);
        plain[k] += value;
        for (int m = 0; m < kGroup; ++m) total[m][k] += value * y[r * p.hidden + row[m]];
      }
    }
    for (int k = 0; k < count; ++k) {
      for (int m = 0; m < kGroup; ++m) {
        segment.store_to(grad_w + row[m] * p.channels + segment.begin, k, total[m][k]);
      }
      if (grad_bias != nullptr) segment.store_to(grad_bias + segment.begin, k, plain[k]);
    }
  }
}

// grad_w[m, c] = sum over r of y[r, m] * a[r, c], and unless grad_bias is null, grad_bias[c] = sum
// over r of a[r, c].
inline void weight_gradient(Product p, const float* y, const float* a, float* grad_w,
                            float* grad_bias) {
  over_segments(p.begin, p.size, [&](const auto& segment) {
    gradient_segment(segment, p, y, a, grad_w, grad_bias);
  });
}

}  // namespace mmca
