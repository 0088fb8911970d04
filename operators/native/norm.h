// Residual and layer normalisation in one pass.
#pragma once

#include <algorithm>

#include "ort.h"
#include "simd.h"

namespace infolens {

class AddNorm {
 public:
  explicit AddNorm(const ort::Info& info) : epsilon_(info.real("epsilon")) {}

  // x FLOAT (..., width); skip FLOAT of the same shape, or of its last dimensions; gamma and beta FLOAT (width).
  void compute(const ort::Context& context) {
    const ort::Tensor x = context.input(0), skip = context.input(1), gamma = context.input(2), beta = context.input(3);
    const int64_t width = x.last(), rows = x.rows(), skips = skip.rows();
    ort::require(
        skip.last() == width && gamma.size() == width && beta.size() == width && skips > 0 && rows % skips == 0,
        "a normalisation takes two tensors of one width, and the second repeats in the first");
    float* y = context.output<float>(0, x);
    const int64_t height = std::max<int64_t>(1, (int64_t{1} << 15) / width);
    context.parallel(static_cast<size_t>((rows + height - 1) / height), [&](size_t task) {
      const int64_t first = static_cast<int64_t>(task) * height;
      for (int64_t r = first; r < std::min(first + height, rows); ++r) {
        row(x.as<float>() + r * width, skip.as<float>() + r % skips * width, gamma.as<float>(), beta.as<float>(),
            y + r * width, width);
      }
    });
  }

 private:
  void row(const float* x, const float* skip, const float* gamma, const float* beta, float* y, int64_t width) const {
    __m512 sum = _mm512_setzero_ps();
    for (int64_t i = 0; i < width; i += simd::kLanes) {
      const __mmask16 mask = simd::tail_mask(width - i);
      const __m512 value = _mm512_add_ps(_mm512_maskz_loadu_ps(mask, x + i), _mm512_maskz_loadu_ps(mask, skip + i));
      sum = _mm512_add_ps(sum, value);
      _mm512_mask_storeu_ps(y + i, mask, value);
    }
    const __m512 mean = _mm512_set1_ps(_mm512_reduce_add_ps(sum) / static_cast<float>(width));
    __m512 squares = _mm512_setzero_ps();
    for (int64_t i = 0; i < width; i += simd::kLanes) {
      const __mmask16 mask = simd::tail_mask(width - i);
      const __m512 distance = _mm512_maskz_sub_ps(mask, _mm512_maskz_loadu_ps(mask, y + i), mean);
      squares = _mm512_fmadd_ps(distance, distance, squares);
    }
    const float variance = _mm512_reduce_add_ps(squares) / static_cast<float>(width);
    const __m512 factor = _mm512_set1_ps(1.0f / __builtin_sqrtf(variance + epsilon_));
    for (int64_t i = 0; i < width; i += simd::kLanes) {
      const __mmask16 mask = simd::tail_mask(width - i);
      const __m512 value = _mm512_mul_ps(_mm512_sub_ps(_mm512_maskz_loadu_ps(mask, y + i), mean), factor);
      _mm512_mask_storeu_ps(
          y + i, mask,
          _mm512_fmadd_ps(value, _mm512_maskz_loadu_ps(mask, gamma + i), _mm512_maskz_loadu_ps(mask, beta + i)));
    }
  }

  const float epsilon_;
};

}  // namespace infolens
