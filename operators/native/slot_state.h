// What a step reads and writes of every slot: the tensors that engine/tensors.py lists, in their order.
#pragma once

#include <algorithm>
#include <array>
#include <cstring>

#include "ort.h"

namespace infolens {

enum SlotInput : size_t {
  kLogits,
  kMinLength,
  kMaxLength,
  kNumBeams,
  kNgram,
  kEarlyStopping,
  kHorizon,
  kSpans,
  kQuoting,
  kQuoteTokens,
  kQuoteEnds,
  kQuoteStarts,
  kQuoteLasts,
  kSampling,
  kLength,  // The first of the state.
  kNewest,
  kTokens,
  kRunning,
  kVisible,
  kBestTokens,
  kBestScores,
  kFinished,
  kImprovable,
  kDone,
  kQuoted,
  kEndTokens,
  kNeverTokens,
  kNeverFirstTokens,
  kSlotInputs,
};

// The state of one slot.
struct Slot {
  int64_t *length, *newest, *tokens;
  float* running;
  bool* visible;
  int64_t* best_tokens;
  float* best_scores;
  bool *finished, *improvable, *done;
  int64_t* quoted;
};

class SlotStep {
 public:
  // Reads the inputs and makes the outputs.
  SlotStep(const ort::Context& context, int64_t words) {
    for (size_t i = 0; i < kSlotInputs; ++i) inputs[i] = context.input(i);
    slots = inputs[kTokens].dims[0], beams = inputs[kTokens].dims[1], target = inputs[kTokens].dims[2];
    nodes = inputs[kVisible].last(), source = inputs[kQuoted].last(), per_beam = 1 + inputs[kEndTokens].size();
    columns = inputs[kLogits].last();
    const int64_t rows = slots * beams;
    ort::require(inputs[kLogits].size() == rows * columns && words <= columns,
                 "a step of slots takes a score for every word, for every beam of every slot");
    std::array<int64_t, kSlotInputs> sizes;  // of a slot
    sizes.fill(1);
    sizes[kSpans] = target, sizes[kSampling] = target + 2;
    sizes[kQuoteTokens] = 2 * source, sizes[kQuoted] = beams * source;
    for (const SlotInput one : {kQuoteEnds, kQuoteStarts, kQuoteLasts}) sizes[one] = source;
    for (const SlotInput one : {kNewest, kRunning, kBestScores, kFinished}) sizes[one] = beams;
    for (const SlotInput one : {kTokens, kBestTokens}) sizes[one] = beams * target;
    sizes[kVisible] = beams * nodes;
    for (size_t i = kMinLength; i <= kQuoted; ++i) {
      ort::require(inputs[i].size() == slots * sizes[i], "a step of slots takes tensors of the shapes of its bucket");
    }
    ort::require(nodes >= beams * target, "a step of slots takes a node for every token of every beam");
    for (int64_t slot = 0; slot < slots; ++slot) {
      if (all<bool>(kDone)[slot]) continue;
      const int64_t length = all<int64_t>(kLength)[slot], most = wish(kMaxLength, slot);
      ort::require(1 <= length && length < most && most <= target && 1 <= wish(kNumBeams, slot) &&
                       wish(kNumBeams, slot) <= beams && wish(kHorizon, slot) < target,
                   "a step of slots takes wishes that its bucket has room for");
    }
    for (size_t i = 0; i < kStates; ++i) {
      const ort::Tensor& before = inputs[kLength + i];
      data_[0][i] = before.as<char>();
      data_[1][i] = context.output<char>(i, before);
      bytes_[i] = sizes[kLength + i] * kBytes[i];
      ort::require(data_[0][i] != data_[1][i], "a step of slots writes its state beside the one that it reads");
    }
  }

  template <class T>
  const T* all(SlotInput input) const {
    return inputs[input].as<T>();
  }
  int64_t wish(SlotInput input, int64_t slot) const { return all<int64_t>(input)[slot]; }
  bool quotes(int64_t slot) const { return all<bool>(kQuoting)[slot]; }
  const float* sampling(int64_t slot) const { return all<float>(kSampling) + slot * (target + 2); }
  const float* logits(int64_t slot, int64_t beam) const {
    return all<float>(kLogits) + (slot * beams + beam) * columns;
  }
  bool is_end(int64_t token) const {
    const int64_t *const ends = all<int64_t>(kEndTokens), *const last = ends + inputs[kEndTokens].size();
    return std::find(ends, last, token) != last;
  }

  Slot before(int64_t slot) const { return state(data_[0], slot); }
  Slot after(int64_t slot) const { return state(data_[1], slot); }

  // The state as it is. Nobody reads `quoted` of a slot that does not quote.
  void carry(int64_t slot) const {
    for (size_t i = 0; i < kStates - !quotes(slot); ++i) {
      std::memcpy(data_[1][i] + slot * bytes_[i], data_[0][i] + slot * bytes_[i], static_cast<size_t>(bytes_[i]));
    }
  }

  std::array<ort::Tensor, kSlotInputs> inputs;
  int64_t slots, beams, target, nodes, source, columns;
  int64_t per_beam;  // Candidates: a beam may end in as many ways as there are end tokens, and one runs on.

 private:
  static constexpr size_t kStates = kQuoted - kLength + 1;
  static constexpr std::array<int64_t, kStates> kBytes = {8, 8, 8, 4, 1, 8, 4, 1, 1, 1, 8};

  Slot state(const std::array<char*, kStates>& data, int64_t slot) const {
    const auto at = [&](SlotInput input) { return data[input - kLength] + slot * bytes_[input - kLength]; };
    const auto integers = [&](SlotInput input) { return reinterpret_cast<int64_t*>(at(input)); };
    const auto floats = [&](SlotInput input) { return reinterpret_cast<float*>(at(input)); };
    const auto flags = [&](SlotInput input) { return reinterpret_cast<bool*>(at(input)); };
    return {integers(kLength),  integers(kNewest),     integers(kTokens),   floats(kRunning),
            flags(kVisible),    integers(kBestTokens), floats(kBestScores), flags(kFinished),
            flags(kImprovable), flags(kDone),          integers(kQuoted)};
  }

  std::array<char*, kStates> data_[2];
  std::array<int64_t, kStates> bytes_;
};

}  // namespace infolens
