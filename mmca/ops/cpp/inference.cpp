// The attention with the layers around it as operators, for fixed statistics.
#include "inference.h"
#include "operators.h"

#include <ATen/ops/batch_norm.h>
#include <ATen/ops/conv2d.h>

namespace mmca {
namespace {

// As mmca.ops.cpp_kernels.FixedNorm has them.
Norm norm_of(const Tensors& norm, double eps, int64_t channels) {
  TORCH_CHECK(norm.size() == 4, "mmca: a norm has 4 tensors");
  for (const Tensor& tensor : norm) {
    TORCH_CHECK(tensor.is_contiguous() && tensor.numel() == channels, "mmca: norm and map differ");
  }
  return {data(norm[0]), data(norm[1]), data(norm[2]), data(norm[3]), static_cast<float>(eps)};
}

// In place: x passes a batch norm, maybe ReLU6, and the attention.
void infer(Tensor& x, Tensors norm, double norm_eps, bool relu6, Tensors weights, Tensors running,
           double eps) {
  const Shape s = shape_of(x);
  const Weights w(weights, s.channels);
  float* const scale = scratch<Use::scales>(2 * (s.channels + w.hidden));
  float *const shift = scale + s.channels, *const inner = shift + s.channels;
  norm_of(norm, norm_eps, s.channels).fold(s.channels, scale, shift);
  norm_of({running[0], running[1], w.norm_weight, w.norm_bias}, eps, w.hidden)
      .fold(w.hidden, inner, inner + w.hidden);
  const Attention attention{{1, s.channels, s.height, s.width, s.channels_last},
                            w.hidden, {scale, shift}, relu6,
                            data(w.conv1_weight), data(w.conv1_bias), {inner, inner + w.hidden},
                            data(w.conv_h_weight), data(w.conv_h_bias),
                            data(w.conv_w_weight), data(w.conv_w_bias)};
  with_data(x, [&](auto* map) { attend(attention, s.images, map); });
}

// infer() in place, then a 1x1 convolution, {weight} or {weight, bias}, and a batch norm.
Tensor infer_projected(Tensor& x, Tensors norm, double norm_eps, bool relu6, Tensors weights,
                       Tensors running, double eps, Tensors conv, Tensors last, double last_eps) {
  infer(x, norm, norm_eps, relu6, weights, running, eps);
  const Tensor out = at::conv2d(x, conv[0], conv.size() > 1 ? conv[1] : Tensor());
  return at::batch_norm(out, last[2], last[3], last[0], last[1], false, 0.0, last_eps, false);
}

}  // namespace
}  // namespace mmca

MMCA_LIBRARY(MMCA_NAMESPACE, m) {
  m.def("forward(Tensor(a!) x, bool relu6, Tensor[] weights, Tensor(b!)[] running, bool of_batch,"
        " float momentum, float eps) -> Tensor[]");
  m.def("backward(Tensor g, Tensor x, bool relu6, Tensor[] kept, Tensor[] weights,"
        " Tensor[] running, bool of_batch, float eps, Tensor(a!) grad_x, Tensor(b!)[] gated)"
        " -> Tensor[]");
  m.def("infer(Tensor(a!) x, Tensor[] norm, float norm_eps, bool relu6, Tensor[] weights,"
        " Tensor[] running, float eps) -> ()");
  m.def("infer_projected(Tensor(a!) x, Tensor[] norm, float norm_eps, bool relu6,"
        " Tensor[] weights, Tensor[] running, float eps, Tensor[] conv, Tensor[] last,"
        " float last_eps) -> Tensor");
}

MMCA_KERNELS(MMCA_NAMESPACE, m) {
  m.impl("infer", mmca::infer);
  m.impl("infer_projected", mmca::infer_projected);
}
