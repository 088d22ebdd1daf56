// Coordinate attention (Hou et al., CVPR 2021, Eq. 4 to 9) as one operator of ONNX Runtime, in
// inference: batch norm is folded into the shared convolution.
//
//   z_h[c, h] = mean over w of x[c, h, w],  z_w[c, w] = mean over h                  (Eq. 4, 5)
//   f   = h_swish(w1 [z_h, z_w] + b1)                                                (Eq. 6)
//   g_h = sigmoid(wh f_h + bh),  g_w = sigmoid(ww f_w + bw)                          (Eq. 7, 8)
//   y[c, h, w] = x[c, h, w] g_h[c, h] g_w[c, w]                                      (Eq. 9)
//
// Inputs, float32: x (N, C, H, W), w1 (M, C), b1 (M), wh (M, C), bh (C), ww (M, C), bw (C); in the
// weights C is filled up with zeros to whole groups of 16.
// Attribute: block, 1: x lies in memory as its shape says, 8 or 16: in the blocked layout of ONNX
// Runtime's convolutions, (N, C' / block, H, W, block), with C' the channels filled up to whole
// blocks.

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <vector>

namespace {

// ONNX Runtime's wheel has no headers. Its C API is a table of functions to which new ones are
// added at the end alone; these are places in it, named as there.
enum Place {
  GetErrorMessage = 2,
  CreateCustomOpDomain = 26,
  CustomOpDomain_Add = 27,
  AddCustomOpDomain = 28,
  GetTensorMutableData = 51,
  GetDimensionsCount = 61,
  GetDimensions = 62,
  GetTensorTypeAndShape = 65,
  KernelInfoGetAttribute_int64 = 86,
  KernelContext_GetInput = 90,
  KernelContext_GetOutput = 91,
  ReleaseTensorTypeAndShapeInfo = 99,
  ShapeInferContext_GetInputTypeShape = 268,
  ShapeInferContext_SetOutputTypeShape = 270,
  KernelContext_ParallelFor = 274,
};
constexpr uint32_t kApiVersion = 18;

struct Api {
  void* const* table;

  template <class... Args>
  void call(Place place, Args... args) const {
    using Function = void* (*)(Args...);
    void* status = reinterpret_cast<Function>(table[place])(args...);
    if (status != nullptr)
      throw std::runtime_error(
          reinterpret_cast<const char* (*)(const void*)>(table[GetErrorMessage])(status));
  }

  std::vector<int64_t> shape(const void* value, size_t rank) const {
    void* info = nullptr;
    call(GetTensorTypeAndShape, value, &info);
    std::vector<int64_t> sizes(rank);
    call(GetDimensions, static_cast<const void*>(info), sizes.data(), rank);
    reinterpret_cast<void (*)(void*)>(table[ReleaseTensorTypeAndShapeInfo])(info);
    return sizes;
  }
};

using Floats = std::unique_ptr<float[]>;
Floats floats(size_t count) { return Floats(new float[count]); }

constexpr int kGroup = 16;  // channels worked on at once: a block, or two of 8
typedef float Vector __attribute__((vector_size(4 * kGroup), aligned(4)));
typedef int32_t Whole __attribute__((vector_size(4 * kGroup)));

inline Vector load(const float* from) { return *reinterpret_cast<const Vector*>(from); }
inline void store(float* to, Vector value) { *reinterpret_cast<Vector*>(to) = value; }
inline Vector all(float value) { return value - Vector{}; }

// 1 / (1 + exp(-x)), with Cephes' expf.
inline Vector sigmoid(Vector x) {
  x = -x;
  x = x < all(-87) ? all(-87) : x;
  x = x > all(88) ? all(88) : x;
  const Vector scaled = x * 1.44269504f;
  const Whole power =
      __builtin_convertvector(scaled + (scaled < all(0) ? all(-0.5f) : all(0.5f)), Whole);
  const Vector n = __builtin_convertvector(power, Vector);
  const Vector r = x - n * 0.693359375f + n * 2.12194440e-4f;
  Vector p = 1.9875691500e-4f * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  const Whole bits = (power + 127) << 23;
  Vector two_to_power;
  std::memcpy(&two_to_power, &bits, sizeof bits);
  return 1 / (1 + (p * r * r + r + 1) * two_to_power);
}

// One image: sizes, weights, and what lies between the steps.
struct Image {
  const float* x;
  float* y;
  int64_t channels, height, width, positions;  // positions: height + width
  int64_t features, filled;                    // filled: C up to whole groups
  const float *w1, *b1, *wh, *bh, *ww, *bw;
  float* profiles;  // (H + W, C): z_h and z_w
  float* hidden;    // (H + W, M): f
};

// The pixels of a group of channels: (Block channels together, H, W, Block).
template <int Block>
struct Pixels {
  int64_t offset, step;  // of the group; from one part of Block channels to the next
  int parts;

