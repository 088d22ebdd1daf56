// The passes over the map: bound by memory, so each reads and writes it once.
#include "kernels.h"
#include "planes.h"

#include <ATen/Parallel.h>

#include <algorithm>

namespace mmca {
namespace {

// Calls f(image, first channel, last channel). A channel's sums never leave its task, so this
// division may depend on the number of threads without changing a bit.
template <typename F>
void parallel_over_channels(const Shape& s, const F& f) {
  constexpr int64_t least = 32;  // channels: two cache lines of float
  const int64_t threads = at::in_parallel_region() ? 1 : at::get_num_threads();
  int64_t parts = 1;
  if (s.images < 4 * threads && s.images % threads != 0) {
    parts = std::min(threads, (s.channels + least - 1) / least);
  }
  const int64_t step = (s.channels + parts * 16 - 1) / (parts * 16) * 16;
  at::parallel_for(0, s.images * parts, 1, [&](int64_t begin, int64_t end) {
    for (int64_t task = begin; task < end; ++task) {
      const int64_t first = task % parts * step;
      f(task / parts, std::min(first, s.channels), std::min(first + step, s.channels));
    }
  });
}

// Calls f(i) for rows of `size` numbers each.
template <typename F>
void parallel_rows(int64_t rows, int64_t size, const F& f) {
  const int64_t grain = std::max<int64_t>(1, 8192 / std::max<int64_t>(1, size));
  at::parallel_for(0, rows, grain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) f(i);
  });
}

}  // namespace

template <typename T>
void dual_pool(const Shape& s, const T* x, Wide<T>* pool_h, Wide<T>* pool_w) {
  using A = Wide<T>;
  const A over_w = A(1) / s.width, over_h = A(1) / s.height;
  if (s.channels_last) {
    parallel_over_channels(s, [&](int64_t n, int64_t first, int64_t last) {
      for (int64_t w = 0; w < s.width; ++w) {
        A* col = pool_w + (n * s.width + w) * s.channels;
        std::fill(col + first, col + last, A(0));
      }
      for (int64_t h = 0; h < s.height; ++h) {
        A* __restrict row = pool_h + (n * s.height + h) * s.channels;
        std::fill(row + first, row + last, A(0));
        for (int64_t w = 0; w < s.width; ++w) {
          const T* __restrict in = x + ((n * s.height + h) * s.width + w) * s.channels;
          A* __restrict col = pool_w + (n * s.width + w) * s.channels;
#pragma omp simd
          for (int64_t c = first; c < last; ++c) {
            const A value = static_cast<A>(in[c]);
            row[c] += value;
            col[c] += value;
          }
        }
#pragma omp simd
        for (int64_t c = first; c < last; ++c) row[c] *= over_w;
      }
      for (int64_t w = 0; w < s.width; ++w) {
        A* __restrict col = pool_w + (n * s.width + w) * s.channels;
#pragma omp simd
        for (int64_t c = first; c < last; ++c) col[c] *= over_h;
      }
    });
    return;
  }
  const auto one = [&](int64_t plane, int64_t at_h, int64_t at_w, A* scratch) {
    A* __restrict col = scratch;
    std::fill(col, col + s.width, A(0));
    for (int64_t h = 0; h < s.height; ++h) {
      const T* __restrict in = x + plane + h * s.width;
      A sum = 0;
#pragma omp simd reduction(+ : sum)
      for (int64_t w = 0; w < s.width; ++w) {
        const A value = static_cast<A>(in[w]);
        sum += value;
        col[w] += value;
      }
      pool_h[at_h + h * s.channels] = sum * over_w;
    }
    scatter(col, s.channels, s.width, over_h, pool_w + at_w);
  };
  const auto eight = [&](int64_t plane, int64_t at_h, int64_t at_w, A* scratch) {
    using L = Lanes<A>;
    A *pixels = scratch, *col = scratch + s.height * s.width * kLanes;
    planes_to_pixels<false, T>(s.height * s.width, x + plane, nullptr, pixels);
    std::fill(col, col + s.width * kLanes, A(0));
    for (int64_t h = 0; h < s.height; ++h) {
      typename L::type sum = {};
      for (int64_t w = 0; w < s.width; ++w) {
        const auto value = L::at(pixels + (h * s.width + w) * kLanes);
        sum += value;
        L::at(col + w * kLanes) += value;
      }
      L::at(pool_h + at_h + h * s.channels) = sum * over_w;
    }
    for (int64_t w = 0; w < s.width; ++w) {
      L::at(pool_w + at_w + w * s.channels) = L::at(col + w * kLanes) * over_h;
    }
  };
  parallel_over_planes<A>(s, one, eight);
}

