// Attention of beams over the tokens that they have written, in caches that stay where they are: nodes of a tree, of
// which each beam sees its own ancestors.
#pragma once

#include <algorithm>
#include <limits>
#include <vector>

#include "ort.h"
#include "simd.h"

namespace infolens {

// The keys and values of one head, FLOAT (nodes, size) each.
struct Tree {
  float* keys;
  float* values;
  int64_t size;

  void put(int64_t node, const float* key, const float* value) const {
    std::copy_n(key, size, keys + node * size);
    std::copy_n(value, size, values + node * size);
  }

  // What a query finds at `count` nodes.
  void attend(const float* query, const int64_t* nodes, int64_t count, float* y) const {
    thread_local std::vector<float> room;
    room.resize(static_cast<size_t>(simd::padded(count)));
    float* const weights = room.data();
    const __m512 scale = _mm512_set1_ps(1.0f / __builtin_sqrtf(static_cast<float>(size)));
    for (int64_t i = 0; i < count; i += simd::kLanes) {
      __m512 products[simd::kLanes];
#pragma GCC unroll 16
      for (__m512& product : products) product = _mm512_setzero_ps();
      for (int64_t j = 0; j < size; j += simd::kLanes) {
        const __mmask16 mask = simd::tail_mask(size - j);
        const __m512 part = _mm512_maskz_loadu_ps(mask, query + j);
#pragma GCC unroll 16
        for (int n = 0; n < simd::kLanes; ++n) {
          const float* const key = keys + nodes[i + n < count ? i + n : i] * size + j;
          products[n] = _mm512_fmadd_ps(part, _mm512_maskz_loadu_ps(mask, key), products[n]);
        }
      }
      _mm512_storeu_ps(weights + i, _mm512_mul_ps(scale, simd::totals(products)));
    }
    const __m512 divisor = _mm512_set1_ps(1.0f / powers(weights, count));
    for (int64_t j = 0; j < size; j += 2 * simd::kLanes) blend(weights, nodes, count, divisor, j, y);
  }

 private:
  // The values of the elements from `j` on, 32 or as many as are left.
  void blend(const float* weights, const int64_t* nodes, int64_t count, __m512 divisor, int64_t j, float* y) const {
    const __mmask16 masks[2] = {simd::tail_mask(size - j),
                                simd::tail_mask(std::max<int64_t>(0, size - j - simd::kLanes))};
    __m512 sums[2][2];  // Several, since each waits for itself.
    for (auto& pair : sums) pair[0] = pair[1] = _mm512_setzero_ps();
    const auto add = [&](int64_t node, int parity) {
      const float* const value = values + nodes[node] * size + j;
      const __m512 weight = _mm512_set1_ps(weights[node]);
      for (int half = 0; half < 2; ++half) {
        const __m512 some = _mm512_maskz_loadu_ps(masks[half], value + half * simd::kLanes);
        sums[half][parity] = _mm512_fmadd_ps(weight, some, sums[half][parity]);
      }
    };
    int64_t i = 0;
    for (; i + 1 < count; i += 2) add(i, 0), add(i + 1, 1);
    if (i < count) add(i, 0);
    for (int half = 0; half < 2; ++half) {
      _mm512_mask_storeu_ps(y + j + half * simd::kLanes, masks[half],
                            _mm512_mul_ps(_mm512_add_ps(sums[half][0], sums[half][1]), divisor));
    }
  }

  // Replaces scores by the powers of a softmax and returns their sum.
  static float powers(float* scores, int64_t count) {
    __m512 peaks = _mm512_set1_ps(-std::numeric_limits<float>::infinity()), sum = _mm512_setzero_ps();
    for (int64_t i = 0; i < count; i += simd::kLanes) {
      peaks = _mm512_mask_max_ps(peaks, simd::tail_mask(count - i), peaks, _mm512_loadu_ps(scores + i));
    }
    const __m512 peak = _mm512_set1_ps(_mm512_reduce_max_ps(peaks));
    for (int64_t i = 0; i < count; i += simd::kLanes) {
      const __m512 distance = _mm512_sub_ps(_mm512_loadu_ps(scores + i), peak);
      const __m512 power = _mm512_maskz_mov_ps(simd::tail_mask(count - i), simd::exp(distance));
      sum = _mm512_add_ps(sum, power);
      _mm512_storeu_ps(scores + i, power);
    }
    return _mm512_reduce_add_ps(sum);
  }
};

class SlotAttention {
 public:
  explicit SlotAttention(const ort::Info& info) : heads_(info.integer("num_heads")) {}

