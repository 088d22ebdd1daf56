#include "middle.h"

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

// The weights of conv_h and conv_w, transposed.
template <typename T>
struct Turned {
  Turned(const Sizes& s, const Parameters<T>& p)
      : conv_h(s.middle * s.channels), conv_w(s.middle * s.channels) {
    transpose<T>(s.channels, s.middle, p.conv_h_weight, conv_h);
    transpose<T>(s.channels, s.middle, p.conv_w_weight, conv_w);
  }
  Buffer<T> conv_h, conv_w;
};

template <typename T>
void features_of(const Sizes& s, const T* pool_h, const T* pool_w, const Parameters<T>& p,
                 T* features) {
  reduce_rows<T>(s.rows_h, s.channels, s.middle, pool_h, p.conv1_weight, p.conv1_bias, features);
  reduce_rows<T>(s.rows_w, s.channels, s.middle, pool_w, p.conv1_weight, p.conv1_bias,
                 features + s.rows_h * s.middle);
}

template <typename T>
void gates_of(const Sizes& s, const T* features, const Affine<T>& norm, const Turned<T>& turned,
              const Parameters<T>& p, T* gate_h, T* gate_w) {
  const int64_t rows = s.rows_h + s.rows_w;
  Buffer<T> y(rows * s.middle);
  normalise<T>(rows, s.middle, features, norm.scale, norm.shift, y);
  expand_rows<T>(s.rows_h, s.channels, s.middle, y, turned.conv_h, p.conv_h_bias, true, gate_h);
  expand_rows<T>(s.rows_w, s.channels, s.middle, y + s.rows_h * s.middle, turned.conv_w,
                 p.conv_w_bias, true, gate_w);
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

// Through one sigmoid and its convolution: fills grad_y and the gradients of weight and bias.
template <typename T>
void gate_convolution_backward(int64_t rows, const Sizes& s, const T* grad_gate, const T* gate,
                               const T* y, const T* weight, T* grad_y, T* grad_weight,
                               T* grad_bias) {
  Buffer<T> before(rows * s.channels), turned(s.middle * s.channels);
  at::parallel_for(0, rows * s.channels, 32768, [&](int64_t begin, int64_t end) {
#pragma omp simd
    for (int64_t i = begin; i < end; ++i) before[i] = grad_gate[i] * gate[i] * (T(1) - gate[i]);
  });
  transpose<T>(s.channels, s.middle, weight, turned);
  reduce_rows<T>(rows, s.channels, s.middle, before, turned, nullptr, grad_y);
  weight_gradient<T>(rows, s.channels, s.middle, y, before, false, turned, grad_bias);
  transpose<T>(s.middle, s.channels, turned, grad_weight);
}

}  // namespace

template <typename T>
void middle_forward(const Sizes& s, const T* pool_h, const T* pool_w, const Parameters<T>& p,
                    const Statistics<T>& statistics, T* gate_h, T* gate_w, T* features, T* mean,
                    T* over_deviation) {
  features_of(s, pool_h, pool_w, p, features);
  if (statistics.batch) {
    batch_statistics(s.rows_h + s.rows_w, s.middle, features, statistics, mean, over_deviation);
  } else {
    fixed_statistics(s.middle, statistics, mean, over_deviation);
  }
  gates_of(s, features, Affine<T>(s.middle, mean, over_deviation, p), Turned<T>(s, p), p, gate_h,
           gate_w);
}

template <typename T>
void middle_backward(const Sizes& s, const T* grad_gate_h, const T* grad_gate_w,
                     const T* pool_h, const T* pool_w, const T* gate_h, const T* gate_w,
                     const T* features, const T* mean, const T* over_deviation, bool batch,
                     const Parameters<T>& p, T* grad_pool_h, T* grad_pool_w,
                     const Gradients<T>& gradients) {
  const int64_t rows = s.rows_h + s.rows_w, split = s.rows_h * s.middle;
  const Affine<T> norm(s.middle, mean, over_deviation, p);
  Buffer<T> y(rows * s.middle), gradient(rows * s.middle);
  normalise<T>(rows, s.middle, features, norm.scale, norm.shift, y);
  gate_convolution_backward<T>(s.rows_h, s, grad_gate_h, gate_h, y, p.conv_h_weight, gradient,
                               gradients.conv_h_weight, gradients.conv_h_bias);
  gate_convolution_backward<T>(s.rows_w, s, grad_gate_w, gate_w, y + split, p.conv_w_weight,
                               gradient + split, gradients.conv_w_weight, gradients.conv_w_bias);
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
  weight_gradient<T>(s.rows_h, s.channels, s.middle, gradient, pool_h, false,
                     gradients.conv1_weight, nullptr);
  weight_gradient<T>(s.rows_w, s.channels, s.middle, gradient + split, pool_w, true,
                     gradients.conv1_weight, nullptr);
  expand_rows<T>(s.rows_h, s.channels, s.middle, gradient, p.conv1_weight, nullptr, false,
                 grad_pool_h);
  expand_rows<T>(s.rows_w, s.channels, s.middle, gradient + split, p.conv1_weight, nullptr, false,
                 grad_pool_w);
}

template <typename M>
void block_inference(const Shape& s, int64_t middle, const M* x, const Parameters<Wide<M>>& p,
                     const Statistics<Wide<M>>& statistics, M* out) {
  using T = Wide<M>;
  const Sizes one{s.height, s.width, s.channels, middle};
  Buffer<T> mean(middle), over_deviation(middle);
  fixed_statistics<T>(middle, statistics, mean, over_deviation);
  const Affine<T> norm(middle, mean, over_deviation, p);
  const Turned<T> turned(one, p);
  const Shape image{1, s.channels, s.height, s.width, s.channels_last};
  const int64_t profiles = (s.height + s.width) * s.channels, map = s.height * s.width * s.channels;
  const auto run = [&](int64_t begin, int64_t end) {
    Buffer<T> pools(profiles), gates(profiles), features((s.height + s.width) * middle);
    T *pool_w = pools + s.height * s.channels, *gate_w = gates + s.height * s.channels;
    for (int64_t n = begin; n < end; ++n) {
      dual_pool<M>(image, x + n * map, pools, pool_w);
      features_of<T>(one, pools, pool_w, p, features);
      gates_of<T>(one, features, norm, turned, p, gates, gate_w);
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
  template void middle_forward<T>(const Sizes&, const T*, const T*, const Parameters<T>&,         \
                                  const Statistics<T>&, T*, T*, T*, T*, T*);                      \
  template void middle_backward<T>(const Sizes&, const T*, const T*, const T*, const T*,          \
                                   const T*, const T*, const T*, const T*, const T*, bool,        \
                                   const Parameters<T>&, T*, T*, const Gradients<T>&);
MMCA_INSTANTIATE(float)
MMCA_INSTANTIATE(double)
#undef MMCA_INSTANTIATE

#define MMCA_INSTANTIATE(M)                                                                       \
  template void block_inference<M>(const Shape&, int64_t, const M*, const Parameters<Wide<M>>&,   \
                                   const Statistics<Wide<M>>&, M*);
MMCA_INSTANTIATE(float)
MMCA_INSTANTIATE(double)
MMCA_INSTANTIATE(c10::BFloat16)

}  // namespace mmca