namespace {

// One plane of an NCHW map; scratch holds W numbers.
template <typename T>
void gate_plane(const Shape& s, int64_t plane, int64_t at_h, int64_t at_w, Wide<T>* scratch,
                const T* x, const Wide<T>* gate_h, const Wide<T>* gate_w, T* out) {
  using A = Wide<T>;
  A* __restrict by_w = scratch;
  gather(gate_w + at_w, s.channels, s.width, A(1), by_w);
  for (int64_t h = 0; h < s.height; ++h) {
    const A by_h = gate_h[at_h + h * s.channels];
    const T* in = x + plane + h * s.width;
    T* to = out + plane + h * s.width;
#pragma omp simd
    for (int64_t w = 0; w < s.width; ++w) {
      to[w] = static_cast<T>(static_cast<A>(in[w]) * by_w[w] * by_h);
    }
  }
}

}  // namespace

template <typename T>
void gate(const Shape& s, const T* x, const Wide<T>* gate_h, const Wide<T>* gate_w, T* out) {
  using A = Wide<T>;
  if (s.channels_last) {
    parallel_rows(s.images * s.height, s.width * s.channels, [&](int64_t nh) {
      const A* __restrict by_h = gate_h + nh * s.channels;
      for (int64_t w = 0; w < s.width; ++w) {
        const int64_t at = (nh * s.width + w) * s.channels;
        const T* in = x + at;
        T* to = out + at;
        const A* __restrict by_w = gate_w + (nh / s.height * s.width + w) * s.channels;
#pragma omp simd
        for (int64_t c = 0; c < s.channels; ++c) {
          to[c] = static_cast<T>(static_cast<A>(in[c]) * by_w[c] * by_h[c]);
        }
      }
    });
    return;
  }
  parallel_over_planes<A>(s, [&](int64_t plane, int64_t at_h, int64_t at_w, A* scratch) {
    gate_plane(s, plane, at_h, at_w, scratch, x, gate_h, gate_w, out);
  });
}

namespace {

// Recompute is a template argument: a branch inside the loop would keep it from vectorising.
template <bool Recompute, typename T>
void gate_gradients_and_output(const Shape& s, const T* g, const T* x, const Wide<T>* gate_h,
                               const Wide<T>* gate_w, Wide<T>* grad_h, Wide<T>* grad_w, T* out) {
  using A = Wide<T>;
  if (s.channels_last) {
    parallel_over_channels(s, [&](int64_t n, int64_t first, int64_t last) {
      for (int64_t w = 0; w < s.width; ++w) {
        A* col = grad_w + (n * s.width + w) * s.channels;
        std::fill(col + first, col + last, A(0));
      }
      for (int64_t h = 0; h < s.height; ++h) {
        A* __restrict row = grad_h + (n * s.height + h) * s.channels;
        const A* __restrict by_h = gate_h + (n * s.height + h) * s.channels;
        std::fill(row + first, row + last, A(0));
        for (int64_t w = 0; w < s.width; ++w) {
          const int64_t at = ((n * s.height + h) * s.width + w) * s.channels;
          const T* __restrict in = x + at;
          const T* __restrict gradient = g + at;
          T* __restrict to = out + (Recompute ? at : 0);
          A* __restrict col = grad_w + (n * s.width + w) * s.channels;
          const A* __restrict by_w = gate_w + (n * s.width + w) * s.channels;
#pragma omp simd
          for (int64_t c = first; c < last; ++c) {
            const A value = static_cast<A>(in[c]);
            const A product = static_cast<A>(gradient[c]) * value;
            row[c] += product * by_w[c];
            col[c] += product * by_h[c];
            if (Recompute) to[c] = static_cast<T>(value * by_w[c] * by_h[c]);
          }
        }
      }
    });
    return;
  }
  const auto one = [&](int64_t plane, int64_t at_h, int64_t at_w, A* scratch) {
    A* __restrict by_w = scratch;
    A* __restrict col = scratch + s.width;
    gather(gate_w + at_w, s.channels, s.width, A(1), by_w);
    std::fill(col, col + s.width, A(0));
    for (int64_t h = 0; h < s.height; ++h) {
      const A by_h = gate_h[at_h + h * s.channels];
      const T* __restrict in = x + plane + h * s.width;
      const T* __restrict gradient = g + plane + h * s.width;
      T* __restrict to = out + (Recompute ? plane + h * s.width : 0);
      A sum = 0;
#pragma omp simd reduction(+ : sum)
      for (int64_t w = 0; w < s.width; ++w) {
        const A value = static_cast<A>(in[w]);
        const A product = static_cast<A>(gradient[w]) * value;
        sum += product * by_w[w];
        col[w] += product * by_h;
        if (Recompute) to[w] = static_cast<T>(value * by_w[w] * by_h);
      }
      grad_h[at_h + h * s.channels] = sum;
    }
    scatter(col, s.channels, s.width, A(1), grad_w + at_w);
  };
  const auto eight = [&](int64_t plane, int64_t at_h, int64_t at_w, A* scratch) {
    using L = Lanes<A>;
    A *pixels = scratch, *col = scratch + s.height * s.width * kLanes;
    planes_to_pixels<true, T>(s.height * s.width, x + plane, g + plane, pixels);
    std::fill(col, col + s.width * kLanes, A(0));
    for (int64_t h = 0; h < s.height; ++h) {
      const auto by_h = L::at(gate_h + at_h + h * s.channels);
      typename L::type sum = {};
      for (int64_t w = 0; w < s.width; ++w) {
        const auto product = L::at(pixels + (h * s.width + w) * kLanes);
        sum += product * L::at(gate_w + at_w + w * s.channels);
        L::at(col + w * kLanes) += product * by_h;
      }
      L::at(grad_h + at_h + h * s.channels) = sum;
    }
    for (int64_t w = 0; w < s.width; ++w) {
      L::at(grad_w + at_w + w * s.channels) = L::at(col + w * kLanes);
    }
    if (!Recompute) return;
    for (int i = 0; i < kLanes; ++i) {
      gate_plane(s, plane + i * s.height * s.width, at_h + i, at_w + i, scratch, x, gate_h, gate_w,
                 out);
    }
  };
  parallel_over_planes<A>(s, one, eight);
}

}  // namespace

