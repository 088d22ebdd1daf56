// Vectors of the compiler's own, for loops that it does not vectorise by itself. Maps hold float or
// bfloat16; all arithmetic is in float.
#pragma once

#include <c10/util/BFloat16.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <type_traits>

namespace mmca {

#ifdef __AVX512VL__
constexpr int kLanes = 16;
#else
constexpr int kLanes = 8;
#endif

template <typename A, int lanes>
struct VectorOf {
  typedef A type __attribute__((vector_size(lanes * sizeof(A))));
  // Wherever a number may lie, and whatever type it was stored with. memcpy would do the same, but
  // compilers divide it into smaller parts unless told for which processor.
  typedef A stored __attribute__((vector_size(lanes * sizeof(A)), aligned(alignof(A)), may_alias));
};

template <typename A>
struct VectorOf<A, 1> {
  typedef A type;
  typedef A stored;
};

template <typename A, int lanes>
using VectorType = typename VectorOf<A, lanes>::type;

template <int lanes>
using Vector = VectorType<float, lanes>;

template <typename A, int lanes>
using Stored = typename VectorOf<A, lanes>::stored;

template <int lanes, typename T>
inline Vector<lanes> load(const T* from) {
  if constexpr (std::is_same_v<T, float>) {
    return *reinterpret_cast<const Stored<float, lanes>*>(from);
  } else if constexpr (lanes == 1) {
    return static_cast<float>(*from);
  } else {
    using Words = VectorType<uint32_t, lanes>;
    const auto half = *reinterpret_cast<const Stored<uint16_t, lanes>*>(from);
    return reinterpret_cast<Vector<lanes>>(__builtin_convertvector(half, Words) << 16);
  }
}

// Rounds to the nearest, to even if there are two.
template <int lanes, typename T>
inline void store(T* to, const Vector<lanes>& v) {
  if constexpr (std::is_same_v<T, float>) {
    *reinterpret_cast<Stored<float, lanes>*>(to) = v;
  } else if constexpr (lanes == 1) {
    *to = static_cast<T>(v);
  } else {
    using Words = VectorType<uint32_t, lanes>;
    const Words bits = reinterpret_cast<Words>(v);
    const Words rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
    const Words found = v == v ? rounded : Words{} + 0x7fc0;
    *reinterpret_cast<Stored<uint16_t, lanes>*>(to) =
        __builtin_convertvector(found, VectorType<uint16_t, lanes>);
  }
}

// Halves are added until one number is left.
template <int lanes>
inline float sum(const Vector<lanes>& v) {
  if constexpr (lanes == 1) {
    return v;
  } else {
    Vector<lanes / 2> low, high;
    std::memcpy(&low, &v, sizeof(low));
    std::memcpy(&high, reinterpret_cast<const char*>(&v) + sizeof(low), sizeof(high));
    return sum<lanes / 2>(low + high);
  }
}

// 1 / (1 + exp(-x)), exp by 2^n * polynomial (Cephes' coefficients), to 2 units in the last place.
template <int lanes>
inline Vector<lanes> sigmoid(Vector<lanes> x) {
  using V = Vector<lanes>;
  using Words = VectorType<uint32_t, lanes>;
  x = -x < -87.f ? V{} + 87.f : x;
  x = -x > 88.f ? V{} - 88.f : x;
  constexpr float rounder = 12582912.f;  // 1.5 * 2^23: adding it leaves a whole number
  const V shifted = x * -1.44269504f + rounder;
  const V n = shifted - rounder;
  const V f = -x - n * 0.693359375f + n * 2.12194440e-4f;
  V p = V{} + 1.9875691500e-4f;
  p = p * f + 1.3981999507e-3f;
  p = p * f + 8.3334519073e-3f;
  p = p * f + 4.1665795894e-2f;
  p = p * f + 1.6666665459e-1f;
  p = p * f + 5.0000001201e-1f;
  p = p * f * f + f + 1.f;
  Words bits;
  std::memcpy(&bits, &shifted, sizeof(bits));
  bits = (bits - (0x4b400000 - 127)) << 23;
  V power;
  std::memcpy(&power, &bits, sizeof(power));
  return 1.f / (1.f + p * power);
}

#ifdef __clang__
#define MMCA_SHUFFLE(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define MMCA_SHUFFLE(a, b, ...) __builtin_shuffle(a, b, VectorType<int32_t, 8>{__VA_ARGS__})
#endif

// Of 8 x 8 numbers: three times, each half is interleaved with the other.
inline void transpose_8x8(const float* from, int64_t from_stride, float* to, int64_t to_stride) {
  Vector<8> v[8], next[8];
  for (int i = 0; i < 8; ++i) v[i] = load<8>(from + i * from_stride);
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 4; ++i) {
      next[2 * i] = MMCA_SHUFFLE(v[i], v[i + 4], 0, 8, 1, 9, 2, 10, 3, 11);
      next[2 * i + 1] = MMCA_SHUFFLE(v[i], v[i + 4], 4, 12, 5, 13, 6, 14, 7, 15);
    }
    for (int i = 0; i < 8; ++i) v[i] = next[i];
  }
  for (int i = 0; i < 8; ++i) store<8>(to + i * to_stride, v[i]);
}

