// What the operators share: the way from tensors to what the passes work on.
#pragma once

#include "map.h"

#include <ATen/core/Tensor.h>
#include <torch/library.h>

#include <vector>

// A library for each instruction set, so that one process can load both.
#define MMCA_LIBRARY(name, m) TORCH_LIBRARY(name, m)
#define MMCA_KERNELS(name, m) TORCH_LIBRARY_IMPL(name, CPU, m)

namespace mmca {

using at::Tensor;
using Tensors = at::TensorList;

inline float* data(const Tensor& t) { return t.data_ptr<float>(); }

inline Shape shape_of(const Tensor& x) {
  TORCH_CHECK(x.dim() == 4, "mmca: expected a map (N, C, H, W), got ", x.dim(), " dimensions");
  const bool nchw = x.is_contiguous();  // both, where H * W or C is 1
  TORCH_CHECK(nchw || x.is_contiguous(at::MemoryFormat::ChannelsLast), "mmca: map is not dense");
  return {x.size(0), x.size(1), x.size(2), x.size(3), !nchw};
}

inline void check_like(const Tensor& other, const Tensor& x) {
  TORCH_CHECK(other.sizes() == x.sizes() && other.strides() == x.strides() &&
              other.dtype() == x.dtype(), "mmca: maps differ in shape, type or layout");
}

// Calls f with a pointer to the map's numbers.
template <typename F>
void with_data(const Tensor& x, const F& f) {
  if (x.scalar_type() == at::kFloat) return f(x.data_ptr<float>());
  TORCH_CHECK(x.scalar_type() == at::kBFloat16, "mmca: no kernel for ", x.scalar_type());
  f(x.data_ptr<c10::BFloat16>());
}

// The attention's parameters without gaps, as mmca.ops.cpp_kernels.Weights names them.
struct Weights {
  Weights(const Tensors& t, int64_t channels)
      : hidden(t[0].size(0)),
        conv1_weight(fit(t[0], hidden * channels)), conv1_bias(fit(t[1], hidden)),
        norm_weight(fit(t[2], hidden)), norm_bias(fit(t[3], hidden)),
        conv_h_weight(fit(t[4], hidden * channels)), conv_h_bias(fit(t[5], channels)),
        conv_w_weight(fit(t[6], hidden * channels)), conv_w_bias(fit(t[7], channels)) {}

  int64_t hidden;
  Tensor conv1_weight, conv1_bias, norm_weight, norm_bias;
  Tensor conv_h_weight, conv_h_bias, conv_w_weight, conv_w_bias;

 private:
  static Tensor fit(const Tensor& t, int64_t size) {
    TORCH_CHECK(t.numel() == size, "mmca: a parameter of the attention is ", t.sizes(), ", which ",
                "does not fit its channels and 1x1 convolutions; for other layers set ",
                "MMCA_ATTENTION=plain");
    return t.contiguous();
  }
};

}  // namespace mmca
