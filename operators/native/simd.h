// Vectors of 16 floats: exponential, GELU, and rows of int8 with a scale each. Needs AVX-512 with VNNI.
#pragma once

#include <immintrin.h>

#include <cstdint>
#include <type_traits>
#include <utility>

namespace simd {

constexpr int kLanes = 16;

// The next multiple of the lanes.
constexpr int64_t padded(int64_t count) { return (count + kLanes - 1) / kLanes * kLanes; }

inline __mmask16 tail_mask(int64_t count) {
  return count >= kLanes ? 0xffff : static_cast<__mmask16>((1u << count) - 1);
}

// e^x, relative error about 1e-7: x = n ln 2 + r, a polynomial of degree 6 in r (Cephes expf), scaled by 2^n.
inline __m512 exp(__m512 x) {
  x = _mm512_max_ps(_mm512_min_ps(x, _mm512_set1_ps(88.0f)), _mm512_set1_ps(-104.0f));
  const __m512 n = _mm512_roundscale_ps(_mm512_mul_ps(x, _mm512_set1_ps(1.44269504088896341f)), 0x08);
  __m512 r = _mm512_fnmadd_ps(n, _mm512_set1_ps(0.693359375f), x);
  r = _mm512_fnmadd_ps(n, _mm512_set1_ps(-2.12194440e-4f), r);
  __m512 p = _mm512_set1_ps(1.9875691500e-4f);
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.3981999507e-3f));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(8.3334519073e-3f));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(4.1665795894e-2f));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.6666665459e-1f));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(5.0000001201e-1f));
  p = _mm512_fmadd_ps(p, _mm512_mul_ps(r, r), _mm512_add_ps(r, _mm512_set1_ps(1.0f)));
  return _mm512_scalef_ps(p, n);
}

// 2^x for weights of a softmax, relative error about 1e-4: x = n + r, a polynomial of degree 3 in r, scaled by 2^n.
inline __m512 exp2(__m512 x) {
  const __m512 n = _mm512_roundscale_ps(x, 0x08);
  const __m512 r = _mm512_sub_ps(x, n);
  __m512 p = _mm512_set1_ps(0.0551716688f);
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0.242611133f));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0.693260986f));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0.999928073f));
  return _mm512_scalef_ps(p, n);
}

// log2(x) of positive numbers, absolute error about 2e-5: x = 2^n m, and ln m as a series in (m - 1) / (m + 1).
inline __m512 log2(__m512 x) {
  const __m512 m = _mm512_getmant_ps(x, _MM_MANT_NORM_1_2, _MM_MANT_SIGN_src), one = _mm512_set1_ps(1.0f);
  const __m512 s = _mm512_div_ps(_mm512_sub_ps(m, one), _mm512_add_ps(m, one)), square = _mm512_mul_ps(s, s);
  __m512 p = _mm512_set1_ps(2.8853900818f / 7);
  p = _mm512_fmadd_ps(p, square, _mm512_set1_ps(2.8853900818f / 5));
  p = _mm512_fmadd_ps(p, square, _mm512_set1_ps(2.8853900818f / 3));
  p = _mm512_fmadd_ps(p, square, _mm512_set1_ps(2.8853900818f));
  return _mm512_fmadd_ps(p, s, _mm512_getexp_ps(x));
}

// x Phi(x), with erf by Abramowitz and Stegun 7.1.26 (absolute error 1.5e-7).
inline __m512 gelu(__m512 x) {
  const __m512 one = _mm512_set1_ps(1.0f);
  const __m512 z = _mm512_mul_ps(_mm512_abs_ps(x), _mm512_set1_ps(0.70710678118654752f));
  const __m512 t = _mm512_div_ps(one, _mm512_fmadd_ps(z, _mm512_set1_ps(0.3275911f), one));
  __m512 p = _mm512_set1_ps(1.061405429f);
  p = _mm512_fmadd_ps(p, t, _mm512_set1_ps(-1.453152027f));
  p = _mm512_fmadd_ps(p, t, _mm512_set1_ps(1.421413741f));
  p = _mm512_fmadd_ps(p, t, _mm512_set1_ps(-0.284496736f));
  p = _mm512_fmadd_ps(p, t, _mm512_set1_ps(0.254829592f));
  const __m512 tail = _mm512_mul_ps(_mm512_mul_ps(p, t), exp(_mm512_sub_ps(_mm512_setzero_ps(), _mm512_mul_ps(z, z))));
  // Phi(x) is tail / 2 for negative x, and 1 - tail / 2 for positive x.
  const __m512 half = _mm512_mul_ps(tail, _mm512_set1_ps(0.5f));
  const __mmask16 positive = _mm512_cmp_ps_mask(x, _mm512_setzero_ps(), _CMP_GT_OQ);
  return _mm512_mul_ps(x, _mm512_mask_sub_ps(half, positive, one, half));
}

