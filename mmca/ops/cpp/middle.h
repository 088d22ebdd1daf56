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

// Profiles of both directions lie in one piece: the (N, H, C) numbers of one, then the (N, W, C)
// of the other. Keeps conv1's output (rows_h + rows_w, middle), the mean and 1 / deviation for
// backward.
template <typename T>
void middle_forward(const Sizes& s, const T* pools, const Parameters<T>& p,
                    const Statistics<T>& statistics, T* gates, T* features, T* mean,
                    T* over_deviation);

template <typename T>
void middle_backward(const Sizes& s, const T* grad_gates, const T* pools, const T* gates,
                     const T* features, const T* mean, const T* over_deviation, bool batch,
                     const Parameters<T>& p, T* grad_pools, const Gradients<T>& gradients);

// A batch norm with fixed statistics.
template <typename T>
struct Norm {
  const T *mean, *variance, *weight, *bias;
  T epsilon;
};

// The whole block with fixed statistics, image by image, so that the map is still in the cache
// when it is gated. Before, the map passes `before`, unless null, and a clamp, if asked for, as
// struct Entry says. `out` may be x.
template <typename M>
void block_inference(const Shape& s, int64_t middle, M* x, const Norm<Wide<M>>* before, bool clamp,
                     const Parameters<Wide<M>>& p, const Statistics<Wide<M>>& statistics, M* out);

// x = norm(x).
template <typename M>
void norm_inference(const Shape& s, const Norm<Wide<M>>& norm, M* x);

}  // namespace mmca
