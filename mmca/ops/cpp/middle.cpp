#include "middle.h"
#include "vectors.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <vector>

namespace mmca {
namespace {

// Memory that is written before it is read: not cleared, as std::vector would.
template <typename T>
struct Buffer {
  explicit Buffer(int64_t size) : memory(new T[size]) {}
  operator T*() const { return memory.get(); }
  std::unique_ptr<T[]> memory;
};

template <typename T>
inline T clamp6(T z) {
  return std::min(std::max(z + T(3), T(0)), T(6));
}

template <typename T>
inline T hardswish_slope(T z) {
  return z <= T(-3) ? T(0) : (z >= T(3) ? T(1) : z / T(3) + T(0.5));
}

// y = hardswish(features * scale + shift), one scale and shift for each column.
template <typename T>
void normalise(int64_t rows, int64_t middle, const T* features, const T* scale, const T* shift,
               T* y) {
  for (int64_t r = 0; r < rows; ++r) {
#pragma omp simd
    for (int64_t m = 0; m < middle; ++m) {
      const T z = features[r * middle + m] * scale[m] + shift[m];
      y[r * middle + m] = z * clamp6(z) * T(1.0 / 6.0);
    }
  }
}

// Batch norm as one scale and shift for each column.
template <typename T>
struct Affine {
  Affine(int64_t middle, const T* mean, const T* over_deviation, const Parameters<T>& p)
      : scale(middle), shift(middle) {
    for (int64_t m = 0; m < middle; ++m) {
      scale[m] = p.norm_weight[m] * over_deviation[m];
      shift[m] = p.norm_bias[m] - mean[m] * scale[m];
    }
  }
  Buffer<T> scale, shift;
};

// Calls f(tile, whether it is one of the profiles along the height): tiles of columns of both.
template <typename T, typename F>
void parallel_gate_tiles(const Sizes& s, const F& f) {
  const int64_t tiles = tiles_of<T>(s.channels);
  const int64_t work = std::max(s.rows_h, s.rows_w) * s.middle * kTileColumns<T>;
  at::parallel_for(0, 2 * tiles, std::max<int64_t>(1, 65536 / std::max<int64_t>(1, work)),
                   [&](int64_t begin, int64_t end) {
                     for (int64_t i = begin; i < end; ++i) f(i % tiles, i < tiles);
                   });
}

// `turned`: conv_h's and conv_w's weights are as they lie in their layers, (C, middle).
template <typename T>
void gates_of(const Sizes& s, const T* features, const Affine<T>& norm, const Parameters<T>& p,
              bool turned, T* gates) {
  const int64_t rows = s.rows_h + s.rows_w;
  Buffer<T> y(rows * s.middle);
  normalise<T>(rows, s.middle, features, norm.scale, norm.shift, y);
  parallel_gate_tiles<T>(s, [&](int64_t tile, bool high) {
    if (high) {
      expand_tile<T>(tile, s.rows_h, s.channels, s.middle, y, p.conv_h_weight, turned,
                     p.conv_h_bias, true, gates);
    } else {
      expand_tile<T>(tile, s.rows_w, s.channels, s.middle, y + s.rows_h * s.middle,
                     p.conv_w_weight, turned, p.conv_w_bias, true,
                     gates + s.rows_h * s.channels);
    }
  });
}

template <typename T>
void batch_statistics(int64_t rows, int64_t middle, const T* features, const Statistics<T>& s,
                      T* mean, T* over_deviation) {
  std::vector<double> sum(middle, 0.0), squares(middle, 0.0);
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t m = 0; m < middle; ++m) sum[m] += features[r * middle + m];
  }
  for (int64_t m = 0; m < middle; ++m) sum[m] /= rows;
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t m = 0; m < middle; ++m) {
      const double centred = features[r * middle + m] - sum[m];
      squares[m] += centred * centred;
    }
  }
  for (int64_t m = 0; m < middle; ++m) {
    mean[m] = sum[m];
    over_deviation[m] = 1.0 / std::sqrt(squares[m] / rows + s.epsilon);
    if (s.mean != nullptr) {
      const double unbiased = squares[m] / (rows - 1);
      s.mean[m] = s.momentum * sum[m] + (1 - s.momentum) * s.mean[m];
      s.variance[m] = s.momentum * unbiased + (1 - s.momentum) * s.variance[m];
    }
  }
}