inline float greatest_magnitude(const float* x, int64_t count) {
  __m512 peak = _mm512_setzero_ps();
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) peak = _mm512_max_ps(peak, _mm512_abs_ps(_mm512_loadu_ps(x + i)));
  if (i < count) peak = _mm512_max_ps(peak, _mm512_abs_ps(_mm512_maskz_loadu_ps(tail_mask(count - i), x + i)));
  return _mm512_reduce_max_ps(peak);
}

// How many elements there are up to the last one above `least`.
inline int64_t last_above(const float* x, int64_t count, float least) {
  for (int64_t first = 0; count > 0; count = first) {
    first = count < kLanes ? 0 : count - kLanes;
    const __mmask16 mask = tail_mask(count - first);
    const uint32_t above =
        _mm512_mask_cmp_ps_mask(mask, _mm512_maskz_loadu_ps(mask, x + first), _mm512_set1_ps(least), _CMP_NLE_UQ);
    if (above != 0) return first + 32 - __builtin_clz(above);
  }
  return 0;
}

// A row of int8 and its scale: x is about scale * q. Writes up to `padded` (a multiple of 4), zeros behind `count`.
// Returns the sum of the integers.
inline int32_t quantize_row(const float* x, int64_t count, int64_t padded, int8_t* q, float* scale) {
  const float peak = greatest_magnitude(x, count);
  *scale = peak / 127.0f;
  const __m512 factor = _mm512_set1_ps(peak > 0 ? 127.0f / peak : 0.0f);
  __m512i sum = _mm512_setzero_si512();
  for (int64_t i = 0; i < padded; i += kLanes) {
    const __m512 values = _mm512_maskz_loadu_ps(tail_mask(count - i < 0 ? 0 : count - i), x + i);
    const __m512i whole = _mm512_cvtps_epi32(_mm512_mul_ps(values, factor));
    sum = _mm512_add_epi32(sum, whole);
    _mm_mask_storeu_epi8(q + i, tail_mask(padded - i), _mm512_cvtsepi32_epi8(whole));
  }
  return _mm512_reduce_add_epi32(sum);
}

// Lane r of the result is what `join` makes of all lanes of rows[r].
template <class Join>
[[gnu::always_inline]] inline __m512 join_lanes(const __m512 (&rows)[kLanes], Join join) {
  __m512 four[4];
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    const __m512* row = rows + 4 * i;
    const __m512d low = _mm512_castps_pd(join(_mm512_unpacklo_ps(row[0], row[1]), _mm512_unpackhi_ps(row[0], row[1])));
    const __m512d high = _mm512_castps_pd(join(_mm512_unpacklo_ps(row[2], row[3]), _mm512_unpackhi_ps(row[2], row[3])));
    four[i] = join(_mm512_castpd_ps(_mm512_unpacklo_pd(low, high)), _mm512_castpd_ps(_mm512_unpackhi_pd(low, high)));
  }
  const auto halve = [&join](__m512 x, __m512 y) {
    return join(_mm512_shuffle_f32x4(x, y, 0x88), _mm512_shuffle_f32x4(x, y, 0xdd));
  };
  return halve(halve(four[0], four[1]), halve(four[2], four[3]));
}

inline __m512 sums(const __m512 (&rows)[kLanes]) {
  return join_lanes(rows, [](__m512 x, __m512 y) { return _mm512_add_ps(x, y); });
}

