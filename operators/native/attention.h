// Attention in int8: of an article over itself, and of the beams of a search over the article.
#pragma once

#include "head_attention.h"

namespace infolens {

class SelfAttention {
 public:
  explicit SelfAttention(const ort::Info& info) : heads_(info.integer("num_heads")) {}

  // queries, keys and values FLOAT (batch, length, 3 * width), mask INT32 (batch, length), 0 where nobody may look
  // -> FLOAT (batch, length, width)
  void compute(const ort::Context& context) {
    const ort::Tensor parts = context.input(0), mask = context.input(1);
    const int64_t batch = parts.dims[0], length = parts.dims[1], width = parts.dims[2] / 3, size = width / heads_;
    ort::require(parts.rank == 3 && size * heads_ * 3 == parts.dims[2] && mask.size() == batch * length,
                 "attention takes (batch, length, 3 * width), and a mask of every position");
    float* y = context.output<float>(0, {batch, length, width});
    context.parallel(static_cast<size_t>(batch * heads_), [&](size_t task) {
      thread_local std::vector<uint8_t> keys;
      thread_local std::vector<int8_t> values;
      thread_local std::vector<float> scales, bias;
      const int64_t padded = simd::padded(length), stride = simd::padded(size);
      keys.resize(static_cast<size_t>(padded * stride));
      values.resize(static_cast<size_t>(padded * stride));
      scales.resize(static_cast<size_t>(3 * padded));
      bias.resize(static_cast<size_t>(length));
      float* const of_keys = scales.data();
      const StoredHead head{keys.data(),          of_keys, values.data(), of_keys + padded,
                            of_keys + 2 * padded, padded,  stride};
      const int64_t article = static_cast<int64_t>(task) / heads_, column = static_cast<int64_t>(task) % heads_ * size;
      const float* query = parts.as<float>() + article * length * 3 * width + column;
      head.fill(query + width, query + 2 * width, 3 * width, length, size);
      const int32_t* seen = mask.as<int32_t>() + article * length;
      std::transform(seen, seen + length, bias.begin(), [](int32_t one) { return one ? 0.0f : kHidden; });
      const HeadAttention attention(head, bias.data(), length, size, 3 * width, width);
      attention.attend(query, y + article * length * width + column, length);
    });
  }

 private:
  const int64_t heads_;
};

// Head `index` of all articles in the tensors that `CrossStore` writes and `CrossAttention` reads.
inline StoredHead stored_head(int8_t* keys, float* key_scales, int8_t* values, float* value_scales, int64_t index,
                              int64_t padded, int64_t stride) {
  const int64_t place = index * padded;
  return {reinterpret_cast<uint8_t*>(keys) + place * stride,
          key_scales + place,
          values + place * stride,
          value_scales + 2 * place,
          value_scales + 2 * place + padded,
          padded,
          stride};
}

class CrossStore {
 public:
  explicit CrossStore(const ort::Info& info) : heads_(info.integer("num_heads")) {}

  // Keys beside values FLOAT (batch, length, 2 * width) -> keys INT8, their scales FLOAT, values INT8, and logarithms
  // and inverses of their scales FLOAT.
  void compute(const ort::Context& context) { store(context, context.input(0).dims[1]); }

 protected:
  // Leaves room for `room` positions. What is behind the article's own ones is not written: nobody may look there. Of a
  // longer one, the padding of its tokens included, the first ones are kept.
  void store(const ort::Context& context, int64_t room) const {
    const ort::Tensor both = context.input(0);
    const int64_t batch = both.dims[0], length = both.dims[1], width = both.dims[2] / 2, size = width / heads_;
    ort::require(both.rank == 3 && size * heads_ * 2 == both.dims[2] && room > 0,
                 "stored attention takes (batch, length, 2 * width), and room for a position or more");
    const int64_t kept = std::min(length, room);
    const int64_t padded = simd::padded(room), stride = simd::padded(size);
    int8_t* keys = context.output<int8_t>(0, {batch, heads_, padded, stride});
    float* key_scales = context.output<float>(1, {batch, heads_, 1, padded});
    int8_t* values = context.output<int8_t>(2, {batch, heads_, padded, stride});
    float* value_scales = context.output<float>(3, {batch, heads_, 2, padded});
    context.parallel(static_cast<size_t>(batch * heads_), [&](size_t task) {
      const int64_t index = static_cast<int64_t>(task);
      const float* key = both.as<float>() + index / heads_ * length * 2 * width + index % heads_ * size;
      StoredHead head = stored_head(keys, key_scales, values, value_scales, index, padded, stride);
      head.padded = simd::padded(kept);
      head.fill(key, key + width, 2 * width, kept, size);
    });
  }

 private:
  const int64_t heads_;
};

// The same for a slot, which has room for longer articles.
class SlotStore : public CrossStore {
 public:
  using CrossStore::CrossStore;

  // As above, and room INT64 (1): positions of the result.
  void compute(const ort::Context& context) { store(context, *context.input(1).as<int64_t>()); }
};

class CrossAttention {
 public:
  explicit CrossAttention(const ort::Info& info) : heads_(info.integer("num_heads")) {}

  // query FLOAT (batch * beams, width), what CrossStore wrote, and the bias of the scores FLOAT (batch, 1, 1, length)
  // -> FLOAT (batch * beams, width)
  void compute(const ort::Context& context) {
    const ort::Tensor query = context.input(0), keys = context.input(1), key_scales = context.input(2);
    const ort::Tensor values = context.input(3), value_scales = context.input(4), bias = context.input(5);
    const int64_t batch = keys.dims[0], padded = keys.dims[2], stride = keys.dims[3], length = bias.last();
    const int64_t width = query.last(), size = width / heads_, beams = batch ? query.dims[0] / batch : 0;
    ort::require(simd::padded(size) == stride && beams * batch == query.dims[0] && padded == simd::padded(length),
                 "stored attention takes as many queries for each article, over keys of its own length");
    float* y = context.output<float>(0, query);
    context.parallel(static_cast<size_t>(batch * heads_), [&](size_t task) {
      const int64_t index = static_cast<int64_t>(task), article = index / heads_;
      const StoredHead head = stored_head(keys.as<int8_t>(), key_scales.as<float>(), values.as<int8_t>(),
                                          value_scales.as<float>(), index, padded, stride);
      const HeadAttention attention(head, bias.as<float>() + article * length, length, size, width, width);
      const int64_t first = article * beams * width + index % heads_ * size;
      attention.attend(query.as<float>() + first, y + first, beams);
    });
  }

 private:
  const int64_t heads_;
};

}  // namespace infolens
