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
constexpr float kLeastScale = 1e-12f;

// The keys and values of one head. Layout of `padded` positions of `stride` elements, both multiples of 16:
//   keys:   for 16 positions: for 4 elements: 16 x 4 bytes, shifted by 128 (see linear.h)
//   values: for 4 positions: for every element: 4 bytes
// The scale of a position's value stands as its binary logarithm, which is added to the position's score, and as its
// inverse, with which the weights are summed up. What is padding has key scales of 0.
struct StoredHead {
  uint8_t* keys;
  float* key_scales;
  int8_t* values;
  float* value_logs;
  float* value_inverses;
  int64_t padded, stride;

  // Quantizes `length` rows of `size` elements; rows of `key` and `value` are `step` elements apart.
  void fill(const float* key, const float* value, int64_t step, int64_t length, int64_t size) const {
    thread_local std::vector<int8_t> bytes;
    bytes.resize(static_cast<size_t>(simd::kLanes * stride));
    for (int64_t i = 0; i < padded; i += simd::kLanes) {
      simd::prefetch_rows(key + (i + simd::kLanes) * step, step, length - i - simd::kLanes, size);
      simd::prefetch_rows(value + (i + simd::kLanes) * step, step, length - i - simd::kLanes, size);
      simd::quantize_rows(key + i * step, step, length - i, size, stride, bytes.data(), key_scales + i);
      const __m512i places = _mm512_mullo_epi32(_mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0),
                                                _mm512_set1_epi32(static_cast<int>(stride)));
      for (int64_t j = 0; j < stride; j += 4) {
        const __m512i four = _mm512_i32gather_epi32(places, bytes.data() + j, 1);
        _mm512_storeu_si512(keys + i * stride + j * simd::kLanes, _mm512_xor_si512(four, _mm512_set1_epi8(-128)));
      }
      simd::quantize_rows(value + i * step, step, length - i, size, stride, bytes.data(), value_inverses + i);
      // Nobody misses a value of less than 1e-10; a scale of 0 would have no logarithm.
      const __m512 scales = _mm512_max_ps(_mm512_loadu_ps(value_inverses + i), _mm512_set1_ps(kLeastScale));
      _mm512_storeu_ps(value_logs + i, simd::log2(scales));
      _mm512_storeu_ps(value_inverses + i, _mm512_div_ps(_mm512_set1_ps(1.0f), scales));
      for (int64_t p = 0; p < simd::kLanes; p += 4) {
        for (int64_t j = 0; j < stride; j += simd::kLanes)
          interleave(bytes.data() + p * stride + j, values + (i + p) * stride + j * 4);
      }
    }
  }

 private:
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
      : head_(head),
        bias_(bias),
        length_(seen(bias, length)),
        positions_(simd::padded(length_)),
        room_((positions_ + kBlock - 1) / kBlock * kBlock),
        size_(size),
        query_step_(query_step),
        result_step_(result_step) {}

  void attend(const float* query, float* result, int64_t queries) const {
    thread_local std::vector<int8_t> bytes;
    thread_local std::vector<float> scores, bias;
    thread_local std::vector<uint8_t> weights;
    bytes.resize(static_cast<size_t>(simd::kLanes * head_.stride));
    scores.resize(static_cast<size_t>(kMostQueries * room_));
    weights.resize(static_cast<size_t>(kMostQueries * room_));
    bias.resize(static_cast<size_t>(positions_));
    for (int64_t i = 0; i < positions_; i += simd::kLanes) {
      const __m512 given = _mm512_mask_loadu_ps(_mm512_set1_ps(kHidden), simd::tail_mask(length_ - i), bias_ + i);
      _mm512_storeu_ps(bias.data() + i,
                       _mm512_fmadd_ps(given, _mm512_set1_ps(kLog2E), _mm512_loadu_ps(head_.value_logs + i)));
    }
    alignas(64) float factors[simd::kLanes];
    alignas(64) int32_t shifts[simd::kLanes];
    const __m512 scale = _mm512_set1_ps(kLog2E / __builtin_sqrtf(static_cast<float>(size_)));
    for (int64_t first = 0; first < queries; first += simd::kLanes) {
      const int64_t count = std::min<int64_t>(simd::kLanes, queries - first);
      const __m512i sums = simd::quantize_rows(query + first * query_step_, query_step_, count, size_, head_.stride,
                                               bytes.data(), factors);
      simd::prefetch_rows(query + (first + simd::kLanes) * query_step_, query_step_, queries - first - simd::kLanes,
                          size_);
      _mm512_store_si512(shifts, _mm512_mullo_epi32(sums, _mm512_set1_epi32(-128)));
      _mm512_store_ps(factors, _mm512_mul_ps(_mm512_load_ps(factors), scale));
      for (int64_t q = 0, taken = 0; q < count; q += taken) {
        const Queries some{
            bytes.data() + q * head_.stride, factors + q, shifts + q, bias.data(), scores.data(), weights.data()};
        taken = attend(some, result + (first + q) * result_step_, count - q);
      }
    }
  }

 private:
  static constexpr int64_t kBlock = 64;  // Positions whose weights are one register of bytes.
  static constexpr int kMostQueries = 8;

  // Some queries in bytes, and room for what becomes of them.
  struct Queries {
    const int8_t* bytes;
    const float* factors;
    const int32_t* shifts;
    const float* bias;
    float* scores;
    uint8_t* weights;
  };  // `bias` of every position, in units of ln 2, with the logarithms of the values' scales.

  // Positions behind the last one that may be looked at cost nothing.
  static int64_t seen(const float* bias, int64_t length) {
    const int64_t last = simd::last_above(bias, length, kHidden);
    return last > 0 ? last : length;
  }

  // Returns how many of the queries it took.
  int64_t attend(const Queries& some, float* result, int64_t queries) const {
    switch (std::min<int64_t>(kMostQueries, queries)) {
      case 1:
        return attend<1>(some, result);
      case 2:
        return attend<2>(some, result);
      case 3:
        return attend<3>(some, result);
      case kMostQueries:
        return attend<kMostQueries>(some, result);
      default:
        return attend<4>(some, result);
    }
  }

  template <int kQueries>
  int64_t attend(const Queries& some, float* result) const {
    constexpr int kPanels = kQueries > 4 ? 2 : 4;  // Sixteen sums: each key is loaded once for several queries.
    __m512 peaks[kQueries];
    for (__m512& peak : peaks) peak = _mm512_set1_ps(-std::numeric_limits<float>::infinity());
    int64_t i = 0;
    for (; i + kPanels * simd::kLanes <= positions_; i += kPanels * simd::kLanes) {
      score<kQueries, kPanels>(some, peaks, i, std::make_integer_sequence<int, kQueries * kPanels>());
    }
    for (; i < positions_; i += simd::kLanes) {
      score<kQueries, 1>(some, peaks, i, std::make_integer_sequence<int, kQueries>());
    }
    __m512 rows[simd::kLanes];
    alignas(64) float offsets[simd::kLanes], divisors[simd::kLanes];
#pragma GCC unroll 16
    for (int q = 0; q < simd::kLanes; ++q) rows[q] = peaks[q % kQueries];
    _mm512_store_ps(offsets, _mm512_sub_ps(simd::peaks(rows), _mm512_set1_ps(7.99435344f)));  // log2(255)
    for (int q = 0; q < kQueries; ++q) {
      peaks[q] = weigh(some.scores + q * room_, some.weights + q * room_, _mm512_set1_ps(offsets[q]));
    }
#pragma GCC unroll 16
    for (int q = 0; q < simd::kLanes; ++q) rows[q] = peaks[q % kQueries];
    _mm512_store_ps(divisors, _mm512_div_ps(_mm512_set1_ps(1.0f), simd::sums(rows)));
    for (int64_t j = 0, step = 0; j < head_.stride; j += step) {
      const int64_t left = head_.stride - j;
      if (kPanels == 4 && left >= 4 * simd::kLanes) {
        step = blend<kQueries, kPanels>(some.weights, divisors, result + j, j);
      } else if (left >= 2 * simd::kLanes) {
        step = blend<kQueries, 2>(some.weights, divisors, result + j, j);
      } else {
        step = blend<kQueries, 1>(some.weights, divisors, result + j, j);
      }
    }
    return kQueries;
  }

  // Scores of the positions from `i` on, in units of ln 2.
  template <int kQueries, int kPanels, int... kSum>
  [[gnu::always_inline]] void score(const Queries& some, __m512 (&peaks)[kQueries], int64_t i,
                                    std::integer_sequence<int, kSum...>) const {
    const int64_t stride = head_.stride, room = room_;
    const int8_t* const bytes = some.bytes;
    const uint8_t* const keys = head_.keys + i * stride;
    float* const to = some.scores + i;
    __m512i sums[kQueries * kPanels] = {_mm512_set1_epi32(some.shifts[kSum / kPanels])...};
    for (int64_t j = 0; j < stride; j += 4) {
      __m512i columns[kPanels];
#pragma GCC unroll 4
      for (int p = 0; p < kPanels; ++p) {
        const int64_t place = (j + p * stride) * simd::kLanes;
        columns[p] = simd::kept(_mm512_loadu_si512(keys + place));
        // Values come next; those of a few queries may be as far as the memory.
        if (kQueries <= 4) _mm_prefetch(head_.values + i * stride + place, _MM_HINT_T0);
      }
      (simd::dot(sums[kSum], columns[kSum % kPanels],
                 _mm512_set1_epi32(simd::four_bytes(bytes + kSum / kPanels * stride + j))),
       ...);
    }
    __m512 bias[kPanels], scales[kPanels];
#pragma GCC unroll 4
    for (int p = 0; p < kPanels; ++p) {
      bias[p] = _mm512_loadu_ps(some.bias + i + p * simd::kLanes);
      scales[p] = _mm512_loadu_ps(head_.key_scales + i + p * simd::kLanes);
    }
    const float* const factors = some.factors;
    (put(_mm512_cvtepi32_ps(sums[kSum]), _mm512_mul_ps(scales[kSum % kPanels], _mm512_set1_ps(factors[kSum / kPanels])),
         bias[kSum % kPanels], peaks[kSum / kPanels], to + kSum / kPanels * room + kSum % kPanels * simd::kLanes),
     ...);
  }

  [[gnu::always_inline]] static void put(__m512 product, __m512 scale, __m512 bias, __m512& peak, float* score) {
    const __m512 value = _mm512_fmadd_ps(product, scale, bias);
    peak = _mm512_max_ps(peak, value);
    _mm512_storeu_ps(score, value);
  }

  // Softmax: every weight times the scale of its value, in bytes of which the greatest is 255. The bytes of 64
  // positions stand as packing leaves them: four of each register in turn. Returns the sum of the weights, in lanes.
  [[gnu::always_inline]] __m512 weigh(const float* scores, uint8_t* weights, __m512 offset) const {
    const float* const inverses = head_.value_inverses;
    const int64_t whole_blocks = positions_ / kBlock * kBlock;
    __m512 sum[2] = {_mm512_setzero_ps(), _mm512_setzero_ps()};
    __m512i whole[4];
    const auto weight = [&](int64_t place, int k) {
      const __m512 power = simd::exp2(_mm512_sub_ps(_mm512_loadu_ps(scores + place), offset));
      sum[k % 2] = _mm512_fmadd_ps(power, _mm512_loadu_ps(inverses + place), sum[k % 2]);
      return _mm512_cvtps_epi32(power);
    };
    const auto pack = [&](int64_t place) {
      _mm512_storeu_si512(weights + place, _mm512_packus_epi16(_mm512_packs_epi32(whole[0], whole[1]),
                                                               _mm512_packs_epi32(whole[2], whole[3])));
    };
    for (int64_t i = 0; i < whole_blocks; i += kBlock) {
#pragma GCC unroll 4
      for (int k = 0; k < 4; ++k) whole[k] = weight(i + k * simd::kLanes, k);
      pack(i);
    }
    if (whole_blocks < positions_) {
#pragma GCC unroll 4
      for (int k = 0; k < 4; ++k) {
        const int64_t place = whole_blocks + k * simd::kLanes;
        whole[k] = place < positions_ ? weight(place, k) : _mm512_setzero_si512();
      }
      pack(whole_blocks);
    }
    return _mm512_add_ps(sum[0], sum[1]);
  }

  // Elements from `j` on; returns how many.
  template <int kQueries, int kPanels>
  int64_t blend(const uint8_t* weights, const float* divisors, float* result, int64_t j) const {
    return blend<kQueries, kPanels>(weights, divisors, result, j,
                                    std::make_integer_sequence<int, kQueries * kPanels>());
  }

  template <int kQueries, int kPanels, int... kSum>
  [[gnu::always_inline]] int64_t blend(const uint8_t* weights, const float* divisors, float* result, int64_t j,
                                       std::integer_sequence<int, kSum...>) const {
    const int64_t room = room_;
    __m512i sums[kQueries * kPanels] = {(static_cast<void>(kSum), _mm512_setzero_si512())...};
    const int8_t* values = head_.values + j * 4;
    for (int64_t i = 0; i < positions_; i += simd::kLanes) {
      const int8_t* four = reinterpret_cast<const int8_t*>(weights) + i / kBlock * kBlock + i % kBlock / 4;
      for (int k = 0; k < 4; ++k, four += simd::kLanes, values += head_.stride * 4) {
        __m512i columns[kPanels];
#pragma GCC unroll 4
        for (int p = 0; p < kPanels; ++p) columns[p] = simd::kept(_mm512_loadu_si512(values + p * 64));
        (simd::dot(sums[kSum], _mm512_set1_epi32(simd::four_bytes(four + kSum / kPanels * room)),
                   columns[kSum % kPanels]),
         ...);
      }
    }
    (_mm512_mask_storeu_ps(result + kSum / kPanels * result_step_ + kSum % kPanels * simd::kLanes,
                           simd::tail_mask(std::max<int64_t>(0, size_ - j - kSum % kPanels * simd::kLanes)),
                           _mm512_mul_ps(_mm512_cvtepi32_ps(sums[kSum]), _mm512_set1_ps(divisors[kSum / kPanels]))),
     ...);
    return kPanels * simd::kLanes;
  }

  static constexpr float kLog2E = 1.44269504088896341f;
  const StoredHead& head_;
  const float* const bias_;
  const int64_t length_, positions_, room_, size_, query_step_, result_step_;
};

}  // namespace infolens
