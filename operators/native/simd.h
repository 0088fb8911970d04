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