template <typename T>
void gate_gradients(const Shape& s, const T* g, const T* x, const Wide<T>* gate_h,
                    const Wide<T>* gate_w, Wide<T>* grad_h, Wide<T>* grad_w, T* out) {
  if (out != nullptr) {
    gate_gradients_and_output<true>(s, g, x, gate_h, gate_w, grad_h, grad_w, out);
  } else {
    gate_gradients_and_output<false>(s, g, x, gate_h, gate_w, grad_h, grad_w, out);
  }
}

template <typename T>
void input_gradient(const Shape& s, const T* g, const Wide<T>* gate_h, const Wide<T>* gate_w,
                    const Wide<T>* grad_pool_h, const Wide<T>* grad_pool_w, T* out) {
  using A = Wide<T>;
  const A over_w = A(1) / s.width, over_h = A(1) / s.height;
  if (s.channels_last) {
    parallel_rows(s.images * s.height, s.width * s.channels, [&](int64_t nh) {
      const A* __restrict by_h = gate_h + nh * s.channels;
      const A* __restrict add_h = grad_pool_h + nh * s.channels;
      for (int64_t w = 0; w < s.width; ++w) {
        const int64_t at = (nh * s.width + w) * s.channels;
        const int64_t at_w = (nh / s.height * s.width + w) * s.channels;
        const T* gradient = g + at;
        T* to = out + at;
        const A* __restrict by_w = gate_w + at_w;
        const A* __restrict add_w = grad_pool_w + at_w;
#pragma omp simd
        for (int64_t c = 0; c < s.channels; ++c) {
          const A added = add_h[c] * over_w + add_w[c] * over_h;
          to[c] = static_cast<T>(static_cast<A>(gradient[c]) * by_w[c] * by_h[c] + added);
        }
      }
    });
    return;
  }
  parallel_over_planes<A>(s, [&](int64_t plane, int64_t at_h, int64_t at_w, A* scratch) {
    A* __restrict by_w = scratch;
    A* __restrict add_w = scratch + s.width;
    gather(gate_w + at_w, s.channels, s.width, A(1), by_w);
    gather(grad_pool_w + at_w, s.channels, s.width, over_h, add_w);
    for (int64_t h = 0; h < s.height; ++h) {
      const A by_h = gate_h[at_h + h * s.channels];
      const A add_h = grad_pool_h[at_h + h * s.channels] * over_w;
      const T* gradient = g + plane + h * s.width;
      T* to = out + plane + h * s.width;
#pragma omp simd
      for (int64_t w = 0; w < s.width; ++w) {
        to[w] = static_cast<T>(static_cast<A>(gradient[w]) * by_w[w] * by_h + (add_h + add_w[w]));
      }
    }
  });
}

#define MMCA_INSTANTIATE(T)                                                                      \
  template void dual_pool<T>(const Shape&, const T*, Wide<T>*, Wide<T>*);                        \
  template void gate<T>(const Shape&, const T*, const Wide<T>*, const Wide<T>*, T*);             \
  template void gate_gradients<T>(const Shape&, const T*, const T*, const Wide<T>*,              \
                                  const Wide<T>*, Wide<T>*, Wide<T>*, T*);                       \
  template void input_gradient<T>(const Shape&, const T*, const Wide<T>*, const Wide<T>*,        \
                                  const Wide<T>*, const Wide<T>*, T*);
MMCA_INSTANTIATE(float)
MMCA_INSTANTIATE(double)
MMCA_INSTANTIATE(c10::BFloat16)

}  // namespace mmca