// As `sums`, in the order of `_mm512_reduce_add_ps`, so that a row has the same sum by itself.
inline __m512 totals(const __m512 (&rows)[kLanes]) {
  const auto join = [](__m512d low, __m512d high) {
    return _mm512_add_ps(_mm512_castpd_ps(low), _mm512_castpd_ps(high));
  };
  __m512 four[4];
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {  // Rows i, i + 4, i + 8 and i + 12: four lanes each.
    const auto halve = [&](__m512 x, __m512 y) {
      return _mm512_add_ps(_mm512_shuffle_f32x4(x, y, 0x44), _mm512_shuffle_f32x4(x, y, 0xee));
    };
    const __m512 low = halve(rows[i], rows[i + 4]), high = halve(rows[i + 8], rows[i + 12]);
    four[i] = _mm512_add_ps(_mm512_shuffle_f32x4(low, high, 0x88), _mm512_shuffle_f32x4(low, high, 0xdd));
  }
  __m512 two[2];
  for (int i = 0; i < 2; ++i) {
    const __m512d x = _mm512_castps_pd(four[2 * i]), y = _mm512_castps_pd(four[2 * i + 1]);
    two[i] = join(_mm512_unpacklo_pd(x, y), _mm512_unpackhi_pd(x, y));
  }
  return _mm512_add_ps(_mm512_shuffle_ps(two[0], two[1], 0x88), _mm512_shuffle_ps(two[0], two[1], 0xdd));
}

inline __m512 peaks(const __m512 (&rows)[kLanes]) {
  return join_lanes(rows, [](__m512 x, __m512 y) { return _mm512_max_ps(x, y); });
}

// Sixteen rows that lie too far apart for the processor to foresee them, or fewer if fewer are left.
inline void prefetch_rows(const float* x, int64_t step, int64_t count, int64_t size) {
  for (int64_t r = 0; r < (count < kLanes ? count : kLanes); ++r) {
    for (int64_t i = 0; i < size; i += kLanes) _mm_prefetch(x + r * step + i, _MM_HINT_T0);
  }
}

// As `quantize_row`, for sixteen rows that are `step` elements apart; rows from `count` on are zeros with a scale of 0.
// Rows of bytes are `padded` (a multiple of 16) elements. Returns the sums of the integers.
inline __m512i quantize_rows(const float* x, int64_t step, int64_t count, int64_t size, int64_t padded, int8_t* q,
                             float* scales) {
  const int64_t rows = count < kLanes ? count : kLanes;
  __m512 each[kLanes];
#pragma GCC unroll 16
  for (int r = 0; r < kLanes; ++r) {
    each[r] = _mm512_setzero_ps();
    if (r >= rows) continue;
    for (int64_t i = 0; i < size; i += kLanes) {
      each[r] = _mm512_max_ps(each[r], _mm512_abs_ps(_mm512_maskz_loadu_ps(tail_mask(size - i), x + r * step + i)));
    }
  }
  const __m512 peak = peaks(each), most = _mm512_set1_ps(127.0f);
  alignas(64) float factors[kLanes];
  _mm512_store_ps(factors, _mm512_maskz_div_ps(_mm512_cmp_ps_mask(peak, _mm512_setzero_ps(), _CMP_GT_OQ), most, peak));
  _mm512_storeu_ps(scales, _mm512_div_ps(peak, most));
#pragma GCC unroll 16
  for (int r = 0; r < kLanes; ++r) {
    const __m512 factor = _mm512_set1_ps(factors[r]);
    const float* row = x + (r < rows ? r * step : 0);
    __m512i sum = _mm512_setzero_si512();
    for (int64_t i = 0; i < padded; i += kLanes) {
      const __mmask16 mask = r < rows ? tail_mask(size - i) : 0;
      const __m512i whole = _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_maskz_loadu_ps(mask, row + i), factor));
      sum = _mm512_add_epi32(sum, whole);
      _mm_storeu_si128(reinterpret_cast<__m128i*>(q + r * padded + i), _mm512_cvtsepi32_epi8(whole));
    }
    each[r] = _mm512_cvtepi32_ps(sum);
  }
  return _mm512_cvtps_epi32(sums(each));
}

// sum += four products of unsigned and signed bytes, in every lane. In assembler, because GCC 12 copies the sums of
// its own intrinsic from register to register and runs out of them.
[[gnu::always_inline]] inline void dot(__m512i& sum, __m512i unsigned_bytes, __m512i signed_bytes) {
  asm("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(unsigned_bytes), "v"(signed_bytes));
}

// Stays in its register: the compiler would rather load it again at every use.
[[gnu::always_inline]] inline __m512i kept(__m512i x) {
  asm("" : "+v"(x));
  return x;
}

inline int32_t four_bytes(const int8_t* bytes) {
  int32_t word;
  __builtin_memcpy(&word, bytes, 4);
  return word;
}

}  // namespace simd
