// The kernels as operators of torch; mmca/ops/kernels.py hands them on.
#include "kernels.h"
#include "middle.h"

#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <torch/library.h>

#include <tuple>
#include <vector>

namespace mmca {
namespace {

using at::Tensor;

Shape shape_of(const Tensor& x) {
  TORCH_CHECK(x.dim() == 4, "mmca: expected a map (N, C, H, W), got ", x.dim(), " dimensions");
  // Both at once where H * W or C is 1: then the formats do not differ.
  const bool nchw = x.is_contiguous();
  TORCH_CHECK(nchw || x.is_contiguous(at::MemoryFormat::ChannelsLast), "mmca: map is not dense");
  return {x.size(0), x.size(1), x.size(2), x.size(3), !nchw};
}

// Profiles are (N, C, L) to the outside, dense as (N, L, C) inside.
Tensor new_profile(const Tensor& x, int64_t axis) {
  const auto type = x.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
  return at::empty({x.size(0), x.size(axis), x.size(1)}, x.options().dtype(type)
                   .memory_format(at::MemoryFormat::Contiguous)).transpose(1, 2);
}

Tensor rows_of(const Tensor& profile, const Tensor& x, int64_t axis) {
  TORCH_CHECK(profile.dim() == 3 && profile.size(0) == x.size(0) &&
              profile.size(1) == x.size(1) && profile.size(2) == x.size(axis),
              "mmca: profile ", profile.sizes(), " does not fit map ", x.sizes());
  const auto type = x.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
  return profile.to(type).transpose(1, 2).contiguous();
}

template <typename T>
T* data(const Tensor& t) {
  return t.data_ptr<T>();
}

// Calls f with a value of the map's type.
template <typename F>
void with_type(const Tensor& x, const F& f) {
  switch (x.scalar_type()) {
    case at::kFloat: return f(float());
    case at::kDouble: return f(double());
    case at::kBFloat16: return f(c10::BFloat16());
    default: TORCH_CHECK(false, "mmca: no kernel for ", x.scalar_type());
  }
}

template <typename F>
void with_wide_type(const Tensor& x, const F& f) {
  x.scalar_type() == at::kDouble ? f(double()) : f(float());
}

void check_like(const Tensor& g, const Tensor& x) {
  TORCH_CHECK(g.sizes() == x.sizes() && g.strides() == x.strides() && g.dtype() == x.dtype(),
              "mmca: gradient and map differ in shape, type or layout");
}

std::tuple<Tensor, Tensor> dual_pool_op(const Tensor& x) {
  const Shape s = shape_of(x);
  Tensor pool_h = new_profile(x, 2), pool_w = new_profile(x, 3);
  with_type(x, [&](auto type) {
    using T = decltype(type);
    dual_pool<T>(s, data<T>(x), data<Wide<T>>(pool_h), data<Wide<T>>(pool_w));
  });
  return {pool_h, pool_w};
}

Tensor gate_op(const Tensor& x, const Tensor& gate_h, const Tensor& gate_w) {
  const Shape s = shape_of(x);
  const Tensor by_h = rows_of(gate_h, x, 2), by_w = rows_of(gate_w, x, 3);
  Tensor out = at::empty_like(x);
  with_type(x, [&](auto type) {
    using T = decltype(type);
    gate<T>(s, data<T>(x), data<Wide<T>>(by_h), data<Wide<T>>(by_w), data<T>(out));
  });
  return out;
}

std::tuple<Tensor, Tensor> gradients_of_gates(const Tensor& g, const Tensor& x,
                                              const Tensor& gate_h, const Tensor& gate_w,
                                              Tensor* out) {
  const Shape s = shape_of(x);
  check_like(g, x);
  const Tensor by_h = rows_of(gate_h, x, 2), by_w = rows_of(gate_w, x, 3);
  Tensor grad_h = new_profile(x, 2), grad_w = new_profile(x, 3);
  with_type(x, [&](auto type) {
    using T = decltype(type);
    using A = Wide<T>;
    gate_gradients<T>(s, data<T>(g), data<T>(x), data<A>(by_h), data<A>(by_w), data<A>(grad_h),
                      data<A>(grad_w), out != nullptr ? data<T>(*out) : nullptr);
  });
  return {grad_h, grad_w};
}

std::tuple<Tensor, Tensor> gate_gradients_op(const Tensor& g, const Tensor& x,
                                             const Tensor& gate_h, const Tensor& gate_w) {
  return gradients_of_gates(g, x, gate_h, gate_w, nullptr);
}

std::tuple<Tensor, Tensor, Tensor> gate_gradients_and_output_op(const Tensor& g, const Tensor& x,
                                                                const Tensor& gate_h,
                                                                const Tensor& gate_w) {
  Tensor out = at::empty_like(x);
  auto gradients = gradients_of_gates(g, x, gate_h, gate_w, &out);
  return {std::get<0>(gradients), std::get<1>(gradients), out};
}

void input_gradient_op(const Tensor& g, const Tensor& gate_h, const Tensor& gate_w,
                       const Tensor& grad_pool_h, const Tensor& grad_pool_w, Tensor& out) {
  const Shape s = shape_of(g);
  check_like(out, g);
  const Tensor by_h = rows_of(gate_h, g, 2), by_w = rows_of(gate_w, g, 3);
  const Tensor add_h = rows_of(grad_pool_h, g, 2), add_w = rows_of(grad_pool_w, g, 3);
  with_type(g, [&](auto type) {
    using T = decltype(type);
    using A = Wide<T>;
    input_gradient<T>(s, data<T>(g), data<A>(by_h), data<A>(by_w), data<A>(add_h), data<A>(add_w),
                      data<T>(out));
  });
}

using Tensors = at::TensorList;
constexpr int kParameters = 8;  // in the order of struct Parameters

std::vector<Tensor> dense(const Tensors& parameters) {
  TORCH_CHECK(parameters.size() == kParameters, "mmca: expected ", kParameters, " parameters");
  std::vector<Tensor> out;
  for (const Tensor& parameter : parameters) out.push_back(parameter.contiguous());
  return out;
}

template <typename T>
Parameters<T> parameters_of(const std::vector<Tensor>& t) {
  return {data<T>(t[0]), data<T>(t[1]), data<T>(t[2]), data<T>(t[3]),
          data<T>(t[4]), data<T>(t[5]), data<T>(t[6]), data<T>(t[7])};
}

template <typename T>
Statistics<T> statistics_of(const Tensors& running, bool batch, double momentum, double epsilon) {
  TORCH_CHECK(running.size() == 2 || (batch && running.empty()), "mmca: no running statistics");
  if (running.empty()) return {nullptr, nullptr, batch, momentum, epsilon};
  return {data<T>(running[0]), data<T>(running[1]), batch, momentum, epsilon};
}

// Returns the gates, then conv1's output, the mean and 1 / deviation.
std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor> middle_forward_op(
    const Tensor& pool_h, const Tensor& pool_w, Tensors parameters,
    Tensors running, bool batch, double momentum, double epsilon) {
  const Tensor in_h = pool_h.transpose(1, 2).contiguous();
  const Tensor in_w = pool_w.transpose(1, 2).contiguous();
  Tensor gate_h = at::empty_like(in_h), gate_w = at::empty_like(in_w);
  const Sizes s{in_h.size(0) * in_h.size(1), in_w.size(0) * in_w.size(1), in_h.size(2),
                parameters[0].size(0)};
  Tensor features = at::empty({s.rows_h + s.rows_w, s.middle}, in_h.options());
  Tensor mean = at::empty({s.middle}, in_h.options()), over_deviation = at::empty_like(mean);
  const std::vector<Tensor> dense_parameters = dense(parameters);
  with_wide_type(in_h, [&](auto type) {
    using T = decltype(type);
    middle_forward<T>(s, data<T>(in_h), data<T>(in_w), parameters_of<T>(dense_parameters),
                      statistics_of<T>(running, batch, momentum, epsilon),
                      data<T>(gate_h), data<T>(gate_w), data<T>(features), data<T>(mean),
                      data<T>(over_deviation));
  });
  return {gate_h.transpose(1, 2), gate_w.transpose(1, 2), features, mean, over_deviation};
}

// Returns the gradients of both pools, then those of the parameters.
std::vector<Tensor> middle_backward_op(
    const Tensor& grad_gate_h, const Tensor& grad_gate_w, const Tensor& pool_h,
    const Tensor& pool_w, const Tensor& gate_h, const Tensor& gate_w, const Tensor& features,
    const Tensor& mean, const Tensor& over_deviation, Tensors parameters, bool batch) {
  const auto rows = [](const Tensor& t) { return t.transpose(1, 2).contiguous(); };
  const Tensor g_h = rows(grad_gate_h), g_w = rows(grad_gate_w);
  const Tensor in_h = rows(pool_h), in_w = rows(pool_w), by_h = rows(gate_h), by_w = rows(gate_w);
  const Sizes s{in_h.size(0) * in_h.size(1), in_w.size(0) * in_w.size(1), in_h.size(2),
                parameters[0].size(0)};
  Tensor grad_h = at::empty_like(in_h), grad_w = at::empty_like(in_w);
  std::vector<Tensor> out = {grad_h.transpose(1, 2), grad_w.transpose(1, 2)};
  for (const Tensor& parameter : parameters) {
    out.push_back(at::empty_like(parameter, parameter.options(), at::MemoryFormat::Contiguous));
  }
  const std::vector<Tensor> dense_parameters = dense(parameters);
  with_wide_type(in_h, [&](auto type) {
    using T = decltype(type);
    const Gradients<T> gradients{data<T>(out[2]), data<T>(out[3]), data<T>(out[4]),
                                 data<T>(out[5]), data<T>(out[6]), data<T>(out[7]),
                                 data<T>(out[8]), data<T>(out[9])};
    middle_backward<T>(s, data<T>(g_h), data<T>(g_w), data<T>(in_h), data<T>(in_w),
                       data<T>(by_h), data<T>(by_w), data<T>(features), data<T>(mean),
                       data<T>(over_deviation), batch, parameters_of<T>(dense_parameters),
                       data<T>(grad_h), data<T>(grad_w), gradients);
  });
  return out;
}

void block_op(const Tensor& x, Tensors parameters, Tensors running, double epsilon, Tensor& out) {
  const Shape s = shape_of(x);
  check_like(out, x);
  const std::vector<Tensor> dense_parameters = dense(parameters);
  with_type(x, [&](auto type) {
    using T = decltype(type);
    using A = Wide<T>;
    block_inference<T>(s, parameters[0].size(0), data<T>(x), parameters_of<A>(dense_parameters),
                       statistics_of<A>(running, false, 0, epsilon), data<T>(out));
  });
}

}  // namespace
}  // namespace mmca