template <typename T>
void fixed_statistics(int64_t middle, const Statistics<T>& s, T* mean, T* over_deviation) {
  for (int64_t m = 0; m < middle; ++m) {
    mean[m] = s.mean[m];
    over_deviation[m] = 1.0 / std::sqrt(static_cast<double>(s.variance[m]) + s.epsilon);
  }
}

// Gradient of the batch norm's input from that of its output, which it overwrites.
template <typename T>
void norm_backward(int64_t rows, int64_t middle, T* gradient, const T* features, const T* mean,
                   const T* over_deviation, bool batch, const T* weight,
                   const Gradients<T>& gradients) {
  std::vector<double> sum(middle, 0.0), product(middle, 0.0);
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t m = 0; m < middle; ++m) {
      const int64_t i = r * middle + m;
      sum[m] += gradient[i];
      product[m] += static_cast<double>(gradient[i]) * (features[i] - mean[m]);
    }
  }
  std::vector<T> scale(middle), along(middle), constant(middle);
  for (int64_t m = 0; m < middle; ++m) {
    const double deviation = over_deviation[m];
    gradients.norm_bias[m] = sum[m];
    gradients.norm_weight[m] = product[m] * deviation;
    scale[m] = weight[m] * deviation;
    constant[m] = batch ? sum[m] / rows : 0.0;
    along[m] = batch ? product[m] * deviation * deviation / rows : 0.0;
  }
  for (int64_t r = 0; r < rows; ++r) {
#pragma omp simd
    for (int64_t m = 0; m < middle; ++m) {
      const int64_t i = r * middle + m;
      const T centred = features[i] - mean[m];
      gradient[i] = (gradient[i] - constant[m] - centred * along[m]) * scale[m];
    }
  }
}

}  // namespace

template <typename T>
void middle_forward(const Sizes& s, const T* pools, const Parameters<T>& p,
                    const Statistics<T>& statistics, T* gates, T* features, T* mean,
                    T* over_deviation) {
  const int64_t rows = s.rows_h + s.rows_w;
  reduce_rows<T>(rows, s.channels, s.middle, pools, p.conv1_weight, p.conv1_bias, features);
  if (statistics.batch) {
    batch_statistics(rows, s.middle, features, statistics, mean, over_deviation);
  } else {
    fixed_statistics(s.middle, statistics, mean, over_deviation);
  }
  gates_of(s, features, Affine<T>(s.middle, mean, over_deviation, p), p, true, gates);
}

template <typename T>
void middle_backward(const Sizes& s, const T* grad_gates, const T* pools, const T* gates,
                     const T* features, const T* mean, const T* over_deviation, bool batch,
                     const Parameters<T>& p, T* grad_pools, const Gradients<T>& gradients) {
  const int64_t rows = s.rows_h + s.rows_w;
  const int64_t split = s.rows_h * s.middle, split_wide = s.rows_h * s.channels;
  const Affine<T> norm(s.middle, mean, over_deviation, p);
  Buffer<T> y(rows * s.middle), gradient(rows * s.middle), before(rows * s.channels);
  normalise<T>(rows, s.middle, features, norm.scale, norm.shift, y);
  reduce_sigmoid_gradient<T>(s.rows_h, s.channels, s.middle, grad_gates, gates, p.conv_h_weight,
                             before, gradient);
  reduce_sigmoid_gradient<T>(s.rows_w, s.channels, s.middle, grad_gates + split_wide,
                             gates + split_wide, p.conv_w_weight, before + split_wide,
                             gradient + split);
  parallel_gate_tiles<T>(s, [&](int64_t tile, bool high) {
    if (high) {
      weight_gradient_tile<T>(tile, s.rows_h, s.channels, s.middle, y, before, true,
                              gradients.conv_h_weight, gradients.conv_h_bias);
    } else {
      weight_gradient_tile<T>(tile, s.rows_w, s.channels, s.middle, y + split, before + split_wide,
                              true, gradients.conv_w_weight, gradients.conv_w_bias);
    }
  });
  for (int64_t r = 0; r < rows; ++r) {
#pragma omp simd
    for (int64_t m = 0; m < s.middle; ++m) {
      const int64_t i = r * s.middle + m;
      gradient[i] *= hardswish_slope(features[i] * norm.scale[m] + norm.shift[m]);
    }
  }
  norm_backward<T>(rows, s.middle, gradient, features, mean, over_deviation, batch, p.norm_weight,
                   gradients);
  std::vector<double> bias(s.middle, 0.0);
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t m = 0; m < s.middle; ++m) bias[m] += gradient[r * s.middle + m];
  }
  for (int64_t m = 0; m < s.middle; ++m) gradients.conv1_bias[m] = bias[m];
  at::parallel_for(0, tiles_of<T>(s.channels), 1, [&](int64_t begin, int64_t end) {
    for (int64_t tile = begin; tile < end; ++tile) {
      weight_gradient_tile<T>(tile, rows, s.channels, s.middle, gradient, pools, false,
                              gradients.conv1_weight, nullptr);
      expand_tile<T>(tile, rows, s.channels, s.middle, gradient, p.conv1_weight, false, nullptr,
                     false, grad_pools);
    }
  });
}

