// Attention of one head in int8: keys and values are quantized once, with a scale for each position, and so are the
// queries and the weights that softmax gives. An answer does not depend on other articles, or on other queries.
#pragma once

#include <algorithm>
#include <limits>
#include <vector>

#include "ort.h"
#include "simd.h"

namespace infolens {

constexpr float kHidden = -1e30f;  // The bias of a score that does not count.

// The keys and values of one head. Layout of `padded` positions of `stride` elements, both multiples of 16:
//   keys:   for 16 positions: for 4 elements: 16 x 4 bytes, shifted by 128 (see linear.h)
//   values: for 4 positions: for every element: 4 bytes
// What is padding has scales of 0.
struct StoredHead {
  uint8_t* keys;
  float* key_scales;
  int8_t* values;
  float* value_scales;
  int64_t padded, stride;

  // Quantizes `length` rows of `size` elements; rows of `key` and `value` are `step` elements apart.
  void fill(const float* key, const float* value, int64_t step, int64_t length, int64_t size) const {
    thread_local std::vector<int8_t> bytes;
    bytes.resize(static_cast<size_t>(simd::kLanes * stride));
    for (int64_t i = 0; i < padded; i += simd::kLanes) {
      quantize(bytes.data(), key_scales + i, key + i * step, step, length - i, size);
      const __m512i places = _mm512_mullo_epi32(_mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0),
                                                _mm512_set1_epi32(static_cast<int>(stride)));
      for (int64_t j = 0; j < stride; j += 4) {
        const __m512i four = _mm512_i32gather_epi32(places, bytes.data() + j, 1);
        _mm512_storeu_si512(keys + i * stride + j * simd::kLanes, _mm512_xor_si512(four, _mm512_set1_epi8(-128)));
      }
      quantize(bytes.data(), value_scales + i, value + i * step, step, length - i, size);
      for (int64_t p = 0; p < simd::kLanes; p += 4) {
        for (int64_t j = 0; j < stride; j += simd::kLanes)
          interleave(bytes.data() + p * stride + j, values + (i + p) * stride + j * 4);
      }
    }
  }

 private:
  // Sixteen rows of bytes; rows behind the last one are zeros with a scale of 0.
  void quantize(int8_t* bytes, float* scales, const float* x, int64_t step, int64_t rows, int64_t size) const {
    for (int64_t r = 0; r < simd::kLanes; ++r) {
      if (r < rows) {
        simd::quantize_row(x + r * step, size, stride, bytes + r * stride, scales + r);
      } else {
        std::fill_n(bytes + r * stride, stride, int8_t{0});
        scales[r] = 0;
      }
    }
  }

  // Sixteen elements of four rows, element by element.
  void interleave(const int8_t* rows, int8_t* to) const {
    __m128i row[4];
    for (int p = 0; p < 4; ++p) row[p] = _mm_loadu_si128(reinterpret_cast<const __m128i*>(rows + p * stride));
    const __m128i low[2] = {_mm_unpacklo_epi8(row[0], row[1]), _mm_unpacklo_epi8(row[2], row[3])};
    const __m128i high[2] = {_mm_unpackhi_epi8(row[0], row[1]), _mm_unpackhi_epi8(row[2], row[3])};
    auto* out = reinterpret_cast<__m128i*>(to);
    _mm_storeu_si128(out, _mm_unpacklo_epi16(low[0], low[1]));
    _mm_storeu_si128(out + 1, _mm_unpackhi_epi16(low[0], low[1]));
    _mm_storeu_si128(out + 2, _mm_unpacklo_epi16(high[0], high[1]));
    _mm_storeu_si128(out + 3, _mm_unpackhi_epi16(high[0], high[1]));
  }
};

// Queries of one head over one stored head.
class HeadAttention {
 public:
  // `bias` of the scores (length); rows of queries and of the result are `query_step` and `result_step` elements apart.
  HeadAttention(const StoredHead& head, const float* bias, int64_t length, int64_t size, int64_t query_step,
                int64_t result_step)
      : head_(head), bias_(bias), length_(length), size_(size), query_step_(query_step), result_step_(result_step) {}

  void attend(const float* query, float* result, int64_t queries) const {
    for (int64_t q = 0; q < queries;
         q += kMostQueries, query += kMostQueries * query_step_, result += kMostQueries * result_step_) {
      switch (std::min<int64_t>(kMostQueries, queries - q)) {
        case 1:
          attend<1>(query, result);
          break;
        case 2:
          attend<2>(query, result);
          break;
        case 3:
          attend<3>(query, result);
          break;
        default:
          attend<4>(query, result);
      }
    }
  }

 private:
  static constexpr int kMostQueries = 4;