  // queries, keys and values FLOAT (slots * beams, 3 * width); keys and values so far FLOAT (slots, heads, nodes,
  // size) each; length INT64 (slots), tokens so far; visible BOOL (slots, beams, nodes), which nodes each beam sees
  // beside its newest one -> FLOAT (slots * beams, width), and keys and values with the newest ones. Where those have
  // the memory of the ones so far, only the newest are written.
  void compute(const ort::Context& context) {
    const ort::Tensor parts = context.input(0), key = context.input(1), value = context.input(2);
    const ort::Tensor length = context.input(3), visible = context.input(4);
    const int64_t slots = key.dims[0], nodes = key.dims[2], size = key.dims[3], width = heads_ * size;
    const int64_t beams = visible.dims[1];
    ort::require(key.rank == 4 && key.dims[1] == heads_ && value.size() == key.size() && value.last() == size &&
                     parts.last() == 3 * width && parts.rows() == slots * beams && length.size() == slots &&
                     beams > 0 && visible.dims[0] == slots && visible.last() == nodes,
                 "attention of slots takes three times the width, and caches and a path for every beam of every slot");
    const int64_t* const lengths = length.as<int64_t>();
    for (int64_t slot = 0; slot < slots; ++slot) {
      ort::require(lengths[slot] >= 1 && lengths[slot] <= nodes / beams,
                   "attention of slots takes one token or more, and no more than its caches have room for");
    }
    float* const y = context.output<float>(0, {slots * beams, width});
    float* const keys = context.output<float>(1, key);
    float* const values = context.output<float>(2, value);
    thread_local std::vector<std::vector<int64_t>> found;
    std::vector<std::vector<int64_t>>& paths = found;  // of each beam
    paths.resize(std::max(paths.size(), static_cast<size_t>(slots * beams)));
    for (int64_t slot = 0; slot < slots; ++slot) {
      trace(visible.as<bool>() + slot * beams * nodes, nodes, beams, (lengths[slot] - 1) * beams,
            paths.data() + slot * beams);
    }
    context.parallel(static_cast<size_t>(slots * heads_), [&](size_t task) {
      const int64_t head = static_cast<int64_t>(task), slot = head / heads_, column = head % heads_ * size;
      const int64_t first = head * nodes * size, before = (lengths[slot] - 1) * beams;
      carry(key.as<float>() + first, nodes * size, keys + first);
      carry(value.as<float>() + first, nodes * size, values + first);
      const Tree tree{keys + first, values + first, size};
      const std::vector<int64_t>* const path = paths.data() + slot * beams;
      const float* const rows = parts.as<float>() + slot * beams * 3 * width + column;
      for (int64_t beam = 0; beam < beams; ++beam) {
        const float* const query = rows + beam * 3 * width;
        tree.put(before + beam, query + width, query + 2 * width);
        tree.attend(query, path[beam].data(), static_cast<int64_t>(path[beam].size()),
                    y + (slot * beams + beam) * width + column);
      }
    });
  }

 private:
  static constexpr int64_t kBlock = 64;

  static void carry(const float* from, int64_t count, float* to) {
    if (from != to) std::copy_n(from, count, to);
  }

  // Finds the nodes that each beam of a slot sees: those of the steps `before`, and its newest one.
  static void trace(const bool* visible, int64_t nodes, int64_t beams, int64_t before, std::vector<int64_t>* paths) {
    for (int64_t beam = 0; beam < beams; ++beam) {
      std::vector<int64_t>& path = paths[beam];
      path.clear();
      for (int64_t i = 0; i < before; i += kBlock) {
        uint64_t some = flags(visible + beam * nodes + i, before - i);
        for (; some != 0; some &= some - 1) path.push_back(i + __builtin_ctzll(some));
      }
      path.push_back(before + beam);
    }
  }

  // A bit for each of 64 flags, or of fewer if fewer are left.
  static uint64_t flags(const bool* some, int64_t left) {
    const __mmask64 mask = left >= kBlock ? ~uint64_t{0} : (uint64_t{1} << left) - 1;
    const __m512i bytes = _mm512_maskz_loadu_epi8(mask, some);
    return _mm512_test_epi8_mask(bytes, bytes);
  }

  const int64_t heads_;
};

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
      const Tree tree{keys + head * capacity * size, keys + head * capacity * size + side, size};
      const float* rows = parts.as<float>() + article * beams * 3 * width + column;
      for (int64_t beam = 0; beam < beams; ++beam) {  // The newest tokens stand behind all others.
        const float* const key = rows + beam * 3 * width + width;
        tree.put(nodes - beams + beam, key, key + width);
      }
      const float* const seen = bias.as<float>() + article * beams * nodes;
      thread_local std::vector<int64_t> places;
      places.resize(std::max(places.size(), static_cast<size_t>(nodes)));
      int64_t* const ancestors = places.data();
      for (int64_t beam = 0; beam < beams; ++beam) {
        int64_t count = 0;
        for (int64_t i = 0; i < nodes; ++i) {
          ancestors[count] = i;
          count += seen[beam * nodes + i] >= 0;
        }
        tree.attend(rows + beam * 3 * width, ancestors, count, y + (article * beams + beam) * width + column);
      }
    });
  }

 private:
  const int64_t heads_, layer_;
};

}  // namespace infolens
