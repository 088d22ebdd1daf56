// The whole block in inference. A single image's threads share few numbers: what one thread has
// written is slow to read for another, and each start of threads takes as long as a small pass.
#include "middle.h"
#include "norm.h"
#include "pixels.h"
#include "planes.h"

#include <ATen/Parallel.h>
#include <omp.h>

#include <algorithm>
#include <cmath>

namespace mmca {
namespace {

// Calls f(first block, last block, barrier) in each of several threads, for some of the blocks.
template <typename F>
void in_team(int64_t blocks, const F& f) {
  const int64_t threads =
      at::in_parallel_region() ? 1 : std::min<int64_t>(at::get_num_threads(), blocks);
  if (threads == 1) return f(int64_t(0), blocks, [] {});
#pragma omp parallel num_threads(threads)
  {
    const int64_t id = omp_get_thread_num(), count = omp_get_num_threads();
    f(blocks * id / count, blocks * (id + 1) / count, [] {
#pragma omp barrier
    });
  }
}

// What memory is for: each use has its own.
enum class Use { scales, shared, own };

// Memory that a thread keeps, and its cache, from one block to the next. What one thread writes and
// another reads lies apart from what a thread has for its own.
template <typename T, Use use>
class Scratch {
 public:
  explicit Scratch(int64_t size) {
    thread_local Buffer<T> memory(0);
    thread_local int64_t available = 0;
    if (available < size) {
      memory = Buffer<T>(size);
      available = size;
    }
    next_ = memory;
  }
  T* take(int64_t size) {
    T* const taken = next_;
    next_ += size;
    return taken;
  }

