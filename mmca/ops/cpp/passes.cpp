// The passes over the map: bound by memory, so each reads and writes it once.
#include "kernels.h"
#include "pixels.h"
#include "planes.h"

#include <ATen/Parallel.h>

#include <algorithm>

namespace mmca {
namespace {

// Calls f(first row, last row) of a channels_last map.
template <typename F>
void parallel_rows(const Shape& s, const F& f) {
  const int64_t grain = std::max<int64_t>(1, 8192 / std::max<int64_t>(1, s.width * s.channels));
  at::parallel_for(0, s.images * s.height, grain, f);
}

}  // namespace

template <typename T>
void dual_pool(const Shape& s, T* x, const Entry<Wide<T>>& entry, Wide<T>* pool_h,
               Wide<T>* pool_w) {
  using A = Wide<T>;
  if (s.channels_last) return dual_pool_of_pixels(s, x, entry, pool_h, pool_w);
  with_kind(entry, [&](auto kind) {
    parallel_planes<A>(s, [&](const auto& piece, Plane plane, int64_t c, int64_t at, int64_t at_h,
                              int64_t at_w) {
      constexpr bool affine = kind == EntryKind::affine;
      pool_piece<kind>(piece, plane, x + at, affine ? entry.scale[c] : A(1),
                       affine ? entry.shift[c] : A(0), pool_h + at_h, pool_w + at_w);
    });
  });
}

template <typename T>
void gate(const Shape& s, const T* x, const Wide<T>* gate_h, const Wide<T>* gate_w, T* out) {
  using A = Wide<T>;
  if (s.channels_last) {
    return parallel_rows(s, [&](int64_t first, int64_t last) {
      gate_rows(s, first, last, x, gate_h, gate_w, out);
    });
  }
  parallel_planes<A>(s, [&](const auto& piece, Plane plane, int64_t, int64_t at, int64_t at_h,
                            int64_t at_w) {
    gate_piece(piece, plane, x + at, gate_h + at_h, gate_w + at_w, out + at);
  });
}

template <typename T>
void gate_gradients(const Shape& s, const T* g, const T* x, const Wide<T>* gate_h,
                    const Wide<T>* gate_w, Wide<T>* grad_h, Wide<T>* grad_w, T* out) {
  // Whether there is an output is decided before the loops: a branch inside would slow them.
  const auto run = [&](auto with_output) {
    constexpr bool output = decltype(with_output)::value;
    if (s.channels_last) {
      return gate_gradients_of_pixels<output>(s, g, x, gate_h, gate_w, grad_h, grad_w, out);
    }
    parallel_planes<Wide<T>>(s, [&](const auto& piece, Plane plane, int64_t, int64_t at,
                                    int64_t at_h, int64_t at_w) {
      gate_gradients_of_piece<output>(piece, plane, g + at, x + at, gate_h + at_h, gate_w + at_w,
                                      grad_h + at_h, grad_w + at_w, output ? out + at : out);
    });
  };
  out != nullptr ? run(std::true_type()) : run(std::false_type());
}

template <typename T>
void input_gradient(const Shape& s, const T* g, const Wide<T>* gate_h, const Wide<T>* gate_w,
                    const Wide<T>* grad_pool_h, const Wide<T>* grad_pool_w, const T* clamped,
                    T* out) {
  using A = Wide<T>;
  const auto run = [&](auto is_clamped) {
    constexpr bool clamp = decltype(is_clamped)::value;
    if (s.channels_last) {
      return parallel_rows(s, [&](int64_t first, int64_t last) {
        input_gradient_of_rows<clamp>(s, first, last, g, gate_h, gate_w, grad_pool_h, grad_pool_w,
                                      clamped, out);
      });
    }
    parallel_planes<A>(s, [&](const auto& piece, Plane plane, int64_t, int64_t at, int64_t at_h,
                              int64_t at_w) {
      input_gradient_of_piece<clamp>(piece, plane, g + at, gate_h + at_h, gate_w + at_w,
                                     grad_pool_h + at_h, grad_pool_w + at_w,
                                     clamp ? clamped + at : clamped, out + at);
    });
  };
  clamped != nullptr ? run(std::true_type()) : run(std::false_type());
}

#define MMCA_INSTANTIATE(T)                                                                      \
  template void dual_pool<T>(const Shape&, T*, const Entry<Wide<T>>&, Wide<T>*, Wide<T>*);       \
  template void gate<T>(const Shape&, const T*, const Wide<T>*, const Wide<T>*, T*);             \
  template void gate_gradients<T>(const Shape&, const T*, const T*, const Wide<T>*,              \
                                  const Wide<T>*, Wide<T>*, Wide<T>*, T*);                       \
  template void input_gradient<T>(const Shape&, const T*, const Wide<T>*, const Wide<T>*,        \
                                  const Wide<T>*, const Wide<T>*, const T*, T*);
MMCA_INSTANTIATE(float)
MMCA_INSTANTIATE(double)
MMCA_INSTANTIATE(c10::BFloat16)

}  // namespace mmca