  template <int kQueries>
  void attend(const float* query, float* result) const {
    thread_local std::vector<int8_t> bytes;
    thread_local std::vector<float> scores;
    thread_local std::vector<uint8_t> weights;
    bytes.resize(static_cast<size_t>(kQueries * head_.stride));
    scores.resize(static_cast<size_t>(kQueries * head_.padded));
    weights.resize(static_cast<size_t>(kQueries * head_.padded));
    float factors[kQueries], divisors[kQueries];
    int32_t shifts[kQueries];
    const float scale = 1.0f / __builtin_sqrtf(static_cast<float>(size_));
    for (int q = 0; q < kQueries; ++q) {
      int8_t* row = bytes.data() + q * head_.stride;
      shifts[q] = 128 * simd::quantize_row(query + q * query_step_, size_, head_.stride, row, factors + q);
      factors[q] *= scale;
    }
    __m512 peaks[kQueries];
    score<kQueries>(bytes.data(), factors, shifts, scores.data(), peaks);
    for (int q = 0; q < kQueries; ++q) {
      divisors[q] =
          weigh(scores.data() + q * head_.padded, weights.data() + q * head_.padded, _mm512_reduce_max_ps(peaks[q]));
    }
    blend<kQueries>(weights.data(), divisors, result);
  }

  template <int kQueries>
  void score(const int8_t* bytes, const float* factors, const int32_t* shifts, float* scores, __m512* peaks) const {
    const int64_t stride = head_.stride;
    for (int q = 0; q < kQueries; ++q) peaks[q] = _mm512_set1_ps(-std::numeric_limits<float>::infinity());
    for (int64_t i = 0; i < head_.padded; i += simd::kLanes) {
      __m512i sums[kQueries];
#pragma GCC unroll 4
      for (int q = 0; q < kQueries; ++q) sums[q] = _mm512_setzero_si512();
      for (int64_t j = 0; j < stride; j += 4) {
        const int64_t place = i * stride + j * simd::kLanes;
        _mm_prefetch(head_.values + place, _MM_HINT_T0);  // They come next, and may be as far as the memory.
        const __m512i key = simd::kept(_mm512_loadu_si512(head_.keys + place));
#pragma GCC unroll 4
        for (int q = 0; q < kQueries; ++q) {
          simd::dot(sums[q], key, _mm512_set1_epi32(simd::four_bytes(bytes + q * stride + j)));
        }
      }
      const __mmask16 inside = simd::tail_mask(std::max<int64_t>(0, length_ - i));
      const __m512 bias = _mm512_mask_loadu_ps(_mm512_set1_ps(kHidden), inside, bias_ + i);
      const __m512 scales = _mm512_loadu_ps(head_.key_scales + i);
#pragma GCC unroll 4
      for (int q = 0; q < kQueries; ++q) {
        const __m512 product = _mm512_cvtepi32_ps(_mm512_sub_epi32(sums[q], _mm512_set1_epi32(shifts[q])));
        const __m512 value = _mm512_fmadd_ps(product, _mm512_mul_ps(scales, _mm512_set1_ps(factors[q])), bias);
        peaks[q] = _mm512_max_ps(peaks[q], value);
        _mm512_storeu_ps(scores + q * head_.padded + i, value);
      }
    }
  }

  // Softmax, the values' scales, and the result in bytes; returns what the sum of bytes times values is multiplied by.
  float weigh(float* scores, uint8_t* weights, float peak) const {
    __m512 sum = _mm512_setzero_ps(), greatest = _mm512_setzero_ps();
    for (int64_t i = 0; i < head_.padded; i += simd::kLanes) {
      const __m512 power = simd::exp(_mm512_sub_ps(_mm512_loadu_ps(scores + i), _mm512_set1_ps(peak)));
      const __m512 weight = _mm512_mul_ps(power, _mm512_loadu_ps(head_.value_scales + i));
      sum = _mm512_add_ps(sum, power);
      greatest = _mm512_max_ps(greatest, weight);
      _mm512_storeu_ps(scores + i, weight);
    }
    const float top = _mm512_reduce_max_ps(greatest);
    const __m512 factor = _mm512_set1_ps(top > 0 ? 255.0f / top : 0.0f);
    for (int64_t i = 0; i < head_.padded; i += simd::kLanes) {
      const __m512i whole = _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_loadu_ps(scores + i), factor));
      _mm_storeu_si128(reinterpret_cast<__m128i*>(weights + i), _mm512_cvtusepi32_epi8(whole));
    }
    return top / 255.0f / _mm512_reduce_add_ps(sum);
  }

  template <int kQueries>
  void blend(const uint8_t* weights, const float* divisors, float* result) const {
    for (int64_t j = 0; j < size_; j += simd::kLanes) {
      __m512i sums[kQueries];
#pragma GCC unroll 4
      for (int q = 0; q < kQueries; ++q) sums[q] = _mm512_setzero_si512();
      for (int64_t i = 0; i < head_.padded; i += 4) {
        const __m512i value = simd::kept(_mm512_loadu_si512(head_.values + i * head_.stride + j * 4));
#pragma GCC unroll 4
        for (int q = 0; q < kQueries; ++q) {
          const auto* four = reinterpret_cast<const int8_t*>(weights + q * head_.padded + i);
          simd::dot(sums[q], _mm512_set1_epi32(simd::four_bytes(four)), value);
        }
      }
#pragma GCC unroll 4
      for (int q = 0; q < kQueries; ++q) {
        const __m512 blended = _mm512_mul_ps(_mm512_cvtepi32_ps(sums[q]), _mm512_set1_ps(divisors[q]));
        _mm512_mask_storeu_ps(result + q * result_step_ + j, simd::tail_mask(size_ - j), blended);
      }
    }
  }

  const StoredHead& head_;
  const float* const bias_;
  const int64_t length_, size_, query_step_, result_step_;
};

}  // namespace infolens
