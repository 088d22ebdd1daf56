// How the passes walk over an NCHW map: plane by plane, or 8 planes at once.
#pragma once

#include "kernels.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <vector>

namespace mmca {

// Profiles of one plane of an NCHW map, gathered from and scattered to their rows.
template <typename A>
inline void gather(const A* from, int64_t stride, int64_t count, A scale, A* to) {
  for (int64_t i = 0; i < count; ++i) to[i] = from[i * stride] * scale;
}

template <typename A>
inline void scatter(const A* from, int64_t stride, int64_t count, A scale, A* to) {
  for (int64_t i = 0; i < count; ++i) to[i * stride] = from[i] * scale;
}

constexpr int kLanes = 8;

template <typename A>
struct Lanes {
  typedef A type __attribute__((vector_size(kLanes * sizeof(A)), aligned(alignof(A)), may_alias));
  static type& at(A* p) { return *reinterpret_cast<type*>(p); }
  static const type& at(const A* p) { return *reinterpret_cast<const type*>(p); }
};

#ifdef __clang__
#define MMCA_SHUFFLE(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
typedef int32_t Indices __attribute__((vector_size(kLanes * sizeof(int32_t))));
#define MMCA_SHUFFLE(a, b, ...) __builtin_shuffle(a, b, Indices{__VA_ARGS__})
#endif

// Turns 8 x 8 numbers: three times, each half is interleaved with the other.
inline void turn(Lanes<float>::type (&v)[kLanes]) {
  for (int round = 0; round < 3; ++round) {
    Lanes<float>::type next[kLanes];
    for (int i = 0; i < kLanes / 2; ++i) {
      next[2 * i] = MMCA_SHUFFLE(v[i], v[i + 4], 0, 8, 1, 9, 2, 10, 3, 11);
      next[2 * i + 1] = MMCA_SHUFFLE(v[i], v[i + 4], 4, 12, 5, 13, 6, 14, 7, 15);
    }
    for (int i = 0; i < kLanes; ++i) v[i] = next[i];
  }
}

// From 8 planes of an NCHW map, or the products of two maps' planes, to 8 numbers for each pixel.
template <bool Product, typename T>
void planes_to_pixels(int64_t size, const T* x, const T* g, Wide<T>* pixels) {
  using A = Wide<T>;
  int64_t p = 0;
  if constexpr (std::is_same_v<T, float>) {
    using L = Lanes<float>;
    for (; p + kLanes <= size; p += kLanes) {
      L::type v[kLanes];
      for (int i = 0; i < kLanes; ++i) {
        v[i] = L::at(x + i * size + p);
        if (Product) v[i] *= L::at(g + i * size + p);
      }
      turn(v);
      for (int i = 0; i < kLanes; ++i) L::at(pixels + (p + i) * kLanes) = v[i];
    }
  }
  for (; p < size; ++p) {
    for (int i = 0; i < kLanes; ++i) {
      const A value = static_cast<A>(x[i * size + p]);
      pixels[p * kLanes + i] = Product ? value * static_cast<A>(g[i * size + p]) : value;
    }
  }
}

// Rows this short do not fill vectors: 8 planes at once do.
inline bool has_short_rows(const Shape& s) { return s.width < 32 && s.height * s.width <= 1024; }

// For the planes of an NCHW map calls f(offset of the plane, of its profiles along the height and
// width, scratch), or in place of 8 such calls one to `eight`, if rows are short. Scratch holds
// 2 * (H + W) numbers, for `eight` (H + 1) * W times 8.
template <typename A, typename F, typename G>
void parallel_over_planes(const Shape& s, const F& f, const G& eight) {
  const bool grouped = has_short_rows(s);
  const int64_t plane = s.height * s.width, step = grouped ? kLanes : 1;
  const int64_t groups = (s.channels + step - 1) / step;
  const int64_t grain = std::max<int64_t>(1, 8192 / std::max<int64_t>(1, step * plane));
  at::parallel_for(0, s.images * groups, grain, [&](int64_t begin, int64_t end) {
    std::vector<A> scratch(grouped ? (plane + s.width) * kLanes + 2 * s.height
                                   : 2 * (s.height + s.width));
    for (int64_t group = begin; group < end; ++group) {
      const int64_t n = group / groups, first = group % groups * step;
      const int64_t last = std::min(first + step, s.channels);
      const auto call = [&](const auto& function, int64_t c) {
        function((n * s.channels + c) * plane, n * s.height * s.channels + c,
                 n * s.width * s.channels + c, scratch.data());
      };
      if (grouped && last - first == kLanes) {
        call(eight, first);
      } else {
        for (int64_t c = first; c < last; ++c) call(f, c);
      }
    }
  });
}

template <typename A, typename F>
void parallel_over_planes(const Shape& s, const F& f) {
  parallel_over_planes<A>(s, f, [&](int64_t plane, int64_t at_h, int64_t at_w, A* scratch) {
    for (int i = 0; i < kLanes; ++i) {
      f(plane + i * s.height * s.width, at_h + i, at_w + i, scratch);
    }
  });
}

}  // namespace mmca
