// The kernels as operators of torch; mmca/ops/kernels.py hands them on.
#include "kernels.h"
#include "middle.h"

#include <ATen/core/Tensor.h>
#include <ATen/ops/batch_norm.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/convolution_backward.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <torch/library.h>

#include <array>
#include <tuple>
#include <vector>

namespace mmca {
namespace {

using at::Tensor;
constexpr auto kPlain = at::MemoryFormat::Contiguous;

// Type of the profiles.
at::ScalarType wide(const Tensor& x) {
  return x.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
}

Shape shape_of(const Tensor& x) {
  TORCH_CHECK(x.dim() == 4, "mmca: expected a map (N, C, H, W), got ", x.dim(), " dimensions");
  // Both at once where H * W or C is 1: then the formats do not differ.
  const bool nchw = x.is_contiguous();
  TORCH_CHECK(nchw || x.is_contiguous(at::MemoryFormat::ChannelsLast), "mmca: map is not dense");
  return {x.size(0), x.size(1), x.size(2), x.size(3), !nchw};
}

// Profiles are (N, C, L) to the outside, dense as (N, L, C) inside.
Tensor new_profile(const Tensor& x, int64_t axis) {
  const auto options = x.options().dtype(wide(x)).memory_format(kPlain);
  return at::empty({x.size(0), x.size(axis), x.size(1)}, options).transpose(1, 2);
}

Tensor rows_of(const Tensor& profile, const Tensor& x, int64_t axis) {
  TORCH_CHECK(profile.dim() == 3 && profile.size(0) == x.size(0) &&
              profile.size(1) == x.size(1) && profile.size(2) == x.size(axis),
              "mmca: profile ", profile.sizes(), " does not fit map ", x.sizes());
  return profile.to(wide(x)).transpose(1, 2).contiguous();
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

void check_like(const Tensor& g, const Tensor& x) {
  TORCH_CHECK(g.sizes() == x.sizes() && g.strides() == x.strides() && g.dtype() == x.dtype(),
              "mmca: gradient and map differ in shape, type or layout");
}

std::tuple<Tensor, Tensor> dual_pool_op(const Tensor& x) {
  const Shape s = shape_of(x);
  Tensor pool_h = new_profile(x, 2), pool_w = new_profile(x, 3);
  with_type(x, [&](auto type) {
    using T = decltype(type);
    dual_pool<T>(s, data<T>(x), {}, data<Wide<T>>(pool_h), data<Wide<T>>(pool_w));
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
                      nullptr, data<T>(out));
  });
}

using Tensors = at::TensorList;
constexpr int kParameters = 8;  // in the order of struct Parameters

std::vector<Tensor> dense(const Tensors& parameters, int64_t channels) {
  TORCH_CHECK(parameters.size() == kParameters, "mmca: expected ", kParameters, " parameters");
  const int64_t middle = parameters[0].size(0), weights = middle * channels;
  const int64_t sizes[] = {weights, middle, middle, middle, weights, channels, weights, channels};
  std::vector<Tensor> out;
  out.reserve(kParameters);
  for (int i = 0; i < kParameters; ++i) {
    TORCH_CHECK(parameters[i].numel() == sizes[i], "mmca: parameter ", i, " of the attention is ",
                parameters[i].sizes(), ", which does not fit ", channels, " channels and 1x1 "
                "convolutions; for other layers set MMCA_ATTENTION=plain");
    out.push_back(parameters[i].contiguous());
  }
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

// Both profiles of a map in one piece, as middle.h has them.
struct Profiles {
  explicit Profiles(const Tensor& x)
      : tensor(at::empty({x.size(0) * (x.size(2) + x.size(3)), x.size(1)},
                         x.options().dtype(wide(x)).memory_format(kPlain))),
        split(x.size(0) * x.size(2) * x.size(1)) {}
  Profiles(const Tensor& kept, const Tensor& x)
      : tensor(kept), split(x.size(0) * x.size(2) * x.size(1)) {}

  template <typename A>
  A* along_height() const { return data<A>(tensor); }
  template <typename A>
  A* along_width() const { return data<A>(tensor) + split; }

  Tensor tensor;
  int64_t split;
};

Sizes sizes_of(const Shape& s, Tensors parameters) {
  return {s.images * s.height, s.images * s.width, s.channels, parameters[0].size(0)};
}

// A 1x1 convolution that follows: {}, {weight} or {weight, bias}.
Tensor project(const Tensor& gated, Tensors projection) {
  if (projection.empty()) return gated;
  return at::conv2d(gated, projection[0], projection.size() > 1 ? projection[1] : Tensor());
}

// Returns the gated map, or what the projection makes of it, and what backward needs: pools,
// gates, conv1's output, the mean and 1 / deviation. With `clamp`, x is clamped to 0 ... 6 first.
std::vector<Tensor> forward_op(Tensor& x, bool clamp, Tensors parameters, Tensors running,
                               bool batch, double momentum, double epsilon, Tensors projection) {
  const Shape s = shape_of(x);
  const Sizes sizes = sizes_of(s, parameters);
  const Profiles pools(x), gates(x);
  const auto options = pools.tensor.options();
  const Tensor features = at::empty({sizes.rows_h + sizes.rows_w, sizes.middle}, options);
  const Tensor mean = at::empty({sizes.middle}, options), over_deviation = at::empty_like(mean);
  const std::vector<Tensor> dense_parameters = dense(parameters, s.channels);
  const Tensor gated = at::empty_like(x);
  with_type(x, [&](auto type) {
    using T = decltype(type);
    using A = Wide<T>;
    dual_pool<T>(s, data<T>(x), {clamp}, pools.along_height<A>(), pools.along_width<A>());
    middle_forward<A>(sizes, data<A>(pools.tensor), parameters_of<A>(dense_parameters),
                      statistics_of<A>(running, batch, momentum, epsilon),
                      data<A>(gates.tensor), data<A>(features), data<A>(mean),
                      data<A>(over_deviation));
    gate<T>(s, data<T>(x), gates.along_height<A>(), gates.along_width<A>(), data<T>(gated));
  });
  return {project(gated, projection), pools.tensor, gates.tensor, features, mean, over_deviation};
}

// Gradient with the type and the layout of x.
Tensor like(const Tensor& g, const Tensor& x) {
  if (g.dtype() == x.dtype() && g.strides() == x.strides()) return g;
  return at::empty_like(x).copy_(g);
}

std::tuple<Tensor, Tensor, Tensor> projection_backward(const Tensor& g, const Tensor& gated,
                                                       Tensors projection,
                                                       std::array<bool, 3> wanted) {
  // Under autocast the convolution ran in the type that its gradient has.
  at::OptionalIntArrayRef bias_size;
  if (projection.size() > 1) bias_size = projection[1].sizes();
  return at::convolution_backward(g, gated.to(g.dtype()), projection[0].to(g.dtype()), bias_size,
                                  {1, 1}, {0, 0}, {1, 1}, false, {0, 0}, 1, wanted);
}

// Returns the gradients of x, of the parameters, and of the projection's: for those the gated map
// is made again.
std::vector<Tensor> backward_op(const Tensor& g, const Tensor& x, bool clamp,
                                const Tensor& kept_pools,
                                const Tensor& kept_gates, const Tensor& features,
                                const Tensor& mean, const Tensor& over_deviation,
                                Tensors parameters, bool batch, Tensors projection,
                                bool projection_wanted) {
  const Shape s = shape_of(x);
  const Sizes sizes = sizes_of(s, parameters);
  const Profiles pools(kept_pools, x), gates(kept_gates, x), grad_gates(x), grad_pools(x);
  const bool projected = !projection.empty();
  Tensor grad_map = g, gated;
  if (projected) {
    // For this gradient the input's values do not matter.
    grad_map = std::get<0>(projection_backward(g, x, projection, {true, false, false}));
    if (projection_wanted) gated = at::empty_like(x);
  }
  grad_map = like(grad_map, x);
  // The gradient from the projection is nobody else's.
  const Tensor grad_x = projected ? grad_map : at::empty_like(x);
  std::vector<Tensor> out = {grad_x};
  for (const Tensor& parameter : parameters) {
    out.push_back(at::empty_like(parameter, parameter.options(), kPlain));
  }
  const std::vector<Tensor> dense_parameters = dense(parameters, s.channels);
  with_type(x, [&](auto type) {
    using T = decltype(type);
    using A = Wide<T>;
    const A *gate_h = gates.along_height<A>(), *gate_w = gates.along_width<A>();
    gate_gradients<T>(s, data<T>(grad_map), data<T>(x), gate_h, gate_w,
                      grad_gates.along_height<A>(), grad_gates.along_width<A>(),
                      gated.defined() ? data<T>(gated) : nullptr);
    if (gated.defined()) {
      const bool with_bias = projection.size() > 1;
      auto found = projection_backward(g, gated, projection, {false, true, with_bias});
      out.push_back(std::get<1>(found).to(projection[0].dtype()));
      if (with_bias) out.push_back(std::get<2>(found).to(projection[1].dtype()));
      gated = Tensor();
    }
    const Gradients<A> gradients{data<A>(out[1]), data<A>(out[2]), data<A>(out[3]),
                                 data<A>(out[4]), data<A>(out[5]), data<A>(out[6]),
                                 data<A>(out[7]), data<A>(out[8])};
    middle_backward<A>(sizes, data<A>(grad_gates.tensor), data<A>(pools.tensor),
                       data<A>(gates.tensor), data<A>(features), data<A>(mean),
                       data<A>(over_deviation), batch, parameters_of<A>(dense_parameters),
                       data<A>(grad_pools.tensor), gradients);
    input_gradient<T>(s, data<T>(grad_map), gate_h, gate_w, grad_pools.along_height<A>(),
                      grad_pools.along_width<A>(), clamp ? data<T>(x) : nullptr, data<T>(grad_x));
  });
  return out;
}

template <typename A>
Norm<A> norm_of(Tensors t, double epsilon) {
  return {data<A>(t[0]), data<A>(t[1]), data<A>(t[2]), data<A>(t[3]), static_cast<A>(epsilon)};
}

void check_norm(Tensors norm, int64_t channels) {
  TORCH_CHECK(norm.size() == 4, "mmca: a norm has 4 tensors");
  for (const Tensor& tensor : norm) {
    TORCH_CHECK(tensor.is_contiguous() && tensor.numel() == channels, "mmca: norm and map differ");
  }
}

// `norm`, of a batch norm before: {} or {mean, variance, weight, bias}.
void block_op(Tensor& x, Tensors norm, double norm_epsilon, bool clamp, Tensors parameters,
              Tensors running, double epsilon, Tensor& out) {
  const Shape s = shape_of(x);
  check_like(out, x);
  if (!norm.empty()) check_norm(norm, s.channels);
  TORCH_CHECK(norm.empty() || clamp, "mmca: a norm without a clamp");
  const std::vector<Tensor> dense_parameters = dense(parameters, s.channels);
  with_type(x, [&](auto type) {
    using T = decltype(type);
    using A = Wide<T>;
    Norm<A> before;
    if (!norm.empty()) before = norm_of<A>(norm, norm_epsilon);
    block_inference<T>(s, parameters[0].size(0), data<T>(x), norm.empty() ? nullptr : &before,
                       clamp, parameters_of<A>(dense_parameters),
                       statistics_of<A>(running, false, 0, epsilon), data<T>(out));
  });
}

// block_op, then a 1x1 convolution and a batch norm. With `clamp`, x is spoilt.
Tensor block_projected_op(Tensor& x, Tensors norm, double norm_epsilon, bool clamp,
                          Tensors parameters, Tensors running, double epsilon, Tensors projection,
                          Tensors norm_after, double norm_after_epsilon) {
  TORCH_CHECK(!projection.empty(), "mmca: no projection");
  check_norm(norm_after, projection[0].size(0));
  Tensor gated = clamp ? x : at::empty_like(x);
  block_op(x, norm, norm_epsilon, clamp, parameters, running, epsilon, gated);
  const Tensor out = project(gated, projection);
  // Autocast may have chosen a type without kernels.
  if (out.scalar_type() != x.scalar_type()) {
    return at::batch_norm(out, norm_after[2], norm_after[3], norm_after[0], norm_after[1], false,
                          0.0, norm_after_epsilon, false);
  }
  with_type(out, [&](auto type) {
    using T = decltype(type);
    const auto norm_of_out = norm_of<Wide<T>>(norm_after, norm_after_epsilon);
    norm_inference<T>(shape_of(out), norm_of_out, data<T>(out));
  });
  return out;
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
  m.def("forward(Tensor(b!) x, bool clamp, Tensor[] parameters, Tensor(a!)[] running, bool batch,"
        " float momentum, float epsilon, Tensor[] projection) -> Tensor[]");
  m.def("backward(Tensor g, Tensor x, bool clamp, Tensor pools, Tensor gates, Tensor features,"
        " Tensor mean, Tensor over_deviation, Tensor[] parameters, bool batch, Tensor[] projection,"
        " bool projection_wanted) -> Tensor[]");
  m.def("block(Tensor(a!) x, Tensor[] norm, float norm_epsilon, bool clamp, Tensor[] parameters,"
        " Tensor[] running, float epsilon, Tensor(b!) out) -> ()");
  m.def("block_projected(Tensor(a!) x, Tensor[] norm, float norm_epsilon, bool clamp,"
        " Tensor[] parameters, Tensor[] running, float epsilon, Tensor[] projection,"
        " Tensor[] norm_after, float norm_after_epsilon) -> Tensor");
}

MMCA_KERNELS(MMCA_NAMESPACE, m) {
  m.impl("dual_pool", mmca::dual_pool_op);
  m.impl("gate", mmca::gate_op);
  m.impl("gate_gradients", mmca::gate_gradients_op);
  m.impl("gate_gradients_and_output", mmca::gate_gradients_and_output_op);
  m.impl("input_gradient", mmca::input_gradient_op);
  m.impl("forward", mmca::forward_op);
  m.impl("backward", mmca::backward_op);
  m.impl("block", mmca::block_op);
  m.impl("block_projected", mmca::block_projected_op);
}
