// The passes over an NCHW map, a plane (one channel of one image) at a time. The plane's profiles
// are columns of theirs: their numbers lie C apart.
#pragma once

#include "vectors.h"

#include <ATen/Parallel.h>

namespace mmca {

// Sizes of a plane; passed by value, as all that the loops need: what a store might change, seen
// through a reference, would be read again for each vector.
struct Plane {
  int64_t height, width, stride;
};

// What belongs to a piece of each row, from a profile along the width; scaled.
template <typename P, typename A>
inline void gather(const P& piece, int64_t stride, const A* profile, A scale,
                   typename P::V (&to)[P::kCount]) {
  A line[4 * kFull<A>];
  for (int64_t i = 0; i < piece.size; ++i) line[i] = profile[(piece.begin + i) * stride] * scale;
  for (int k = 0; k < P::kCount; ++k) to[k] = piece.load_from(line, k);
}

template <typename P, typename A>
inline void scatter(const P& piece, int64_t stride, const typename P::V (&from)[P::kCount],
                    A scale, A* profile) {
  A line[4 * kFull<A>];
  for (int k = 0; k < P::kCount; ++k) piece.store_to(line, k, from[k]);
  for (int64_t i = 0; i < piece.size; ++i) profile[(piece.begin + i) * stride] = line[i] * scale;
}

// A row's number is the sum over its pieces.
template <typename P, typename A>
inline void add_row(const P& piece, A value, A* to) {
  *to = piece.begin == 0 ? value : *to + value;
}

template <EntryKind kind, typename P, typename T>
void pool_piece(P piece, Plane plane, T* x, Wide<T> scale, Wide<T> shift, Wide<T>* pool_h,
                Wide<T>* pool_w) {
  using A = Wide<T>;
  using V = typename P::V;
  const A over_w = A(1) / plane.width, over_h = A(1) / plane.height;
  V column[P::kCount] = {}, value[P::kCount];
  T* in = x + piece.begin;
  for (int64_t h = 0; h < plane.height; ++h, in += plane.width) {
    V row = {};
    // All is read before any is written: vectors overlap.
    for (int k = 0; k < P::kCount; ++k) value[k] = piece.load_from(in, k);
    for (int k = 0; k < P::kCount; ++k) {
      if (kind != EntryKind::none) {
        piece.store_to(in, k, enter<kind>(value[k], scale, shift));
        value[k] = piece.load_from(in, k);  // as rounded
      }
      column[k] += value[k];
      row += k == 0 ? value[k] : value[k] * piece.fresh[k];
    }
    add_row(piece, sum<A, P::kLanes>(row) * over_w, pool_h + h * plane.stride);
  }
  scatter(piece, plane.stride, column, over_h, pool_w);
}

template <typename P, typename T>
void gate_piece(P piece, Plane plane, const T* x, const Wide<T>* gate_h, const Wide<T>* gate_w,
                T* out) {
  typename P::V by_w[P::kCount], value[P::kCount];
  gather(piece, plane.stride, gate_w, Wide<T>(1), by_w);
  for (int64_t h = 0; h < plane.height; ++h) {
    const int64_t at = h * plane.width + piece.begin;
    const Wide<T> by_h = gate_h[h * plane.stride];
    // All is read before any is written: vectors overlap, and out may be x.
    for (int k = 0; k < P::kCount; ++k) value[k] = piece.load_from(x + at, k);
    for (int k = 0; k < P::kCount; ++k) piece.store_to(out + at, k, value[k] * by_w[k] * by_h);
  }
}

template <bool with_output, typename P, typename T>
void gate_gradients_of_piece(P piece, Plane plane, const T* g, const T* x, const Wide<T>* gate_h,
                             const Wide<T>* gate_w, Wide<T>* grad_h, Wide<T>* grad_w, T* out) {
  using A = Wide<T>;
  typename P::V by_w[P::kCount], column[P::kCount] = {};
  gather(piece, plane.stride, gate_w, A(1), by_w);
  for (int64_t h = 0; h < plane.height; ++h) {
    const int64_t at = h * plane.width + piece.begin;
    const A by_h = gate_h[h * plane.stride];
    typename P::V row = {};
    for (int k = 0; k < P::kCount; ++k) {
      const auto value = piece.load_from(x + at, k);
      const auto product = piece.load_from(g + at, k) * value;
      const auto gated = product * by_w[k];
      row += k == 0 ? gated : gated * piece.fresh[k];
      column[k] += product * by_h;
      if (with_output) piece.store_to(out + at, k, value * by_w[k] * by_h);
    }
    add_row(piece, sum<A, P::kLanes>(row), grad_h + h * plane.stride);
  }
  scatter(piece, plane.stride, column, A(1), grad_w);
}

template <bool clamped, typename P, typename T>
void input_gradient_of_piece(P piece, Plane plane, const T* g, const Wide<T>* gate_h,
                             const Wide<T>* gate_w, const Wide<T>* grad_pool_h,
                             const Wide<T>* grad_pool_w, const T* x, T* out) {
  using A = Wide<T>;
  const A over_w = A(1) / plane.width, over_h = A(1) / plane.height;
  typename P::V by_w[P::kCount], add_w[P::kCount], value[P::kCount];
  gather(piece, plane.stride, gate_w, A(1), by_w);
  gather(piece, plane.stride, grad_pool_w, over_h, add_w);
  for (int64_t h = 0; h < plane.height; ++h) {
    const int64_t at = h * plane.width + piece.begin;
    const A by_h = gate_h[h * plane.stride], add_h = grad_pool_h[h * plane.stride] * over_w;
    for (int k = 0; k < P::kCount; ++k) value[k] = piece.load_from(g + at, k);
    for (int k = 0; k < P::kCount; ++k) {
      const typename P::V gradient = value[k] * by_w[k] * by_h + (add_h + add_w[k]);
      const auto before = clamped ? piece.load_from(x + at, k) : gradient;
      piece.store_to(out + at, k, leave<clamped>(gradient, before));
    }
  }
}

// Calls f(piece, plane's sizes, channel, offset of the plane, of its profiles along the height and
// along the width).
template <typename A, typename F>
void parallel_planes(const Shape& s, const F& f) {
  const Plane sizes{s.height, s.width, s.channels};
  const int64_t size = s.height * s.width;
  const int64_t grain = std::max<int64_t>(1, 8192 / std::max<int64_t>(1, size));
  at::parallel_for(0, s.images * s.channels, grain, [&](int64_t begin, int64_t end) {
    over_pieces<A>(0, s.width, [&](const auto& part) {
      const SummedPiece piece(part);
      for (int64_t plane = begin; plane < end; ++plane) {
        const int64_t n = plane / s.channels, c = plane % s.channels;
        f(piece, sizes, c, plane * size, n * s.height * s.channels + c,
          n * s.width * s.channels + c);
      }
    });
  });
}

}  // namespace mmca
