// The passes over a channels_last map that sum: rows of pixels, each with all its channels.
#pragma once

#include "vectors.h"

#include <ATen/Parallel.h>

#include <memory>

namespace mmca {

// Into how many blocks an image's rows are divided; only the shape decides.
inline int64_t row_blocks(int64_t height) { return height < 7 ? 1 : (height < 28 ? 2 : 4); }

// to = scale * the sum of the blocks' sums, at most 4, of the numbers from `first` to `last`.
template <typename A>
void add_blocks(int64_t blocks, int64_t profile, int64_t first, int64_t last, A scale,
                const A* from, A* __restrict to) {
#pragma omp simd
  for (int64_t i = first; i < last; ++i) {
    A total = from[i];
    if (blocks > 1) total += from[profile + i];
    if (blocks > 2) total += from[2 * profile + i];
    if (blocks > 3) total += from[3 * profile + i];
    to[i] = total * scale;
  }
}

// Calls f(first row, last row, image, where the sums over these rows go) in parallel, and then
// makes of these sums, (W, C) each, those over the image, scaled.
template <typename A, typename F>
void parallel_row_blocks(const Shape& s, A scale, A* sums, const F& f) {
  const int64_t blocks = s.images >= 8 ? 1 : row_blocks(s.height);
  const int64_t rows = (s.height + blocks - 1) / blocks, profile = s.width * s.channels;
  std::unique_ptr<A[]> partial(blocks == 1 ? nullptr : new A[s.images * blocks * profile]);
  at::parallel_for(0, s.images * blocks, 1, [&](int64_t begin, int64_t end) {
    for (int64_t task = begin; task < end; ++task) {
      const int64_t n = task / blocks, first = task % blocks * rows;
      A* __restrict to = (blocks == 1 ? sums : partial.get()) + task * profile;
      f(first, std::min(first + rows, s.height), n, to);
      if (blocks > 1) continue;
#pragma omp simd
      for (int64_t i = 0; i < profile; ++i) to[i] *= scale;
    }
  });
  if (blocks == 1) return;
  at::parallel_for(0, s.images * profile, 16384, [&](int64_t begin, int64_t end) {
    for (int64_t n = begin / profile; n * profile < end; ++n) {
      const int64_t first = std::max<int64_t>(0, begin - n * profile);
      const int64_t last = std::min(profile, end - n * profile);
      add_blocks(blocks, profile, first, last, scale, partial.get() + n * blocks * profile,
                 sums + n * profile);
    }
  });
}

// Calls f(whether this is the first row, known to the compiler; row).
template <typename F>
void over_rows(int64_t first, int64_t last, const F& f) {
  f(std::true_type(), first);
  for (int64_t row = first + 1; row < last; ++row) f(std::false_type(), row);
}

// Arguments of the functions for one piece come by value: what a store might change, seen through
// a reference, would be read again for each vector.

// Adds a row of pixels to `sums`, which the first one sets, and sets `to` to their mean.
template <bool first, EntryKind kind, typename P, typename T>
void pool_pixels(P piece, int64_t width, int64_t channels, T* x, Entry<Wide<T>> entry, Wide<T>* to,
                 Wide<T>* sums) {
  typename P::V row[P::kCount] = {}, added[P::kCount], value[P::kCount];
  typename P::V scale[P::kCount] = {}, shift[P::kCount] = {};
  for (int k = 0; kind == EntryKind::affine && k < P::kCount; ++k) {
    scale[k] = piece.load_from(entry.scale + piece.begin, k);
    shift[k] = piece.load_from(entry.shift + piece.begin, k);
  }
  T* in = x + piece.begin;
  Wide<T>* column = sums + piece.begin;
  for (int64_t w = 0; w < width; ++w, in += channels, column += channels) {
    // All is read before any is written: vectors may overlap.
    for (int k = 0; k < P::kCount; ++k) value[k] = piece.load_from(in, k);
    for (int k = 0; k < P::kCount; ++k) {
      if (kind != EntryKind::none) {
        piece.store_to(in, k, enter<kind>(value[k], scale[k], shift[k]));
        value[k] = piece.load_from(in, k);  // as rounded
      }
      row[k] += value[k];
      added[k] = first ? value[k] : piece.load_from(column, k) + value[k];
    }
    for (int k = 0; k < P::kCount; ++k) piece.store_to(column, k, added[k]);
  }
  const Wide<T> over_w = Wide<T>(1) / width;
  for (int k = 0; k < P::kCount; ++k) piece.store_to(to + piece.begin, k, row[k] * over_w);
}

// The same of several rows: those of the map from `first` to `last`, of whatever image.
template <typename T>
void pool_rows(const Shape& s, int64_t first, int64_t last, T* x, const Entry<Wide<T>>& entry,
               Wide<T>* pool_h, Wide<T>* sums) {
  with_kind(entry, [&](auto kind) {
    over_rows(first, last, [&](auto is_first, int64_t row) {
      over_blocks<Wide<T>>(s.channels, [&](const auto& piece) {
        pool_pixels<decltype(is_first)::value, decltype(kind)::value>(
            piece, s.width, s.channels, x + row * s.width * s.channels, entry,
            pool_h + row * s.channels, sums);
      });
    });
  });
}

template <typename T>
void dual_pool_of_pixels(const Shape& s, T* x, const Entry<Wide<T>>& entry, Wide<T>* pool_h,
                         Wide<T>* pool_w) {
  using A = Wide<T>;
  const A over_h = A(1) / s.height;
  parallel_row_blocks<A>(s, over_h, pool_w, [&](int64_t first, int64_t last, int64_t n, A* sums) {
    pool_rows(s, n * s.height + first, n * s.height + last, x, entry, pool_h, sums);
  });
}

// Pixel after pixel: new memory is filled in the order in which it lies. out may be x.
template <typename T>
void gate_rows(const Shape& s, int64_t first, int64_t last, const T* x, const Wide<T>* gate_h,
               const Wide<T>* gate_w, T* out) {
  using A = Wide<T>;
  const int64_t channels = s.channels, size = s.width * channels;
  for (int64_t row = first; row < last; ++row) {
    const A* const by_h = gate_h + row * channels;
    for (int64_t at = 0; at < size; at += channels) {
      const T* const in = x + row * size + at;
      T* const to = out + row * size + at;
      const A* const by_w = gate_w + row / s.height * size + at;
      over_vectors<A>(channels, [=](auto count, int64_t c) {
        constexpr int lanes = decltype(count)::value;
        store<lanes>(to + c, load<lanes>(in + c) * load<lanes>(by_w + c) * load<lanes>(by_h + c));
      });
    }
  }
}

// Of a row of pixels; out may be g. What the pools' gradients add is scaled by `over_w`, `over_h`.
template <bool clamped, typename P, typename T>
void input_gradient_of_row(P piece, int64_t width, int64_t channels, const T* g,
                           const Wide<T>* gate_h, const Wide<T>* gate_w,
                           const Wide<T>* grad_pool_h, const Wide<T>* grad_pool_w, Wide<T> over_w,
                           Wide<T> over_h, const T* x, T* out) {
  typename P::V by_h[P::kCount], add_h[P::kCount], value[P::kCount];
  for (int k = 0; k < P::kCount; ++k) {
    by_h[k] = piece.load_from(gate_h + piece.begin, k);
    add_h[k] = piece.load_from(grad_pool_h + piece.begin, k) * over_w;
  }
  int64_t at = piece.begin;
  for (int64_t w = 0; w < width; ++w, at += channels) {
    for (int k = 0; k < P::kCount; ++k) {
      const auto added = add_h[k] + piece.load_from(grad_pool_w + at, k) * over_h;
      value[k] = piece.load_from(g + at, k) * piece.load_from(gate_w + at, k) * by_h[k] + added;
      if (clamped) value[k] = leave<true>(value[k], piece.load_from(x + at, k));
    }
    for (int k = 0; k < P::kCount; ++k) piece.store_to(out + at, k, value[k]);
  }
}

template <bool clamped, typename T>
void input_gradient_of_rows(const Shape& s, int64_t first, int64_t last, const T* g,
                            const Wide<T>* gate_h, const Wide<T>* gate_w,
                            const Wide<T>* grad_pool_h, const Wide<T>* grad_pool_w, const T* x,
                            T* out) {
  using A = Wide<T>;
  const int64_t size = s.width * s.channels;
  for (int64_t row = first; row < last; ++row) {
    const int64_t at = row * size, at_h = row * s.channels, at_w = row / s.height * size;
    over_blocks<A>(s.channels, [&](const auto& piece) {
      input_gradient_of_row<clamped>(piece, s.width, s.channels, g + at, gate_h + at_h,
                                     gate_w + at_w, grad_pool_h + at_h, grad_pool_w + at_w,
                                     A(1) / s.width, A(1) / s.height, clamped ? x + at : x,
                                     out + at);
    });
  }
}

// Of a row of pixels: sets grad_h, and the output if wanted, and adds to grad_w, which the first
// one sets.
template <bool first, bool with_output, typename P, typename T>
void gate_gradients_of_row(P piece, int64_t width, int64_t channels, const T* g, const T* x,
                           const Wide<T>* gate_h, const Wide<T>* gate_w, Wide<T>* grad_h,
                           Wide<T>* grad_w, T* out) {
  using V = typename P::V;
  V by_h[P::kCount], row[P::kCount] = {};
  for (int k = 0; k < P::kCount; ++k) by_h[k] = piece.load_from(gate_h + piece.begin, k);
  for (int64_t w = 0; w < width; ++w) {
    const int64_t at = w * channels + piece.begin;
    V gated[P::kCount], added[P::kCount];
    for (int k = 0; k < P::kCount; ++k) {
      const V value = piece.load_from(x + at, k), by_w = piece.load_from(gate_w + at, k);
      const V product = piece.load_from(g + at, k) * value;
      row[k] += product * by_w;
      added[k] = product * by_h[k];
      if (!first) added[k] += piece.load_from(grad_w + at, k);
      gated[k] = value * by_w * by_h[k];
    }
    for (int k = 0; k < P::kCount; ++k) {
      piece.store_to(grad_w + at, k, added[k]);
      if (with_output) piece.store_to(out + at, k, gated[k]);
    }
  }
  for (int k = 0; k < P::kCount; ++k) piece.store_to(grad_h + piece.begin, k, row[k]);
}

template <bool with_output, typename T>
void gate_gradients_of_pixels(const Shape& s, const T* g, const T* x, const Wide<T>* gate_h,
                              const Wide<T>* gate_w, Wide<T>* grad_h, Wide<T>* grad_w, T* out) {
  using A = Wide<T>;
  parallel_row_blocks<A>(s, A(1), grad_w, [&](int64_t first, int64_t last, int64_t n, A* sums) {
    over_rows(n * s.height + first, n * s.height + last, [&](auto is_first, int64_t row) {
      const int64_t at = row * s.width * s.channels, profile = row * s.channels;
      over_blocks<A>(s.channels, [&](const auto& piece) {
        gate_gradients_of_row<decltype(is_first)::value, with_output>(
            piece, s.width, s.channels, g + at, x + at, gate_h + profile,
            gate_w + n * s.width * s.channels, grad_h + profile, sums,
            with_output ? out + at : out);
      });
    });
  });
}

}  // namespace mmca
