// Forward and backward as operators. All profiles of a batch lie in one piece: the (N * H, C) rows of
// one direction, then the (N * W, C) rows of the other.
#include "matrices.h"
#include "operators.h"
#include "passes.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/hardswish.h>
#include <ATen/ops/hardswish_backward.h>
#include <ATen/ops/native_batch_norm.h>
#include <ATen/ops/native_batch_norm_backward.h>
#include <ATen/ops/sigmoid_backward.h>
#include <ATen/ops/sum.h>

#include <tuple>

namespace mmca {
namespace {

struct Rows {
  Rows(const Shape& s, int64_t hidden)
      : high{s.images * s.height, s.channels, hidden, 0, s.channels},
        wide{s.images * s.width, s.channels, hidden, 0, s.channels},
        both{high.rows + wide.rows, s.channels, hidden, 0, s.channels} {}

  Profiles split(const Tensor& t) const { return {data(t), data(t) + high.rows * t.size(1)}; }

  Product high, wide, both;
};

Tensor new_rows(int64_t rows, int64_t columns, const Tensor& x) {
  return at::empty({rows, columns}, x.options().dtype(at::kFloat).memory_format(
                                        at::MemoryFormat::Contiguous));
}

// (C, M, 1, 1) as (M, C), and back.
Tensor transposed(const Tensor& weight) { return weight.flatten(1).t().contiguous(); }

// (rows, M) as (1, M, rows): PyTorch then sums each of the M by one thread, whatever their number.
Tensor by_channel(const Tensor& rows) { return rows.t().contiguous().unsqueeze(0); }
Tensor by_row(const Tensor& channels) { return channels.squeeze(0).t().contiguous(); }

// A running statistic, or nothing.
Tensor one_of(Tensors running, int i) { return running.empty() ? Tensor() : running[i]; }

// Returns the gated map and what backward needs, as mmca.ops.cpp_kernels.Kept names it. With
// `relu6`, x passes it first, in place. `running`: mean and variance, or nothing.
std::vector<Tensor> forward(Tensor& x, bool relu6, Tensors weights, Tensors running, bool of_batch,
                            double momentum, double eps) {
  const Shape s = shape_of(x);
  const Weights w(weights, s.channels);
  const Rows rows(s, w.hidden);
  const Tensor pools = new_rows(rows.both.rows, s.channels, x), gates = at::empty_like(pools);
  const Tensor z = new_rows(rows.both.rows, w.hidden, x), out = at::empty_like(x);
  with_data(x, [&](auto* map) {
    if (relu6) return pool<PrologueKind::relu6>(s, map, rows.split(pools));
    pool<PrologueKind::none>(s, map, rows.split(pools));
  });
  reduce_columns(rows.both, data(pools), data(w.conv1_weight), data(w.conv1_bias), data(z));
  const Tensor features = by_channel(z);
  const auto [normed, mean, inv_std] =
      at::native_batch_norm(features, w.norm_weight, w.norm_bias, one_of(running, 0),
                            one_of(running, 1), of_batch, momentum, eps);
  const Tensor f = by_row(at::hardswish(normed));
  const Tensor conv_h = transposed(w.conv_h_weight), conv_w = transposed(w.conv_w_weight);
  const Profiles in = rows.split(f), to = rows.split(gates);
  over_column_tiles(rows.both, [&](int64_t begin, int64_t size) {
    const Product high = rows.high.part(begin, size), wide = rows.wide.part(begin, size);
    expand_columns(high, in.h, data(conv_h), data(w.conv_h_bias), true, to.h);
    expand_columns(wide, in.w, data(conv_w), data(w.conv_w_bias), true, to.w);
  });
  with_data(x, [&](auto* map) { gate(s, map, to, static_cast<decltype(map)>(out.data_ptr())); });
  return {out, pools, gates, features, normed, mean, inv_std};
}

// Returns the gradients of the weights. `grad_x`, which may be g, the gradient of the gated map, gets
// that of x, before its ReLU6 if there was one; `gated`, one map or none, the gated map again.
std::vector<Tensor> backward(const Tensor& g, const Tensor& x, bool relu6, Tensors kept,
                             Tensors weights, Tensors running, bool of_batch, double eps,
                             Tensor& grad_x, Tensors gated) {
  const Shape s = shape_of(x);
  const Weights w(weights, s.channels);
  const Rows rows(s, w.hidden);
  check_like(g, x);
  check_like(grad_x, x);
  TORCH_CHECK(kept.size() == 6, "mmca: expected what forward kept");
  const Tensor &pools = kept[0], &gates = kept[1], &normed = kept[3];
  const Tensor grad_gates = at::empty_like(gates), grad_pools = at::empty_like(pools);
  const Profiles by = rows.split(gates), grad_by = rows.split(grad_gates);
  with_data(x, [&](auto* map) {
    using Map = decltype(map);
    Map const gradient = static_cast<Map>(g.data_ptr());
    if (gated.empty()) return gate_gradients<false>(s, gradient, map, by, grad_by, map);
    check_like(gated[0], x);
    gate_gradients<true>(s, gradient, map, by, grad_by, static_cast<Map>(gated[0].data_ptr()));
  });

  // Back through the sigmoids and conv_h, conv_w.
  const Tensor f = by_row(at::hardswish(normed)), before = at::sigmoid_backward(grad_gates, gates);
  const Tensor grad_f = at::empty_like(f);
  const Profiles in = rows.split(f), out = rows.split(before), to = rows.split(grad_f);
  reduce_columns(rows.high, out.h, data(transposed(w.conv_h_weight)), nullptr, to.h);
  reduce_columns(rows.wide, out.w, data(transposed(w.conv_w_weight)), nullptr, to.w);
  const Tensor conv_h = new_rows(w.hidden, s.channels, x), conv_w = at::empty_like(conv_h);
  const Tensor bias_h = at::empty_like(w.conv_h_bias), bias_w = at::empty_like(w.conv_w_bias);
  over_column_tiles(rows.both, [&](int64_t begin, int64_t size) {
    const Product high = rows.high.part(begin, size), wide = rows.wide.part(begin, size);
    weight_gradient(high, in.h, out.h, data(conv_h), data(bias_h));
    weight_gradient(wide, in.w, out.w, data(conv_w), data(bias_w));
  });

  // Back through h-swish, batch norm and conv1.
  const auto [grad_features, norm_weight, norm_bias] = at::native_batch_norm_backward(
      at::hardswish_backward(by_channel(grad_f), normed), kept[2], w.norm_weight,
      one_of(running, 0), one_of(running, 1), kept[4], kept[5], of_batch, eps, {true, true, true});
  const Tensor grad_z = by_row(grad_features);
  const Tensor conv1 = at::empty_like(w.conv1_weight);
  over_column_tiles(rows.both, [&](int64_t begin, int64_t size) {
    const Product some = rows.both.part(begin, size);
    weight_gradient(some, data(grad_z), data(pools), data(conv1), nullptr);
    expand_columns(some, data(grad_z), data(w.conv1_weight), nullptr, false, data(grad_pools));
  });

  with_data(x, [&](auto* map) {
    using Map = decltype(map);
    Map const gradient = static_cast<Map>(g.data_ptr()), target = static_cast<Map>(grad_x.data_ptr());
    const Profiles add = rows.split(grad_pools);
    if (relu6) return input_gradient<true>(s, gradient, by, add, map, target);
    input_gradient<false>(s, gradient, by, add, map, target);
  });
  return {conv1.view(weights[0].sizes()), grad_features.squeeze(0).sum(1), norm_weight, norm_bias,
          transposed(conv_h).view(weights[4].sizes()), bias_h,
          transposed(conv_w).view(weights[6].sizes()), bias_w};
}

}  // namespace
}  // namespace mmca

MMCA_KERNELS(MMCA_NAMESPACE, m) {
  m.impl("forward", mmca::forward);
  m.impl("backward", mmca::backward);
}
