// The attention with fixed statistics, image by image: the map is then still in the cache when it
// is gated. A single image's threads share few numbers: what one thread has written is slow to read
// for another, and each start of threads takes as long as a small pass.
#pragma once

#include "matrices.h"
#include "passes.h"

#include <omp.h>

#include <cmath>

namespace mmca {

// A batch norm with fixed statistics.
struct Norm {
  const float *mean, *variance, *weight, *bias;
  float eps;

  // As one scale and shift for each channel.
  void fold(int64_t channels, float* scale, float* shift) const {
    const Norm n = *this;
#pragma omp simd
    for (int64_t c = 0; c < channels; ++c) {
      scale[c] = n.weight[c] / std::sqrt(n.variance[c] + n.eps);
      shift[c] = n.bias[c] - n.mean[c] * scale[c];
    }
  }
};

// Calls f(first part, last part, barrier) in each of several threads.
template <typename F>
void in_team(int64_t parts, const F& f) {
  const int64_t threads = std::min<int64_t>(at::get_num_threads(), parts);
  if (threads == 1 || at::in_parallel_region()) return f(int64_t(0), parts, [] {});
#pragma omp parallel num_threads(threads)
  {
    const int64_t id = omp_get_thread_num(), count = omp_get_num_threads();
    f(parts * id / count, parts * (id + 1) / count, [] {
#pragma omp barrier
    });
  }
}

// What memory is for. What one thread writes and another reads lies apart from what a thread has
// for its own.
enum class Use { scales, weights, shared, own };

// Memory that a thread keeps, and its cache, from one call to the next; one piece for each use.
template <Use use>
float* scratch(int64_t size) {
  thread_local Buffer memory(0);
  thread_local int64_t available = 0;
  if (available < size) {
    memory = Buffer(size);
    available = size;
  }
  return memory;
}

// What is the same for each image; weights are (hidden, C).
struct Attention {
  Shape image;  // one
  int64_t hidden;
  Affine before;
  bool relu6;  // after that norm
  const float *conv1_weight, *conv1_bias;
  Affine between;
  const float *conv_h_weight, *conv_h_bias, *conv_w_weight, *conv_w_bias;

