// The passes over a channels_last map: rows of W positions, each with all its channels.
#pragma once

#include "map.h"

namespace mmca::channels_last {

// Into how many parts an image's rows are divided; only the shape decides.
inline int64_t row_parts(int64_t height) { return height < 7 ? 1 : (height < 28 ? 2 : 4); }

// to = scale * the sum of the parts' sums, at most 4, of the numbers from `first` to `last`.
inline void add_parts(int64_t parts, int64_t size, int64_t first, int64_t last, float scale,
                      const float* from, float* __restrict to) {
#pragma omp simd
  for (int64_t i = first; i < last; ++i) {
    float total = from[i];
    if (parts > 1) total += from[size + i];
    if (parts > 2) total += from[2 * size + i];
    if (parts > 3) total += from[3 * size + i];
    to[i] = total * scale;
  }
}

// Calls f(first row, last row, image, where the sums over these rows go) in parallel, and then
// makes of these sums, (W, C) each, those over the image, scaled.
template <typename F>
void over_row_parts(const Shape& s, float scale, float* sums, const F& f) {
  const int64_t parts = s.images >= 8 ? 1 : row_parts(s.height);
  const int64_t rows = (s.height + parts - 1) / parts, size = s.width * s.channels;
  const Buffer partial(parts == 1 ? 0 : s.images * parts * size);
  at::parallel_for(0, s.images * parts, 1, [&](int64_t begin, int64_t end) {
    for (int64_t task = begin; task < end; ++task) {
      const int64_t n = task / parts, first = task % parts * rows;
      float* __restrict to = (parts == 1 ? sums : partial) + task * size;
      f(first, std::min(first + rows, s.height), n, to);
      if (parts > 1) continue;
#pragma omp simd
      for (int64_t i = 0; i < size; ++i) to[i] *= scale;
    }
  });
  if (parts == 1) return;
  at::parallel_for(0, s.images * size, 16384, [&](int64_t begin, int64_t end) {
    for (int64_t n = begin / size; n * size < end; ++n) {
      const int64_t first = std::max<int64_t>(0, begin - n * size);
      const int64_t last = std::min(size, end - n * size);
      add_parts(parts, size, first, last, scale, partial + n * parts * size, sums + n * size);
    }
  });
}

// Calls f(whether this is the first row, known to the compiler; row).
template <typename F>
void over_rows(int64_t first, int64_t last, const F& f) {
  f(std::true_type(), first);
  for (int64_t row = first + 1; row < last; ++row) f(std::false_type(), row);
}

// Arguments of the functions for one segment come by value: what a store might change, seen through
// a reference, would be read again for each vector.

// Adds a row's positions to `sums`, which the first row sets, and sets `to` to their mean.
template <bool first, PrologueKind kind, typename S, typename T>
void pool_row(S segment, int64_t width, int64_t channels, T* x, Affine norm, float* to,
              float* sums) {
  typename S::V row[S::kCount] = {}, added[S::kCount], value[S::kCount];
  typename S::V scale[S::kCount] = {}, shift[S::kCount] = {};
  for (int k = 0; kHasNorm<kind> && k < S::kCount; ++k) {
    scale[k] = segment.load_from(norm.scale + segment.begin, k);
    shift[k] = segment.load_from(norm.shift + segment.begin, k);
  }
  T* in = x + segment.begin;
  float* column = sums + segment.begin;
  for (int64_t w = 0; w < width; ++w, in += channels, column += channels) {
    // All is read before any is written: vectors may overlap.
    for (int k = 0; k < S::kCount; ++k) value[k] = segment.load_from(in, k);
    for (int k = 0; k < S::kCount; ++k) {
      if (kind != PrologueKind::none) {
        segment.store_to(in, k, apply_prologue<kind>(value[k], scale[k], shift[k]));
        value[k] = segment.load_from(in, k);  // as rounded
      }
      row[k] += value[k];
      added[k] = first ? value[k] : segment.load_from(column, k) + value[k];
    }
    for (int k = 0; k < S::kCount; ++k) segment.store_to(column, k, added[k]);
  }
  const float over_w = 1.f / width;
  for (int k = 0; k < S::kCount; ++k) segment.store_to(to + segment.begin, k, row[k] * over_w);
}

// The same of several rows: those of the map from `first` to `last`, of whatever image.
template <PrologueKind kind, typename T>
void pool_rows(const Shape& s, int64_t first, int64_t last, T* x, Affine norm, float* pool_h,
               float* sums) {
  over_rows(first, last, [&](auto is_first, int64_t row) {
    over_full_segments(s.channels, [&](const auto& segment) {
      pool_row<decltype(is_first)::value, kind>(segment, s.width, s.channels,
                                                x + row * s.width * s.channels, norm,
                                                pool_h + row * s.channels, sums);
    });
  });
}

// Position after position: new memory is filled in the order in which it lies. out may be x.
template <typename T>
void gate_rows(const Shape& s, int64_t first, int64_t last, const T* x, Profiles gates, T* out) {
  const int64_t channels = s.channels, size = s.width * channels;
  for (int64_t row = first; row < last; ++row) {
    const float* const by_h = gates.h + row * channels;
    for (int64_t at = 0; at < size; at += channels) {
      const T* const in = x + row * size + at;
      T* const to = out + row * size + at;
      const float* const by_w = gates.w + row / s.height * size + at;
      over_full_segments(channels, [=](auto segment) {
        using S = decltype(segment);
        typename S::V value[S::kCount];
        for (int k = 0; k < S::kCount; ++k) {
          value[k] = segment.load_from(in + segment.begin, k) *
                     segment.load_from(by_w + segment.begin, k) *
                     segment.load_from(by_h + segment.begin, k);
        }
        for (int k = 0; k < S::kCount; ++k) segment.store_to(to + segment.begin, k, value[k]);
      });
    }
  }
}

// Of a row: sets grad_h, and the output if asked for, and adds to grad_w, which the first row sets.
template <bool first, bool with_output, typename S, typename T>
void gate_gradients_of_row(S segment, int64_t width, int64_t channels, const T* g, const T* x,
                           Profiles gates, Profiles to, T* out) {
  using V = typename S::V;
  V by_h[S::kCount], row[S::kCount] = {};
  for (int k = 0; k < S::kCount; ++k) by_h[k] = segment.load_from(gates.h + segment.begin, k);
  for (int64_t w = 0; w < width; ++w) {
    const int64_t at = w * channels + segment.begin;
    V gated[S::kCount], added[S::kCount];
    for (int k = 0; k < S::kCount; ++k) {
      const V value = segment.load_from(x + at, k), by_w = segment.load_from(gates.w + at, k);
      const V product = segment.load_from(g + at, k) * value;
      row[k] += product * by_w;
      added[k] = product * by_h[k];
      if (!first) added[k] += segment.load_from(to.w + at, k);
      gated[k] = value * by_w * by_h[k];
    }
    for (int k = 0; k < S::kCount; ++k) {
      segment.store_to(to.w + at, k, added[k]);
      if (with_output) segment.store_to(out + at, k, gated[k]);
    }
  }
  for (int k = 0; k < S::kCount; ++k) segment.store_to(to.h + segment.begin, k, row[k]);
}

// Of a row; out may be g. What the pools' gradients add is scaled by `over_w` and `over_h`.
template <bool has_relu6, typename S, typename T>
void input_gradient_of_row(S segment, int64_t width, int64_t channels, const T* g, Profiles gates,
                           Profiles grad_pools, float over_w, float over_h, const T* x, T* out) {
  typename S::V by_h[S::kCount], add_h[S::kCount], value[S::kCount];
  for (int k = 0; k < S::kCount; ++k) {
    by_h[k] = segment.load_from(gates.h + segment.begin, k);
    add_h[k] = segment.load_from(grad_pools.h + segment.begin, k) * over_w;
  }
  int64_t at = segment.begin;
  for (int64_t w = 0; w < width; ++w, at += channels) {
    for (int k = 0; k < S::kCount; ++k) {
      const auto added = add_h[k] + segment.load_from(grad_pools.w + at, k) * over_h;
      value[k] = segment.load_from(g + at, k) * segment.load_from(gates.w + at, k) * by_h[k];
      value[k] += added;
      if (has_relu6) value[k] = relu6_gradient<true>(value[k], segment.load_from(x + at, k));
    }
    for (int k = 0; k < S::kCount; ++k) segment.store_to(out + at, k, value[k]);
  }
}

}  // namespace mmca::channels_last