 private:
  T* next_;
};

template <typename T>
struct Attention {
  Shape image;  // one
  int64_t middle;
  Entry<T> entry;
  const Affine<T>& norm;
  Parameters<T> p;
  bool turned;  // conv_h's and conv_w's weights are as they lie in their layers, (C, middle)
};

// Asks for the first memory that is needed later, while the cache is busy with the map.
template <typename T>
inline void prefetch(const T* from, int64_t count) {
  count = std::min<int64_t>(count, 4096);
  for (int64_t i = 0; i < count; i += 64 / sizeof(T)) __builtin_prefetch(from + i, 0, 2);
}

// By channels: only the sums of conv1 pass from one thread to another.
template <typename M, typename T = Wide<M>>
void run_nchw(const Attention<T>& b, M* x, M* out) {
  const Shape& s = b.image;
  const int64_t rows = s.height + s.width, features = rows * b.middle;
  const int64_t units = (s.channels + 15) / 16, blocks = std::min<int64_t>(4, units);
  const Plane plane{s.height, s.width, s.channels};
  T* const partial = Scratch<T, Use::shared>(blocks * features).take(blocks * features);
  const auto first_of = [&](int64_t block) {
    return std::min(block * units / blocks * 16, s.channels);
  };
  in_team(blocks, [&](int64_t first, int64_t last, const auto& barrier) {
    Scratch<T, Use::own> own(rows * s.channels + features);
    const int64_t mine = first_of(first), count = first_of(last) - mine;
    prefetch(b.p.conv_h_weight + mine * b.middle, count * b.middle);
    prefetch(b.p.conv_w_weight + mine * b.middle, count * b.middle);
    prefetch(b.p.conv_h_bias + mine, count);
    prefetch(b.p.conv_w_bias + mine, count);
    for (int64_t m = 0; m < b.middle; ++m) {
      prefetch(b.p.conv1_weight + m * s.channels + mine, count);
    }
    T* const pools = own.take(rows * s.channels);
    T* const y = own.take(features);
    T* const pool_w = pools + s.height * s.channels;
    T *const gate_h = pools, *const gate_w = pool_w;  // their memory is in the cache
    for (int64_t block = first; block < last; ++block) {
      const int64_t begin = first_of(block), end = first_of(block + 1);
      with_kind(b.entry, [&](auto kind) {
        constexpr bool affine = kind == EntryKind::affine;
        over_pieces<T>(0, s.width, [&](const auto& part) {
          const SummedPiece piece(part);
          for (int64_t c = begin; c < end; ++c) {
            pool_piece<kind>(piece, plane, x + c * s.height * s.width,
                             affine ? b.entry.scale[c] : T(1), affine ? b.entry.shift[c] : T(0),
                             pools + c, pool_w + c);
          }
        });
      });
      reduce_rows<T>(rows, s.channels, b.middle, begin, end - begin, pools, b.p.conv1_weight,
                     block == 0 ? b.p.conv1_bias : nullptr, partial + block * features);
    }
    barrier();
    add_blocks<T>(blocks, features, 0, features, T(1), partial, y);
    normalise<T>(rows, b.middle, y, b.norm.scale, b.norm.shift, y);
    const int64_t begin = first_of(first), size = first_of(last) - begin;
    expand_columns<T>(s.height, s.channels, b.middle, begin, size, y, b.p.conv_h_weight, b.turned,
                      b.p.conv_h_bias, true, gate_h);
    expand_columns<T>(s.width, s.channels, b.middle, begin, size, y + s.height * b.middle,
                      b.p.conv_w_weight, b.turned, b.p.conv_w_bias, true, gate_w);
    over_pieces<T>(0, s.width, [&](const auto& piece) {
      for (int64_t c = begin; c < begin + size; ++c) {
        const int64_t at = c * s.height * s.width;
        gate_piece(piece, plane, x + at, gate_h + c, gate_w + c, out + at);
      }
    });
  });
}

// By rows: sums over the height and the gates along the width pass from one thread to another.
template <typename M, typename T = Wide<M>>
void run_channels_last(const Attention<T>& b, M* x, M* out) {
  const Shape& s = b.image;
  const int64_t blocks = row_blocks(s.height), profile = s.width * s.channels;
  const int64_t block_rows = (s.height + blocks - 1) / blocks;
  T* const partial = Scratch<T, Use::shared>(blocks * profile).take(blocks * profile);
  in_team(blocks, [&](int64_t first, int64_t last, const auto& barrier) {
    const int64_t h = first * block_rows, h_count = std::min(last * block_rows, s.height) - h;
    const int64_t w = s.width * first / blocks, w_count = s.width * last / blocks - w;
    const int64_t rows = h_count + w_count;
    Scratch<T, Use::own> own(rows * (s.channels + b.middle));
    prefetch(b.p.conv1_weight, s.channels * b.middle);
    prefetch(b.p.conv_h_weight, s.channels * b.middle);
    prefetch(b.p.conv_w_weight, s.channels * b.middle);
    prefetch(b.p.conv_h_bias, s.channels);
    prefetch(b.p.conv_w_bias, s.channels);
    T* const pools = own.take(rows * s.channels);
    T* const y = own.take(rows * b.middle);
    // Memory that is in the cache, and is read no more: of `partial`, each thread reads the sums of
    // just the columns whose gates it then writes.
    T *const gate_h = pools, *const gate_w = partial;
    for (int64_t block = first; block < last; ++block) {
      const int64_t row = block * block_rows;
      pool_rows(s, row, std::min(row + block_rows, s.height), x, b.entry,
                pools - h * s.channels, partial + block * profile);
    }
    barrier();
    T* const pool_w = pools + h_count * s.channels;
    add_blocks<T>(blocks, profile, w * s.channels, (w + w_count) * s.channels, T(1) / s.height,
                  partial, pool_w - w * s.channels);
    reduce_rows<T>(rows, s.channels, b.middle, 0, s.channels, pools, b.p.conv1_weight,
                   b.p.conv1_bias, y);
    normalise<T>(rows, b.middle, y, b.norm.scale, b.norm.shift, y);
    expand_columns<T>(h_count, s.channels, b.middle, 0, s.channels, y, b.p.conv_h_weight, b.turned,
                      b.p.conv_h_bias, true, gate_h);
    expand_columns<T>(w_count, s.channels, b.middle, 0, s.channels, y + h_count * b.middle,
                      b.p.conv_w_weight, b.turned, b.p.conv_w_bias, true, gate_w + w * s.channels);
    barrier();
    gate_rows<M>(s, h, h + h_count, x, gate_h - h * s.channels, gate_w, out);
  });
}

}  // namespace

template <typename M>
void block_inference(const Shape& s, int64_t middle, M* x, const Norm<Wide<M>>* before, bool clamp,
                     const Parameters<Wide<M>>& p, const Statistics<Wide<M>>& statistics, M* out) {
  using T = Wide<M>;
  Entry<T> entry{clamp, nullptr, nullptr};
  if (before != nullptr) {
    Scratch<T, Use::scales> scratch(2 * s.channels);
    T *scale = scratch.take(s.channels), *shift = scratch.take(s.channels);
    scale_and_shift<T>(s.channels, *before, scale, shift);
    entry = {clamp, scale, shift};
  }
  Buffer<T> mean(middle), over_deviation(middle);
  fixed_statistics<T>(middle, statistics, mean, over_deviation);
  const Affine<T> norm(middle, mean, over_deviation, p);
  const Shape image{1, s.channels, s.height, s.width, s.channels_last};
  Attention<T> block{image, middle, entry, norm, p, s.images == 1};
  // For several images the weights are turned once.
  const int64_t weights = block.turned ? 0 : middle * s.channels;
  Buffer<T> conv_h(weights), conv_w(weights);
  if (!block.turned) {
    turn<T>(s.channels, middle, p.conv_h_weight, middle, conv_h, s.channels);
    turn<T>(s.channels, middle, p.conv_w_weight, middle, conv_w, s.channels);
    block.p.conv_h_weight = conv_h;
    block.p.conv_w_weight = conv_w;
  }
  const auto run = [&](int64_t begin, int64_t end) {
    for (int64_t n = begin; n < end; ++n) {
      const int64_t at = n * s.height * s.width * s.channels;
      s.channels_last ? run_channels_last<M>(block, x + at, out + at)
                      : run_nchw<M>(block, x + at, out + at);
    }
  };
  // One image for each thread, or all threads on each image if that would leave some idle.
  const int64_t threads = at::get_num_threads();
  if (s.images % threads == 0 || s.images >= 4 * threads) {
    at::parallel_for(0, s.images, 1, run);
  } else {
    run(0, s.images);
  }
}

template <typename M>
void norm_inference(const Shape& s, const Norm<Wide<M>>& norm, M* x) {
  using T = Wide<M>;
  Scratch<T, Use::scales> scratch(2 * s.channels);
  T *scale = scratch.take(s.channels), *shift = scratch.take(s.channels);
  scale_and_shift<T>(s.channels, norm, scale, shift);
  // A line is a pixel with a scale for each of its numbers, or a plane with one for all.
  const auto run = [&](auto are_pixels, int64_t lines, int64_t length) {
    constexpr bool pixels = decltype(are_pixels)::value;
    const int64_t grain = std::max<int64_t>(1, 8192 / length);
    at::parallel_for(0, lines, grain, [=, channels = s.channels](int64_t begin, int64_t end) {
      for (int64_t line = begin; line < end; ++line) {
        M* const values = x + line * length;
        const int64_t channel = pixels ? 0 : line % channels;
        over_vectors<T>(length, [=](auto count, int64_t i) {
          constexpr int lanes = decltype(count)::value;
          const auto factor = [&](const T* from) {
            return pixels ? load<lanes>(from + i) : Vector<T, lanes>{} + from[channel];
          };
          store<lanes>(values + i, load<lanes>(values + i) * factor(scale) + factor(shift));
        });
      }
    });
  };
  const int64_t size = s.height * s.width;
  s.channels_last ? run(std::true_type(), s.images * size, s.channels)
                  : run(std::false_type(), s.images * s.channels, size);
}

#define MMCA_INSTANTIATE(M)                                                                       \
  template void block_inference<M>(const Shape&, int64_t, M*, const Norm<Wide<M>>*, bool,         \
                                   const Parameters<Wide<M>>&, const Statistics<Wide<M>>&, M*);  \
  template void norm_inference<M>(const Shape&, const Norm<Wide<M>>&, M*);
MMCA_INSTANTIATE(float)
MMCA_INSTANTIATE(double)
MMCA_INSTANTIATE(c10::BFloat16)

}  // namespace mmca
