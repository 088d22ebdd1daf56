// The passes over an NCHW map, one channel of one image at a time: H * W numbers. Its
// profiles are columns of theirs, with numbers C apart.
#pragma once

#include "map.h"

namespace mmca::nchw {

// Sizes, and the distance of the profiles' numbers. By value, as all that the loops need: what a
// store might change, seen through a reference, would be read again each time.
struct Sizes {
  int64_t height, width, stride;
};

// What belongs to a segment of each row, from a profile along the width; scaled.
template <typename S>
inline void gather(const S& segment, int64_t stride, const float* profile, float scale,
                   typename S::V (&to)[S::kCount]) {
  float line[kSegment];
  profile += segment.begin * stride;
  for (int64_t i = 0; i < segment.size; ++i) line[i] = profile[i * stride] * scale;
  for (int k = 0; k < S::kCount; ++k) to[k] = segment.load_from(line, k);
}

template <typename S>
inline void scatter(const S& segment, int64_t stride, const typename S::V (&from)[S::kCount],
                    float scale, float* profile) {
  float line[kSegment];
  for (int k = 0; k < S::kCount; ++k) segment.store_to(line, k, from[k]);
  profile += segment.begin * stride;
  for (int64_t i = 0; i < segment.size; ++i) profile[i * stride] = line[i] * scale;
}

template <typename S>
inline void add_row(const S& segment, float value, float* to) {
  *to = segment.begin == 0 ? value : *to + value;
}

template <PrologueKind kind, typename S, typename T>
void pool(S segment, Sizes sizes, T* x, float scale, float shift, Profiles to) {
  using V = typename S::V;
  const float over_w = 1.f / sizes.width;
  V column[S::kCount] = {}, value[S::kCount];
  T* in = x + segment.begin;
  for (int64_t h = 0; h < sizes.height; ++h, in += sizes.width) {
    V row = {};
    // All is read before any is written: vectors overlap.
    for (int k = 0; k < S::kCount; ++k) value[k] = segment.load_from(in, k);
    for (int k = 0; k < S::kCount; ++k) {
      if (kind != PrologueKind::none) {
        segment.store_to(in, k, apply_prologue<kind>(value[k], scale, shift));
        value[k] = segment.load_from(in, k);  // as rounded
      }
      column[k] += value[k];
      row += k == 0 ? value[k] : value[k] * segment.once[k];
    }
    add_row(segment, sum<S::kWidth>(row) * over_w, to.h + h * sizes.stride);
  }
  scatter(segment, sizes.stride, column, 1.f / sizes.height, to.w);
}

template <typename S, typename T>
void gate(S segment, Sizes sizes, const T* x, Profiles gates, T* out) {
  typename S::V by_w[S::kCount], value[S::kCount];
  gather(segment, sizes.stride, gates.w, 1.f, by_w);
  for (int64_t h = 0; h < sizes.height; ++h) {
    const int64_t at = h * sizes.width + segment.begin;
    const float by_h = gates.h[h * sizes.stride];
    // All is read before any is written: vectors overlap, and out may be x.
    for (int k = 0; k < S::kCount; ++k) value[k] = segment.load_from(x + at, k);
    for (int k = 0; k < S::kCount; ++k) segment.store_to(out + at, k, value[k] * by_w[k] * by_h);
  }
}

template <bool with_output, typename S, typename T>
void gate_gradients(S segment, Sizes sizes, const T* g, const T* x, Profiles gates, Profiles to,
                    T* out) {
  typename S::V by_w[S::kCount], column[S::kCount] = {};
  gather(segment, sizes.stride, gates.w, 1.f, by_w);
  for (int64_t h = 0; h < sizes.height; ++h) {
    const int64_t at = h * sizes.width + segment.begin;
    const float by_h = gates.h[h * sizes.stride];
    typename S::V row = {};
    for (int k = 0; k < S::kCount; ++k) {
      const auto value = segment.load_from(x + at, k);
      const auto product = segment.load_from(g + at, k) * value;
      const auto gated = product * by_w[k];
      row += k == 0 ? gated : gated * segment.once[k];
      column[k] += product * by_h;
      if (with_output) segment.store_to(out + at, k, value * by_w[k] * by_h);
    }
    add_row(segment, sum<S::kWidth>(row), to.h + h * sizes.stride);
  }
  scatter(segment, sizes.stride, column, 1.f, to.w);
}

template <bool has_relu6, typename S, typename T>
void input_gradient(S segment, Sizes sizes, const T* g, Profiles gates, Profiles grad_pools,
                    const T* x, T* out) {
  const float over_w = 1.f / sizes.width, over_h = 1.f / sizes.height;
  typename S::V by_w[S::kCount], add_w[S::kCount], value[S::kCount];
  gather(segment, sizes.stride, gates.w, 1.f, by_w);
  gather(segment, sizes.stride, grad_pools.w, over_h, add_w);
  for (int64_t h = 0; h < sizes.height; ++h) {
    const int64_t at = h * sizes.width + segment.begin;
    const float by_h = gates.h[h * sizes.stride];
    const float add_h = grad_pools.h[h * sizes.stride] * over_w;
    for (int k = 0; k < S::kCount; ++k) value[k] = segment.load_from(g + at, k);
    for (int k = 0; k < S::kCount; ++k) {
      const typename S::V gradient = value[k] * by_w[k] * by_h + (add_h + add_w[k]);
      const auto before = has_relu6 ? segment.load_from(x + at, k) : gradient;
      segment.store_to(out + at, k, relu6_gradient<has_relu6>(gradient, before));
    }
  }
}

// Calls f(segment, sizes, offset in the map, offsets of its profiles) in parallel.
template <typename F>
void over_channels(const Shape& s, const F& f) {
  const Sizes sizes{s.height, s.width, s.channels};
  const int64_t size = s.height * s.width;
  over_rows_of(size, s.images * s.channels, [&](int64_t begin, int64_t end) {
    over_segments(0, s.width, [&](const auto& plain) {
      const SummedSegment segment(plain);
      for (int64_t i = begin; i < end; ++i) {
        const int64_t n = i / s.channels, c = i % s.channels;
        f(segment, sizes, i * size, n * s.height * s.channels + c,
          n * s.width * s.channels + c);
      }
    });
  });
}

}  // namespace mmca::nchw