template <typename M>
void block_inference(const Shape& s, int64_t middle, M* x, const Norm<Wide<M>>* before, bool clamp,
                     const Parameters<Wide<M>>& p, const Statistics<Wide<M>>& statistics, M* out) {
  using T = Wide<M>;
  Buffer<T> scale(before == nullptr ? 0 : s.channels), shift(before == nullptr ? 0 : s.channels);
  Entry<T> entry{clamp, nullptr, nullptr};
  if (before != nullptr) {
    const Norm<T> norm = *before;
    T *to_scale = scale, *to_shift = shift;
#pragma omp simd
    for (int64_t c = 0; c < s.channels; ++c) {
      to_scale[c] = norm.weight[c] / std::sqrt(norm.variance[c] + norm.epsilon);
      to_shift[c] = norm.bias[c] - norm.mean[c] * to_scale[c];
    }
    entry = {clamp, scale, shift};
  }
  const Sizes one{s.height, s.width, s.channels, middle};
  Buffer<T> mean(middle), over_deviation(middle);
  fixed_statistics<T>(middle, statistics, mean, over_deviation);
  const Affine<T> norm(middle, mean, over_deviation, p);
  // For several images the weights are turned once.
  const bool turned = s.images == 1;
  const int64_t weights = turned ? 0 : middle * s.channels;
  Buffer<T> conv_h(weights), conv_w(weights);
  Parameters<T> own = p;
  if (!turned) {
    turn<T>(s.channels, middle, p.conv_h_weight, middle, conv_h, s.channels);
    turn<T>(s.channels, middle, p.conv_w_weight, middle, conv_w, s.channels);
    own.conv_h_weight = conv_h;
    own.conv_w_weight = conv_w;
  }
  const Shape image{1, s.channels, s.height, s.width, s.channels_last};
  const int64_t rows = s.height + s.width, map = s.height * s.width * s.channels;
  const auto run = [&](int64_t begin, int64_t end) {
    Buffer<T> pools(rows * s.channels), gates(rows * s.channels), features(rows * middle);
    T *pool_w = pools + s.height * s.channels, *gate_w = gates + s.height * s.channels;
    for (int64_t n = begin; n < end; ++n) {
      dual_pool<M>(image, x + n * map, entry, pools, pool_w);
      reduce_rows<T>(rows, s.channels, middle, pools, p.conv1_weight, p.conv1_bias, features);
      gates_of<T>(one, features, norm, own, turned, gates);
      gate<M>(image, x + n * map, gates, gate_w, out + n * map);
    }
  };
  // One image for each thread, or all threads on each image if that would leave some idle.
  const int64_t threads = at::get_num_threads();
  if (s.images % threads == 0 || s.images >= 4 * threads) {
    at::parallel_for(0, s.images, 1, run);
  } else {
    run(0, s.images);
  }
}

#define MMCA_INSTANTIATE(T)                                                                       \
  template void middle_forward<T>(const Sizes&, const T*, const Parameters<T>&,                   \
                                  const Statistics<T>&, T*, T*, T*, T*);                          \
  template void middle_backward<T>(const Sizes&, const T*, const T*, const T*, const T*,          \
                                   const T*, const T*, bool, const Parameters<T>&, T*,            \
                                   const Gradients<T>&);
MMCA_INSTANTIATE(float)
MMCA_INSTANTIATE(double)
#undef MMCA_INSTANTIATE

#define MMCA_INSTANTIATE(M)                                                                       \
  template void block_inference<M>(const Shape&, int64_t, M*, const Norm<Wide<M>>*, bool,         \
                                   const Parameters<Wide<M>>&, const Statistics<Wide<M>>&, M*);
MMCA_INSTANTIATE(float)
MMCA_INSTANTIATE(double)
MMCA_INSTANTIATE(c10::BFloat16)

}  // namespace mmca