// to[c, r] = from[r, c].
inline void transpose(int64_t rows, int64_t columns, const float* from, int64_t from_stride,
                      float* to, int64_t to_stride) {
  if (rows < 8 || columns < 8) {
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t c = 0; c < columns; ++c) to[c * to_stride + r] = from[r * from_stride + c];
    }
    return;
  }
  // The last ones overlap those before: they write the same numbers again.
  for (int64_t i = 0; i < rows; i += 8) {
    const int64_t r = std::min(i, rows - 8);
    for (int64_t j = 0; j < columns; j += 8) {
      const int64_t c = std::min(j, columns - 8);
      transpose_8x8(from + r * from_stride + c, from_stride, to + c * to_stride + r, to_stride);
    }
  }
}

// Memory that is written before it is read: not cleared, as std::vector would.
struct Buffer {
  explicit Buffer(int64_t size) : memory(new float[size]) {}
  operator float*() const { return memory.get(); }
  std::unique_ptr<float[]> memory;
};

constexpr int kSegmentVectors = 4;
constexpr int kSegment = kSegmentVectors * kLanes;  // numbers in a segment at most

// Some of a row's numbers, as `count` vectors. The last ones overlap those before them if they
// would not be full; a row shorter than the shortest vector goes number by number. Of a `full`
// segment the compiler knows the offsets.
template <int lanes, int count, bool full = false>
struct Segment {
  using V = Vector<lanes>;
  static constexpr int kWidth = lanes, kCount = count;

  Segment(int64_t first, int64_t numbers) : begin(first), size(numbers) {
    for (int k = 0; k < count; ++k) at[k] = std::min<int64_t>(k * lanes, size - lanes);
  }

  // Vector k of numbers that begin where the segment does.
  template <typename T>
  V load_from(const T* from, int k) const {
    return load<lanes>(from + (full ? k * lanes : at[k]));
  }
  template <typename T>
  void store_to(T* to, int k, const V& v) const {
    store<lanes>(to + (full ? k * lanes : at[k]), v);
  }

  int64_t begin, size;  // in the row
  int64_t at[count];    // where each vector begins in the segment
};

// A segment whose numbers are summed, each once.
template <typename S>
struct SummedSegment : S {
  explicit SummedSegment(const S& segment) : S(segment) {
    for (int k = 0; k < S::kCount; ++k) {
      float first_seen[S::kWidth];
      for (int i = 0; i < S::kWidth; ++i) first_seen[i] = S::at[k] + i >= k * S::kWidth;
      once[k] = load<S::kWidth>(first_seen);
    }
  }

  typename S::V once[S::kCount];  // 1 for a number that no vector before holds, else 0
};

// Calls f(segment) for the segment of these numbers if they are few enough, else for several.
template <typename F>
inline void over_segments(int64_t begin, int64_t size, const F& f) {
  constexpr int full = kLanes, half = full / 2, quarter = full / 4;
  if (size > kSegment) {
    const int64_t parts = (size + kSegment - 1) / kSegment;
    for (int64_t i = 0; i < parts; ++i) {
      const int64_t first = i * size / parts;
      over_segments(begin + first, (i + 1) * size / parts - first, f);
    }
  } else if (size > 2 * full) {
    f(Segment<full, 4>(begin, size));
  } else if (size > full) {
    f(Segment<full, 2>(begin, size));
  } else if (size == full) {
    f(Segment<full, 1>(begin, size));
  } else if (size > half) {
    f(Segment<half, 2>(begin, size));
  } else if (size == half) {
    f(Segment<half, 1>(begin, size));
  } else if (size > quarter) {
    f(Segment<quarter, 2>(begin, size));
  } else {
    for (int64_t i = 0; i < size; ++i) f(Segment<1, 1>(begin + i, 1));
  }
}

// Calls f(segment) for full ones as long as there are numbers, then for what is left.
template <typename F>
inline void over_full_segments(int64_t size, const F& f) {
  int64_t begin = 0;
  for (; begin + kSegment <= size; begin += kSegment) f(Segment<kLanes, kSegmentVectors, true>(begin, kSegment));
  if (begin < size) over_segments(begin, size - begin, f);
}

}  // namespace mmca
