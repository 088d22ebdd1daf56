// Vectors of the compiler's own, for loops that it does not vectorise by itself.
#pragma once

#include "kernels.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace mmca {

#ifdef __AVX512VL__
constexpr int kVectorBytes = 64;
#else
constexpr int kVectorBytes = 32;
#endif

template <typename A>
constexpr int kFull = kVectorBytes / sizeof(A);

template <typename A, int lanes>
struct VectorOf {
  typedef A type __attribute__((vector_size(lanes * sizeof(A))));
  // As it lies in memory: wherever a number may, and whatever type it was stored with. memcpy would
  // do the same, but compilers divide it into smaller parts unless told for which processor.
  typedef A stored __attribute__((vector_size(lanes * sizeof(A)), aligned(alignof(A)), may_alias));
};

template <typename A>
struct VectorOf<A, 1> {
  typedef A type;
  typedef A stored;
};

template <typename A, int lanes>
using Vector = typename VectorOf<A, lanes>::type;

template <typename A, int lanes>
inline Vector<A, lanes> read(const void* from) {
  return *static_cast<const typename VectorOf<A, lanes>::stored*>(from);
}

template <typename A, int lanes>
inline void write(void* to, const Vector<A, lanes>& v) {
  *static_cast<typename VectorOf<A, lanes>::stored*>(to) = v;
}

template <typename To, typename From>
inline To bits_of(const From& from) {
  static_assert(sizeof(To) == sizeof(From));
  if constexpr (sizeof(To) > 8) {
    return reinterpret_cast<To>(from);  // of vectors: their bits
  } else {
    To to;
    std::memcpy(&to, &from, sizeof(To));
    return to;
  }
}

template <int lanes, typename T>
inline Vector<Wide<T>, lanes> load(const T* from) {
  if constexpr (!std::is_same_v<T, c10::BFloat16>) {
    return read<T, lanes>(from);
  } else if constexpr (lanes == 1) {
    return static_cast<float>(*from);
  } else {
    using Words = Vector<uint32_t, lanes>;
    const auto half = read<uint16_t, lanes>(from);
    return bits_of<Vector<float, lanes>>(__builtin_convertvector(half, Words) << 16);
  }
}

// Rounds to the nearest, to even if there are two.
template <int lanes, typename T>
inline void store(T* to, const Vector<Wide<T>, lanes>& v) {
  if constexpr (!std::is_same_v<T, c10::BFloat16>) {
    write<T, lanes>(to, v);
  } else if constexpr (lanes == 1) {
    *to = static_cast<T>(v);
  } else {
    using Words = Vector<uint32_t, lanes>;
    const Words bits = bits_of<Words>(v);
    const Words rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
    const Words found = v == v ? rounded : Words{} + 0x7fc0;
    write<uint16_t, lanes>(to, __builtin_convertvector(found, Vector<uint16_t, lanes>));
  }
}

// The sum of a vector's numbers: halves are added until one is left.
template <typename A, int lanes>
inline A sum(const Vector<A, lanes>& v) {
  if constexpr (lanes == 1) {
    return v;
  } else {
    Vector<A, lanes / 2> low, high;
    std::memcpy(&low, &v, sizeof(low));
    std::memcpy(&high, reinterpret_cast<const char*>(&v) + sizeof(low), sizeof(high));
    return sum<A, lanes / 2>(low + high);
  }
}

// exp by 2^n * polynomial (Cephes' coefficients), to 2 units in the last place.
template <int lanes>
inline Vector<float, lanes> exponential(Vector<float, lanes> x) {
  using V = Vector<float, lanes>;
  using Words = Vector<uint32_t, lanes>;
  x = x < -87.f ? V{} - 87.f : x;
  x = x > 88.f ? V{} + 88.f : x;
  constexpr float rounder = 12582912.f;  // 1.5 * 2^23: adding it leaves a whole number
  const V shifted = x * 1.44269504f + rounder;
  const V n = shifted - rounder;
  const V f = x - n * 0.693359375f + n * 2.12194440e-4f;
  V p = V{} + 1.9875691500e-4f;
  p = p * f + 1.3981999507e-3f;
  p = p * f + 8.3334519073e-3f;
  p = p * f + 4.1665795894e-2f;
  p = p * f + 1.6666665459e-1f;
  p = p * f + 5.0000001201e-1f;
  p = p * f * f + f + 1.f;
  return p * bits_of<V>((bits_of<Words>(shifted) - (0x4b400000 - 127)) << 23);
}

template <int lanes>
inline Vector<double, lanes> exponential(Vector<double, lanes> x) {
  double values[lanes];
  std::memcpy(values, &x, sizeof(x));
  for (double& value : values) value = std::exp(value);
  std::memcpy(&x, values, sizeof(x));
  return x;
}

#ifdef __clang__
#define MMCA_SHUFFLE(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define MMCA_SHUFFLE(a, b, ...) __builtin_shuffle(a, b, Vector<int32_t, 8>{__VA_ARGS__})
#endif

// Turns 8 x 8 numbers: three times, each half is interleaved with the other.
inline void turn(const float* from, int64_t from_stride, float* to, int64_t to_stride) {
  Vector<float, 8> v[8], next[8];
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
template <typename A>
inline void turn(int64_t rows, int64_t columns, const A* from, int64_t from_stride, A* to,
                 int64_t to_stride) {
  if constexpr (std::is_same_v<A, float>) {
    if (rows >= 8 && columns >= 8) {
      // The last ones overlap those before: they write the same numbers again.
      for (int64_t i = 0; i < rows; i += 8) {
        const int64_t r = std::min(i, rows - 8);
        for (int64_t j = 0; j < columns; j += 8) {
          const int64_t c = std::min(j, columns - 8);
          turn(from + r * from_stride + c, from_stride, to + c * to_stride + r, to_stride);
        }
      }
      return;
    }
  }
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t c = 0; c < columns; ++c) to[c * to_stride + r] = from[r * from_stride + c];
  }
}

