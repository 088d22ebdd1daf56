// Between the passes: conv1, batch norm, h-swish, conv_h and conv_w, sigmoids; and the way back.
#pragma once

#include "kernels.h"

namespace mmca {

// Parameters in the order and layout of nn.Conv2d and nn.BatchNorm2d: conv1's weight is
// (middle, channels), those of conv_h and conv_w are (channels, middle).
template <typename T>
struct Parameters {
  const T *conv1_weight, *conv1_bias, *norm_weight, *norm_bias;
  const T *conv_h_weight, *conv_h_bias, *conv_w_weight, *conv_w_bias;
};

template <typename T>
struct Gradients {
  T *conv1_weight, *conv1_bias, *norm_weight, *norm_bias;
  T *conv_h_weight, *conv_h_bias, *conv_w_weight, *conv_w_bias;
};

struct Sizes {
  int64_t rows_h, rows_w, channels, middle;
};

// Running statistics as nn.BatchNorm2d keeps them. With `batch` the batch's own statistics are
// used, and enter `mean` and `variance`, unless null, with the weight `momentum`.
template <typename T>
struct Statistics {
  T *mean, *variance;
  bool batch;
  double momentum, epsilon;
};

// Keeps conv1's output (rows_h + rows_w, middle), the mean and 1 / deviation for backward.
template <typename T>
void middle_forward(const Sizes& s, const T* pool_h, const T* pool_w, const Parameters<T>& p,
                    const Statistics<T>& statistics, T* gate_h, T* gate_w, T* features, T* mean,
                    T* over_deviation);

template <typename T>
void middle_backward(const Sizes& s, const T* grad_gate_h, const T* grad_gate_w,
                     const T* pool_h, const T* pool_w, const T* gate_h, const T* gate_w,
                     const T* features, const T* mean, const T* over_deviation, bool batch,
                     const Parameters<T>& p, T* grad_pool_h, T* grad_pool_w,
                     const Gradients<T>& gradients);

// The whole block with fixed statistics, image by image, so that the map is still in the cache
// when it is gated. `out` may be x.
template <typename M>
void block_inference(const Shape& s, int64_t middle, const M* x, const Parameters<Wide<M>>& p,
                     const Statistics<Wide<M>>& statistics, M* out);

}  // namespace mmca