  Pixels(const Image& image, int64_t group) {
    step = image.height * image.width * Block;
    offset = group * (kGroup / Block) * step;
    const int64_t left = (image.channels - group * kGroup + Block - 1) / Block;
    parts = static_cast<int>(std::min<int64_t>(kGroup / Block, left));
  }
};

// z_h and z_w of a group of channels.
template <int Block>
void pool(void* data, size_t group) {
  const Image& image = *static_cast<Image*>(data);
  const int64_t height = image.height, width = image.width, stride = image.filled;
  const Pixels<Block> pixels(image, group);
  float* profiles = image.profiles + group * kGroup;
  const float to_row = 1.0f / width, to_column = 1.0f / height;
  for (int64_t p = 0; p < image.positions; ++p) store(profiles + p * stride, all(0));
  if (Block == kGroup) {
    Floats memory = floats(width * kGroup);
    float* columns = memory.get();
    std::fill(columns, columns + width * kGroup, 0.0f);
    for (int64_t h = 0; h < height; h += 2) {
      const float* row = image.x + pixels.offset + h * width * kGroup;
      const bool is_pair = h + 1 < height;
      const float* next = is_pair ? row + width * kGroup : row;
      Vector sum = all(0), next_sum = all(0);
      for (int64_t w = 0; w < width * kGroup; w += kGroup) {
        const Vector a = load(row + w), b = load(next + w);
        sum += a;
        next_sum += b;
        store(columns + w, load(columns + w) + (is_pair ? a + b : a));
      }
      store(profiles + h * stride, sum * to_row);
      if (is_pair) store(profiles + (h + 1) * stride, next_sum * to_row);
    }
    for (int64_t w = 0; w < width; ++w)
      store(profiles + (height + w) * stride, load(columns + w * kGroup) * to_column);
    return;
  }
  Floats memory = floats(width * Block);
  float* __restrict columns = memory.get();
  for (int part = 0; part < pixels.parts; ++part, profiles += Block) {
    const float* x = image.x + pixels.offset + part * pixels.step;
    std::fill(columns, columns + width * Block, 0.0f);
    for (int64_t h = 0; h < height; ++h) {
      const float* __restrict row = x + h * width * Block;
      float sums[Block] = {};
      for (int64_t w = 0; w < width; ++w)
        for (int i = 0; i < Block; ++i) sums[i] += row[w * Block + i];
      for (int64_t i = 0; i < width * Block; ++i) columns[i] += row[i];
      for (int i = 0; i < Block; ++i) profiles[h * stride + i] = sums[i] * to_row;
    }
    for (int64_t w = 0; w < width; ++w)
      for (int i = 0; i < Block; ++i)
        profiles[(height + w) * stride + i] = columns[w * Block + i] * to_column;
  }
}

// f at a few positions.
constexpr int64_t kPositions = 8;
void share(void* data, size_t group) {
  const Image& image = *static_cast<Image*>(data);
  const int64_t first = group * kPositions, C = image.filled, M = image.features;
  const int64_t count = std::min(kPositions, image.positions - first);
  const float* z[kPositions];
  for (int64_t i = 0; i < kPositions; ++i)
    z[i] = image.profiles + (first + std::min(i, count - 1)) * C;
  for (int64_t m = 0; m < M; ++m) {
    Vector sums[kPositions] = {};
    for (int64_t c = 0; c < C; c += kGroup) {
      const Vector weights = load(image.w1 + m * C + c);
      for (int64_t i = 0; i < kPositions; ++i) sums[i] += weights * load(z[i] + c);
    }
    for (int64_t i = 0; i < count; ++i) {
      float v = image.b1[m];
      for (int lane = 0; lane < kGroup; ++lane) v += sums[i][lane];
      image.hidden[(first + i) * M + m] = v * std::min(std::max(v + 3, 0.0f), 6.0f) / 6;
    }
  }
}

// The gates of a group of channels at `count` positions, (count, kGroup).
void gate(const Image& image, const float* weights, const float* bias, int64_t group,
          const float* hidden, int64_t count, float* gates) {
  const int64_t C = image.filled, M = image.features;
  weights += group * kGroup;
  for (int64_t first = 0; first < count; first += kPositions) {
    const float* f[kPositions];
    Vector sums[kPositions];
    for (int64_t i = 0; i < kPositions; ++i) {
      f[i] = hidden + std::min(first + i, count - 1) * M;
      sums[i] = load(bias + group * kGroup);
    }
    for (int64_t m = 0; m < M; ++m) {
      const Vector of_feature = load(weights + m * C);
      for (int64_t i = 0; i < kPositions; ++i) sums[i] += of_feature * f[i][m];
    }
    for (int64_t i = 0; i < std::min(kPositions, count - first); ++i)
      store(gates + (first + i) * kGroup, sigmoid(sums[i]));
  }
}

// y of a group of channels; y may be x.
template <int Block>
void multiply(void* data, size_t group) {
  const Image& image = *static_cast<Image*>(data);
  const int64_t height = image.height, width = image.width;
  Floats memory = floats(image.positions * kGroup);
  float *rows = memory.get(), *columns = rows + height * kGroup;
  gate(image, image.wh, image.bh, group, image.hidden, height, rows);
  gate(image, image.ww, image.bw, group, image.hidden + height * image.features, width, columns);
  const Pixels<Block> pixels(image, group);
  if (Block == kGroup) {
    for (int64_t h = 0; h < height; ++h) {
      const int64_t start = pixels.offset + h * width * kGroup;
      const Vector row = load(rows + h * kGroup);
      for (int64_t w = 0; w < width; ++w)
        store(image.y + start + w * kGroup,
              load(image.x + start + w * kGroup) * (row * load(columns + w * kGroup)));
    }
    return;
  }
  Floats spare = floats(width * Block);
  float* __restrict of_part = spare.get();
  for (int part = 0; part < pixels.parts; ++part) {
    for (int64_t w = 0; w < width; ++w)
      std::copy_n(columns + w * kGroup + part * Block, Block, of_part + w * Block);
    for (int64_t h = 0; h < height; ++h) {
      const int64_t start = pixels.offset + part * pixels.step + h * width * Block;
      float row[Block];
      std::copy_n(rows + h * kGroup + part * Block, Block, row);
      for (int64_t w = 0; w < width; ++w)
        for (int i = 0; i < Block; ++i)
          image.y[start + w * Block + i] =
              image.x[start + w * Block + i] * (row[i] * of_part[w * Block + i]);
    }
  }
}

struct Kernel {
  Api api;
  int64_t block;