// A library for each instruction set, so that one process can load both.
#define MMCA_LIBRARY(name, m) TORCH_LIBRARY(name, m)
#define MMCA_KERNELS(name, m) TORCH_LIBRARY_IMPL(name, CPU, m)

MMCA_LIBRARY(MMCA_NAMESPACE, m) {
  m.def("dual_pool(Tensor x) -> (Tensor, Tensor)");
  m.def("gate(Tensor x, Tensor gate_h, Tensor gate_w) -> Tensor");
  m.def("gate_gradients(Tensor g, Tensor x, Tensor gate_h, Tensor gate_w) -> (Tensor, Tensor)");
  m.def("gate_gradients_and_output(Tensor g, Tensor x, Tensor gate_h, Tensor gate_w)"
        " -> (Tensor, Tensor, Tensor)");
  m.def("input_gradient(Tensor g, Tensor gate_h, Tensor gate_w, Tensor grad_pool_h,"
        " Tensor grad_pool_w, Tensor(a!) out) -> ()");
  m.def("middle_forward(Tensor pool_h, Tensor pool_w, Tensor[] parameters,"
        " Tensor(a!)[] running, bool batch, float momentum, float epsilon)"
        " -> (Tensor, Tensor, Tensor, Tensor, Tensor)");
  m.def("middle_backward(Tensor grad_gate_h, Tensor grad_gate_w, Tensor pool_h, Tensor pool_w,"
        " Tensor gate_h, Tensor gate_w, Tensor features, Tensor mean, Tensor over_deviation,"
        " Tensor[] parameters, bool batch) -> Tensor[]");
  m.def("block(Tensor x, Tensor[] parameters, Tensor[] running, float epsilon, Tensor(a!) out)"
        " -> ()");
}

MMCA_KERNELS(MMCA_NAMESPACE, m) {
  m.impl("dual_pool", mmca::dual_pool_op);
  m.impl("gate", mmca::gate_op);
  m.impl("gate_gradients", mmca::gate_gradients_op);
  m.impl("gate_gradients_and_output", mmca::gate_gradients_and_output_op);
  m.impl("input_gradient", mmca::input_gradient_op);
  m.impl("middle_forward", mmca::middle_forward_op);
  m.impl("middle_backward", mmca::middle_backward_op);
  m.impl("block", mmca::block_op);
}