// Calls f(how many numbers at once, known to the compiler; the first of them) in their order.
template <typename A, typename F>
inline void over_vectors(int64_t size, const F& f) {
  constexpr int full = kFull<A>, half = full / 2;
  int64_t i = 0;
  for (; i + full <= size; i += full) f(std::integral_constant<int, full>(), i);
  for (; i + half <= size; i += half) f(std::integral_constant<int, half>(), i);
  for (; i < size; ++i) f(std::integral_constant<int, 1>(), i);
}

// What happens to a vector on its way in (struct Entry), known to the compiler.
enum class EntryKind { none, clamp, affine };

template <EntryKind kind, typename V, typename S>
inline V enter(V value, const S& scale, const S& shift) {
  if (kind == EntryKind::affine) value = value * scale + shift;
  if (kind == EntryKind::none) return value;
  value = value < 0 ? V{} : value;  // what is not a number stays so
  return value > 6 ? V{} + 6 : value;
}

// Calls f with the kind, as a type.
template <typename A, typename F>
inline void with_kind(const Entry<A>& entry, const F& f) {
  if (!entry.clamp) return f(std::integral_constant<EntryKind, EntryKind::none>());
  if (entry.scale == nullptr) return f(std::integral_constant<EntryKind, EntryKind::clamp>());
  f(std::integral_constant<EntryKind, EntryKind::affine>());
}

template <bool clamped, typename V>
inline V leave(V gradient, V value) {
  if (!clamped) return gradient;
  const V passed = value > 0 ? gradient : V{};
  return value < 6 ? passed : V{};
}

// Some of a row's numbers, as `count` vectors. The last ones overlap those before them if they
// would not be full; a row shorter than the shortest vector goes number by number.
template <typename A, int lanes, int count>
struct Piece {
  using Number = A;
  using V = Vector<A, lanes>;
  static constexpr int kLanes = lanes, kCount = count;

  Piece(int64_t first, int64_t numbers) : begin(first), size(numbers) {
    for (int k = 0; k < count; ++k) at[k] = std::min<int64_t>(k * lanes, size - lanes);
  }

  // Vector k of numbers that begin where the piece does.
  template <typename T>
  V load_from(const T* from, int k) const {
    return load<lanes>(from + at[k]);
  }
  template <typename T>
  void store_to(T* to, int k, const V& v) const {
    store<lanes>(to + at[k], v);
  }

  int64_t begin, size;  // in the row
  int64_t at[count];    // where each vector begins in the piece
};

// A piece whose numbers are summed, each once.
template <typename P>
struct SummedPiece : P {
  explicit SummedPiece(const P& piece) : P(piece) {
    for (int k = 0; k < P::kCount; ++k) {
      for (int i = 0; i < P::kLanes; ++i) {
        const auto one = static_cast<typename P::Number>(P::at[k] + i >= k * P::kLanes);
        std::memcpy(reinterpret_cast<char*>(&fresh[k]) + i * sizeof(one), &one, sizeof(one));
      }
    }
  }

  typename P::V fresh[P::kCount];  // 1 for a number that no vector before holds, else 0
};

// As many numbers as 4 full vectors hold.
template <typename A>
struct Block {
  using V = Vector<A, kFull<A>>;
  static constexpr int kLanes = kFull<A>, kCount = 4, kSize = 4 * kLanes;

  template <typename T>
  V load_from(const T* from, int k) const {
    return load<kLanes>(from + k * kLanes);
  }
  template <typename T>
  void store_to(T* to, int k, const V& v) const {
    store<kLanes>(to + k * kLanes, v);
  }

  int64_t begin;
};

// Calls f(piece) for the piece of these numbers if they are few enough, else for several.
template <typename A, typename F>
inline void over_pieces(int64_t begin, int64_t size, const F& f) {
  constexpr int full = kFull<A>, half = full / 2, quarter = full / 4;
  if (size > 4 * full) {
    const int64_t pieces = (size + 4 * full - 1) / (4 * full);
    for (int64_t i = 0; i < pieces; ++i) {
      const int64_t first = i * size / pieces;
      over_pieces<A>(begin + first, (i + 1) * size / pieces - first, f);
    }
  } else if (size > 2 * full) {
    f(Piece<A, full, 4>(begin, size));
  } else if (size > full) {
    f(Piece<A, full, 2>(begin, size));
  } else if (size == full) {
    f(Piece<A, full, 1>(begin, size));
  } else if (size > half) {
    f(Piece<A, half, 2>(begin, size));
  } else if (size == half) {
    f(Piece<A, half, 1>(begin, size));
  } else if (size > quarter) {
    f(Piece<A, quarter, 2>(begin, size));
  } else if (quarter > 1 && size == quarter) {
    f(Piece<A, quarter, 1>(begin, size));
  } else {
    for (int64_t i = 0; i < size; ++i) f(Piece<A, 1, 1>(begin + i, 1));
  }
}

// Calls f(block) as long as there are numbers for one, then f(piece) for what is left.
template <typename A, typename F>
inline void over_blocks(int64_t size, const F& f) {
  int64_t begin = 0;
  for (; begin + Block<A>::kSize <= size; begin += Block<A>::kSize) f(Block<A>{begin});
  if (begin < size) over_pieces<A>(begin, size - begin, f);
}

}  // namespace mmca