  using Step = void (*)(void*, size_t);

  // Small ones are not worth a thread's start.
  void run(const void* context, Step step, Image& image, size_t tasks, int64_t work) const {
    if (tasks < 2 || work < 1 << 16)
      for (size_t i = 0; i < tasks; ++i) step(&image, i);
    else
      api.call(KernelContext_ParallelFor, context, step, tasks, size_t{0},
               static_cast<void*>(&image));
  }

  template <int Block>
  void compute(const void* context, Image image) const {
    const int64_t P = image.positions, groups = image.filled / kGroup;
    const int64_t pixels = image.filled * image.height * image.width;
    run(context, pool<Block>, image, groups, pixels);
    run(context, share, image, (P + kPositions - 1) / kPositions,
        image.features * image.filled * P / kGroup);
    run(context, multiply<Block>, image, groups, pixels);
  }

  void operator()(const void* context) const {
    const float* inputs[7];
    std::vector<int64_t> shape, weights;
    for (size_t i = 0; i < 7; ++i) {
      const void* value = nullptr;
      void* data = nullptr;
      api.call(KernelContext_GetInput, context, i, &value);
      api.call(GetTensorMutableData, value, &data);
      inputs[i] = static_cast<const float*>(data);
      if (i == 0) shape = api.shape(value, 4);
      if (i == 1) weights = api.shape(value, 2);
    }
    void *value = nullptr, *result = nullptr;
    api.call(KernelContext_GetOutput, context, size_t{0},
             static_cast<const int64_t*>(shape.data()), shape.size(), &value);
    api.call(GetTensorMutableData, static_cast<const void*>(value), &result);
    const int64_t features = weights[0], filled = weights[1];
    if ((shape[1] + kGroup - 1) / kGroup * kGroup != filled || shape[1] % block != 0)
      throw std::runtime_error("CoordinateAttention: x has other channels than the weights");
    const int64_t positions = shape[2] + shape[3], size = shape[1] * shape[2] * shape[3];
    Floats profiles = floats(filled * positions), hidden = floats(features * positions);
    for (int64_t n = 0; n < shape[0]; ++n) {
      const Image image{inputs[0] + n * size, static_cast<float*>(result) + n * size, shape[1],
                        shape[2], shape[3], positions, features, filled, inputs[1], inputs[2],
                        inputs[3], inputs[4], inputs[5], inputs[6], profiles.get(), hidden.get()};
      if (block == 16)
        compute<16>(context, image);
      else if (block == 8)
        compute<8>(context, image);
      else
        compute<1>(context, image);
    }
  }
};

// ONNX Runtime's description of an operator.
struct CustomOp {
  uint32_t version = kApiVersion;
  void* (*create)(const CustomOp*, const void* api, const void* info) =
      [](const CustomOp*, const void* api, const void* info) -> void* {
    auto kernel = std::make_unique<Kernel>();
    kernel->api.table = static_cast<void* const*>(api);
    kernel->api.call(KernelInfoGetAttribute_int64, info, "block", &kernel->block);
    return kernel.release();
  };
  const char* (*name)(const CustomOp*) = [](const CustomOp*) { return "CoordinateAttention"; };
  const char* (*provider)(const CustomOp*) = [](const CustomOp*) -> const char* { return nullptr; };
  int (*input_type)(const CustomOp*, size_t) = [](const CustomOp*, size_t) { return 1; };  // float
  size_t (*inputs)(const CustomOp*) = [](const CustomOp*) { return size_t{7}; };
  int (*output_type)(const CustomOp*, size_t) = [](const CustomOp*, size_t) { return 1; };
  size_t (*outputs)(const CustomOp*) = [](const CustomOp*) { return size_t{1}; };
  void (*compute)(void*, const void*) = [](void* kernel, const void* context) {
    (*static_cast<Kernel*>(kernel))(context);
  };
  void (*destroy)(void*) = [](void* kernel) { delete static_cast<Kernel*>(kernel); };
  int (*input_kind)(const CustomOp*, size_t) = [](const CustomOp*, size_t) { return 0; };  // required
  int (*output_kind)(const CustomOp*, size_t) = [](const CustomOp*, size_t) { return 0; };
  int (*memory)(const CustomOp*, size_t) = [](const CustomOp*, size_t) { return 0; };  // the usual
  // Of numbers of inputs and outputs that vary, and other ways to make and run a kernel.
  void* unused[6] = {};
  void* (*infer_shape)(const CustomOp*, void* context) = [](const CustomOp*, void* context) {
    const void* shape = nullptr;
    const auto* api = CustomOp::api;
    size_t rank = 0;
    int64_t sizes[4] = {};
    api->call(ShapeInferContext_GetInputTypeShape, context, size_t{0}, &shape);
    api->call(GetDimensionsCount, shape, &rank);
    if (rank == 4) api->call(GetDimensions, shape, &sizes[0], rank);
    // Free sizes, -1, would all be taken for the same.
    if (*std::min_element(sizes, sizes + 4) > 0)
      api->call(ShapeInferContext_SetOutputTypeShape, context, size_t{0}, shape);
    return static_cast<void*>(nullptr);
  };
  int (*first_version)(const CustomOp*) = [](const CustomOp*) { return 1; };
  int (*last_version)(const CustomOp*) = [](const CustomOp*) { return 1; };
  // y may lie where x does.
  size_t (*in_place)(int** inputs, int** outputs) = [](int** inputs, int** outputs) {
    static int first = 0;
    *inputs = *outputs = &first;
    return size_t{1};
  };
  void (*forget_in_place)(int*, int*) = [](int*, int*) {};
  void* aliases[2] = {};

  static const Api* api;
};
const Api* CustomOp::api = nullptr;

struct ApiBase {
  const void* (*get_api)(uint32_t version);
};

}  // namespace

// Called by ONNX Runtime when a session registers the library.
extern "C" void* RegisterCustomOps(void* options, const ApiBase* base) {
  static const CustomOp op;
  static const Api api{static_cast<void* const*>(base->get_api(kApiVersion))};
  if (api.table == nullptr) throw std::runtime_error("ONNX Runtime is older than 1.18");
  CustomOp::api = &api;
  void* domain = nullptr;  // is used as long as the process lives
  api.call(CreateCustomOpDomain, "mmca", &domain);
  api.call(CustomOpDomain_Add, domain, &op);
  api.call(AddCustomOpDomain, options, domain);
  return nullptr;
}
