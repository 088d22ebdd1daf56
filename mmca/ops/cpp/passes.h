// The passes over the map: bound by memory, so each reads and writes it once.
#pragma once

#include "channels_last.h"
#include "nchw.h"

namespace mmca {

// Means over the width and over the height, after the prologue.
template <PrologueKind kind, typename T>
void pool(const Shape& s, T* x, Profiles to) {
  if (s.channels_last) {
    const auto rows = [&](int64_t first, int64_t last, int64_t n, float* sums) {
      const int64_t from = n * s.height;
      channels_last::pool_rows<kind>(s, from + first, from + last, x, {}, to.h, sums);
    };
    return channels_last::over_row_parts(s, 1.f / s.height, to.w, rows);
  }
  nchw::over_channels(s, [&](const auto& segment, nchw::Sizes sizes, int64_t at, int64_t at_h,
                           int64_t at_w) {
    nchw::pool<kind>(segment, sizes, x + at, 1.f, 0.f, {to.h + at_h, to.w + at_w});
  });
}

// out = x * gate_w * gate_h; out may be x.
template <typename T>
void gate(const Shape& s, const T* x, Profiles gates, T* out) {
  if (s.channels_last) {
    const int64_t size = s.width * s.channels;
    return over_rows_of(size, s.images * s.height, [&](int64_t first, int64_t last) {
      channels_last::gate_rows(s, first, last, x, gates, out);
    });
  }
  nchw::over_channels(s, [&](const auto& segment, nchw::Sizes sizes, int64_t at, int64_t at_h,
                           int64_t at_w) {
    nchw::gate(segment, sizes, x + at, {gates.h + at_h, gates.w + at_w}, out + at);
  });
}

// Gradients of both gates from one read of g and x; `out`, unless null, gets what gate() makes.
template <bool with_output, typename T>
void gate_gradients(const Shape& s, const T* g, const T* x, Profiles gates, Profiles to, T* out) {
  if (!s.channels_last) {
    return nchw::over_channels(s, [&](const auto& segment, nchw::Sizes sizes, int64_t at,
                                    int64_t at_h, int64_t at_w) {
      nchw::gate_gradients<with_output>(segment, sizes, g + at, x + at,
                                        {gates.h + at_h, gates.w + at_w},
                                        {to.h + at_h, to.w + at_w}, with_output ? out + at : out);
    });
  }
  using namespace channels_last;
  const int64_t channels = s.channels, size = s.width * channels;
  over_row_parts(s, 1.f, to.w, [&](int64_t first, int64_t last, int64_t n, float* sums) {
    over_rows(n * s.height + first, n * s.height + last, [&](auto is_first, int64_t row) {
      const int64_t at = row * size, at_h = row * channels;
      over_full_segments(channels, [&](const auto& segment) {
        gate_gradients_of_row<decltype(is_first)::value, with_output>(
            segment, s.width, channels, g + at, x + at, {gates.h + at_h, gates.w + n * size},
            {to.h + at_h, sums}, with_output ? out + at : out);
      });
    });
  });
}

// out = g * gate_w * gate_h + grad_pool_h / W + grad_pool_w / H, before ReLU6 if x went through it;
// out may be g.
template <bool has_relu6, typename T>
void input_gradient(const Shape& s, const T* g, Profiles gates, Profiles grad_pools, const T* x,
                    T* out) {
  if (!s.channels_last) {
    return nchw::over_channels(s, [&](const auto& segment, nchw::Sizes sizes, int64_t at,
                                    int64_t at_h, int64_t at_w) {
      nchw::input_gradient<has_relu6>(segment, sizes, g + at, {gates.h + at_h, gates.w + at_w},
                                      {grad_pools.h + at_h, grad_pools.w + at_w}, x + at,
                                      out + at);
    });
  }
  const int64_t channels = s.channels, size = s.width * channels;
  over_rows_of(size, s.images * s.height, [&](int64_t first, int64_t last) {
    for (int64_t row = first; row < last; ++row) {
      const int64_t at = row * size, at_h = row * channels, at_w = row / s.height * size;
      over_full_segments(channels, [&](const auto& segment) {
        channels_last::input_gradient_of_row<has_relu6>(
            segment, s.width, channels, g + at, {gates.h + at_h, gates.w + at_w},
            {grad_pools.h + at_h, grad_pools.w + at_w}, 1.f / s.width, 1.f / s.height, x + at,
            out + at);
      });
    }
  });
}

}  // namespace mmca
