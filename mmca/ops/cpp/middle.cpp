#include "middle.h"
#include "norm.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>
#include <vector>

namespace mmca {
namespace {

constexpr int64_t kTile = 32;  // columns, as many as keep a thread busy

template <typename T>
inline T hardswish_slope(T z) {
  return z <= T(-3) ? T(0) : (z >= T(3) ? T(1) : z / T(3) + T(0.5));
}

// Calls f(first column, number of columns, whether of the profiles along the height) for both.
template <typename F>
void parallel_gate_columns(const Sizes& s, const F& f) {
  const int64_t tiles = (s.channels + kTile - 1) / kTile;
  const int64_t work = std::max(s.rows_h, s.rows_w) * s.middle * kTile;
  const int64_t grain = std::max<int64_t>(1, 262144 / std::max<int64_t>(1, work));
  at::parallel_for(0, 2 * tiles, grain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t first = i % tiles * kTile;
      f(first, std::min(kTile, s.channels - first), i < tiles);
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
  reduce_rows<T>(rows, s.channels, s.middle, 0, s.channels, pools, p.conv1_weight, p.conv1_bias,
                 features);
  if (statistics.batch) {
    batch_statistics(rows, s.middle, features, statistics, mean, over_deviation);
  } else {
    fixed_statistics(s.middle, statistics, mean, over_deviation);
  }
  const Affine<T> norm(s.middle, mean, over_deviation, p);
  Buffer<T> y(rows * s.middle);
  normalise<T>(rows, s.middle, features, norm.scale, norm.shift, y);
  parallel_gate_columns(s, [&](int64_t begin, int64_t size, bool high) {
    if (high) {
      expand_columns<T>(s.rows_h, s.channels, s.middle, begin, size, y, p.conv_h_weight, true,
                        p.conv_h_bias, true, gates);
    } else {
      expand_columns<T>(s.rows_w, s.channels, s.middle, begin, size, y + s.rows_h * s.middle,
                        p.conv_w_weight, true, p.conv_w_bias, true,
                        gates + s.rows_h * s.channels);
    }
  });
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
  parallel_gate_columns(s, [&](int64_t begin, int64_t size, bool high) {
    if (high) {
      weight_gradient<T>(s.rows_h, s.channels, s.middle, begin, size, y, before, true,
                         gradients.conv_h_weight, gradients.conv_h_bias);
    } else {
      weight_gradient<T>(s.rows_w, s.channels, s.middle, begin, size, y + split,
                         before + split_wide, true, gradients.conv_w_weight,
                         gradients.conv_w_bias);
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
  at::parallel_for(0, (s.channels + kTile - 1) / kTile, 1, [&](int64_t first, int64_t last) {
    const int64_t begin = first * kTile, size = std::min(last * kTile, s.channels) - begin;
    weight_gradient<T>(rows, s.channels, s.middle, begin, size, gradient, pools, false,
                       gradients.conv1_weight, nullptr);
    expand_columns<T>(rows, s.channels, s.middle, begin, size, gradient, p.conv1_weight, false,
                      nullptr, false, grad_pools);
  });
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

}  // namespace mmca
