// Attention of the beams over the tokens that they have written: a tree, in which every beam sees its own ancestors.
#pragma once

#include <algorithm>

#include "ort.h"
#include "simd.h"

namespace infolens {

// Room for the keys and values of a whole search, which the steps fill in place: FLOAT
// (layers, 2, batch, heads, beams * tokens, head size). Nothing is written here, so no memory is touched.
class BeamCache {
 public:
  explicit BeamCache(const ort::Info& info)
      : layers_(info.integer("layers")), heads_(info.integer("num_heads")), size_(info.integer("head_size")) {}

  // batch, beams and tokens, INT64 (1) each
  void compute(const ort::Context& context) {
    const int64_t batch = *context.input(0).as<int64_t>(), beams = *context.input(1).as<int64_t>();
    const int64_t tokens = *context.input(2).as<int64_t>();
    context.output<float>(0, {layers_, 2, batch, heads_, beams * tokens, size_});
  }

 private:
  const int64_t layers_, heads_, size_;
};

class BeamAttention {
 public:
  explicit BeamAttention(const ort::Info& info) : heads_(info.integer("num_heads")), layer_(info.integer("layer")) {}

  // queries, keys and values FLOAT (batch * beams, 3 * width); the cache of `BeamCache`; past keys and values, which
  // are empty here; the bias of the scores FLOAT (batch, 1, beams, nodes), negative where a beam may not look
  // -> FLOAT (batch * beams, width), and present keys and values, empty again
  void compute(const ort::Context& context) {
    const ort::Tensor parts = context.input(0), cache = context.input(1), bias = context.input(4);
    const int64_t batch = cache.dims[2], capacity = cache.dims[4], size = cache.dims[5], width = heads_ * size;
    const int64_t beams = bias.dims[2], nodes = bias.dims[3];
    ort::require(cache.rank == 6 && cache.dims[3] == heads_ && parts.last() == 3 * width && nodes <= capacity &&
                     parts.dims[0] == batch * beams && layer_ < cache.dims[0],
                 "attention of beams takes three times the width, and no more tokens than its cache has room for");
    float* y = context.output<float>(0, {batch * beams, width});
    context.output<float>(1, {batch, heads_, 0, size});
    context.output<float>(2, {batch, heads_, 0, size});
    const int64_t side = batch * heads_ * capacity * size;
    float* keys = cache.as<float>() + layer_ * 2 * side;
    context.parallel(static_cast<size_t>(batch * heads_), [&](size_t task) {
      const int64_t head = static_cast<int64_t>(task), article = head / heads_, column = head % heads_ * size;
      float* key = keys + head * capacity * size;
      float* value = key + side;
      const float* rows = parts.as<float>() + article * beams * 3 * width + column;
      for (int64_t beam = 0; beam < beams; ++beam) {  // The newest tokens stand behind all others.
        const int64_t node = (nodes - beams + beam) * size;
        std::copy_n(rows + beam * 3 * width + width, size, key + node);
        std::copy_n(rows + beam * 3 * width + 2 * width, size, value + node);
      }
      prefetch(bias.as<float>() + article * beams * nodes, key, value, beams, nodes, size);
      for (int64_t beam = 0; beam < beams; ++beam) {
        attend(rows + beam * 3 * width, key, value, bias.as<float>() + (article * beams + beam) * nodes, nodes, size,
               y + (article * beams + beam) * width + column);
      }
    });
  }

 private:
  // Ancestors lie scattered, and what a step before has read of them is no longer in the caches.
  static void prefetch(const float* bias, const float* keys, const float* values, int64_t beams, int64_t nodes,
                       int64_t size) {
    for (const float* side : {keys, values}) {
      for (int64_t i = 0; i < nodes; ++i) {
        bool seen = false;
        for (int64_t beam = 0; beam < beams; ++beam) seen |= bias[beam * nodes + i] >= 0;
        for (int64_t j = 0; seen && j < size; j += simd::kLanes) _mm_prefetch(side + i * size + j, _MM_HINT_T0);
      }
    }
  }

  static void attend(const float* query, const float* keys, const float* values, const float* bias, int64_t nodes,
                     int64_t size, float* y) {
    thread_local std::vector<int64_t> places;
    thread_local std::vector<float> room;
    places.resize(static_cast<size_t>(nodes));
    room.resize(static_cast<size_t>(simd::padded(nodes)));
    int64_t* const ancestors = places.data();
    float* const weights = room.data();
    int64_t count = 0;
    for (int64_t i = 0; i < nodes; ++i) {
      ancestors[count] = i;
      count += bias[i] >= 0;
    }
    const float scale = 1.0f / __builtin_sqrtf(static_cast<float>(size));
    for (int64_t i = 0; i < count; ++i) weights[i] = scale * product(query, keys + ancestors[i] * size, size);
    const float divisor = 1.0f / powers(weights, count);
    for (int64_t j = 0; j < size; j += simd::kLanes) {
      const __mmask16 mask = simd::tail_mask(size - j);
      __m512 even = _mm512_setzero_ps(), odd = _mm512_setzero_ps();  // Two sums, since each waits for itself.
      for (int64_t i = 0; i < count; i += 2) {
        even = _mm512_fmadd_ps(_mm512_set1_ps(weights[i]),
                               _mm512_maskz_loadu_ps(mask, values + ancestors[i] * size + j), even);
        if (i + 1 == count) break;
        odd = _mm512_fmadd_ps(_mm512_set1_ps(weights[i + 1]),
                              _mm512_maskz_loadu_ps(mask, values + ancestors[i + 1] * size + j), odd);
      }
      _mm512_mask_storeu_ps(y + j, mask, _mm512_mul_ps(_mm512_add_ps(even, odd), _mm512_set1_ps(divisor)));
    }
  }

  static float product(const float* x, const float* y, int64_t count) {
    __m512 sum = _mm512_setzero_ps();
    for (int64_t i = 0; i < count; i += simd::kLanes) {
      const __mmask16 mask = simd::tail_mask(count - i);
      sum = _mm512_fmadd_ps(_mm512_maskz_loadu_ps(mask, x + i), _mm512_maskz_loadu_ps(mask, y + i), sum);
    }
    return _mm512_reduce_add_ps(sum);
  }

  // Replaces scores by the powers of a softmax and returns their sum.
  static float powers(float* scores, int64_t count) {
    const float peak = *std::max_element(scores, scores + count);
    __m512 sum = _mm512_setzero_ps();
    for (int64_t i = 0; i < count; i += simd::kLanes) {
      const __mmask16 mask = simd::tail_mask(count - i);
      const __m512 distance = _mm512_sub_ps(_mm512_maskz_loadu_ps(mask, scores + i), _mm512_set1_ps(peak));
      const __m512 power = _mm512_maskz_mov_ps(mask, simd::exp(distance));
      sum = _mm512_add_ps(sum, power);
      _mm512_storeu_ps(scores + i, power);
    }
    return _mm512_reduce_add_ps(sum);
  }

  const int64_t heads_, layer_;
};

}  // namespace infolens