  // f = hardswish(z * scale + shift), and hardswish(v) = v * relu6(v + 3) / 6; f may be z.
  void norm_hardswish(int64_t rows, const float* z, float* f) const {
    const float *const by = between.scale, *const add = between.shift;
    for (int64_t r = 0; r < rows; ++r) {
#pragma omp simd
      for (int64_t m = 0; m < hidden; ++m) {
        const float v = z[r * hidden + m] * by[m] + add[m];
        f[r * hidden + m] = v * std::min(std::max(v + 3.f, 0.f), 6.f) * (1.f / 6.f);
      }
    }
  }
};

// By channels: only the sums of conv1 pass from one thread to another.
template <PrologueKind kind, typename T>
void attend_nchw(const Attention& a, T* x) {
  const Shape& s = a.image;
  const int64_t rows = s.height + s.width, size = rows * a.hidden;
  const int64_t units = (s.channels + 15) / 16, parts = std::min<int64_t>(4, units);
  const nchw::Sizes sizes{s.height, s.width, s.channels};
  float* const partial = scratch<Use::shared>(parts * size);
  const auto first_of = [&](int64_t part) {
    return std::min(part * units / parts * 16, s.channels);
  };
  in_team(parts, [&](int64_t first, int64_t last, const auto& barrier) {
    float* const pools = scratch<Use::own>(rows * s.channels + size);
    float* const f = pools + rows * s.channels;
    const int64_t mine = first_of(first), count = first_of(last) - mine;
    const Profiles both{pools, pools + s.height * s.channels};  // pools, then gates: it is cached
    for (int64_t part = first; part < last; ++part) {
      const int64_t begin = first_of(part), end = first_of(part + 1);
      over_segments(0, s.width, [&](const auto& plain) {
        const SummedSegment segment(plain);
        for (int64_t c = begin; c < end; ++c) {
          nchw::pool<kind>(segment, sizes, x + c * s.height * s.width, a.before.scale[c],
                           a.before.shift[c], {both.h + c, both.w + c});
        }
      });
      reduce_columns({rows, s.channels, a.hidden, begin, end - begin}, pools, a.conv1_weight,
                     part == 0 ? a.conv1_bias : nullptr, partial + part * size);
    }
    barrier();
    channels_last::add_parts(parts, size, 0, size, 1.f, partial, f);
    a.norm_hardswish(rows, f, f);
    expand_columns({s.height, s.channels, a.hidden, mine, count}, f, a.conv_h_weight,
                   a.conv_h_bias, true, both.h);
    expand_columns({s.width, s.channels, a.hidden, mine, count}, f + s.height * a.hidden,
                   a.conv_w_weight, a.conv_w_bias, true, both.w);
    over_segments(0, s.width, [&](const auto& segment) {
      for (int64_t c = mine; c < mine + count; ++c) {
        const int64_t at = c * s.height * s.width;
        nchw::gate(segment, sizes, x + at, {both.h + c, both.w + c}, x + at);
      }
    });
  });
}

// By rows: sums over the height and the gates along the width pass from one thread to another.
template <PrologueKind kind, typename T>
void attend_channels_last(const Attention& a, T* x) {
  const Shape& s = a.image;
  const int64_t parts = channels_last::row_parts(s.height), size = s.width * s.channels;
  const int64_t part_rows = (s.height + parts - 1) / parts;
  float* const partial = scratch<Use::shared>(parts * size);
  in_team(parts, [&](int64_t first, int64_t last, const auto& barrier) {
    const int64_t h = first * part_rows, h_count = std::min(last * part_rows, s.height) - h;
    const int64_t w = s.width * first / parts, w_count = s.width * last / parts - w;
    const int64_t rows = h_count + w_count;
    float* const pools = scratch<Use::own>(rows * (s.channels + a.hidden));
    float* const f = pools + rows * s.channels;
    // Memory that is in the cache, and is read no more: of `partial`, each thread reads the sums of
    // just the columns whose gates it then writes.
    const Profiles gates{pools, partial};
    for (int64_t part = first; part < last; ++part) {
      const int64_t row = part * part_rows, end = std::min(row + part_rows, s.height);
      channels_last::pool_rows<kind>(s, row, end, x, a.before, pools - h * s.channels,
                                     partial + part * size);
    }
    barrier();
    float* const pool_w = pools + h_count * s.channels;
    channels_last::add_parts(parts, size, w * s.channels, (w + w_count) * s.channels,
                             1.f / s.height, partial, pool_w - w * s.channels);
    reduce_columns({rows, s.channels, a.hidden, 0, s.channels}, pools, a.conv1_weight,
                   a.conv1_bias, f);
    a.norm_hardswish(rows, f, f);
    expand_columns({h_count, s.channels, a.hidden, 0, s.channels}, f, a.conv_h_weight,
                   a.conv_h_bias, true, gates.h);
    expand_columns({w_count, s.channels, a.hidden, 0, s.channels}, f + h_count * a.hidden,
                   a.conv_w_weight, a.conv_w_bias, true, gates.w + w * s.channels);
    barrier();
    channels_last::gate_rows(s, h, h + h_count, x, {gates.h - h * s.channels, gates.w}, x);
  });
}

// All images, in place; conv_h's and conv_w's weights still lie as in their layers, (C, hidden).
template <typename T>
void attend(Attention a, int64_t images, T* x) {
  const Shape& s = a.image;
  const int64_t size = a.hidden * s.channels;
  float *const conv_h = scratch<Use::weights>(2 * size), *const conv_w = conv_h + size;
  transpose(s.channels, a.hidden, a.conv_h_weight, a.hidden, conv_h, s.channels);
  transpose(s.channels, a.hidden, a.conv_w_weight, a.hidden, conv_w, s.channels);
  a.conv_h_weight = conv_h;
  a.conv_w_weight = conv_w;
  const auto one = [&](auto kind, T* image) {
    constexpr PrologueKind k = decltype(kind)::value;
    s.channels_last ? attend_channels_last<k>(a, image) : attend_nchw<k>(a, image);
  };
  const auto run = [&](int64_t n, int64_t end) {
    using K = PrologueKind;
    for (; n < end; ++n) {
      T* const image = x + n * s.channels * s.height * s.width;
      a.relu6 ? one(std::integral_constant<K, K::norm_relu6>(), image)
              : one(std::integral_constant<K, K::norm>(), image);
    }
  };
  // One image for each thread, or all threads on each image if that would leave some idle.
  const int64_t threads = at::get_num_threads();
  if (images % threads == 0 || images >= 4 * threads) {
    at::parallel_for(0, images, 1, run);
  } else {
    run(0, images);
  }
}

}  // namespace mmca
