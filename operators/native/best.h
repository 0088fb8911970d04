// The best of many: the words of a beam, one word that is drawn, and the continuations of an article.
#pragma once

#include <algorithm>
#include <limits>
#include <vector>

#include "ort.h"
#include "simd.h"

namespace infolens {

constexpr float kLowest = -std::numeric_limits<float>::infinity();
constexpr float kLeastScore = -1e30f;  // As `kLowest`, where it is subtracted.
constexpr float kNever = -1e9f;        // The score of a beam that cannot be chosen.

struct Word {
  float score;
  int32_t token;
};

// The first of two equal words is the one with the lower token.
inline bool better(const Word& one, const Word& other) {
  return one.score > other.score || (one.score == other.score && one.token < other.token);
}

// Puts a word among the best ones, of which there are `most`.
inline void put(const Word& word, size_t most, std::vector<Word>& best) {
  if (best.size() == most) {
    if (!better(word, best.back())) return;
    best.pop_back();
  }
  best.insert(std::upper_bound(best.begin(), best.end(), word, better), word);
}

// The best words of a row of `count` values, best first, but for those that are `skipped(token)`. `scored` makes the
// scores of sixteen values. Whole vectors are passed over that have none better than the worst so far.
template <class Scored, class Skipped>
void select(const float* row, int64_t count, size_t most, Scored&& scored, Skipped&& skipped, std::vector<Word>& best) {
  best.clear();
  float least = kLowest;
  for (int64_t i = 0; i < count; i += simd::kLanes) {
    const __mmask16 tail = simd::tail_mask(count - i);
    const __m512 some = scored(_mm512_maskz_loadu_ps(tail, row + i));
    uint32_t hits = _mm512_mask_cmp_ps_mask(tail, some, _mm512_set1_ps(least), _CMP_GT_OQ);
    if (hits == 0) continue;
    alignas(64) float scores[simd::kLanes];
    _mm512_store_ps(scores, some);
    for (; hits != 0; hits &= hits - 1) {
      const int lane = __builtin_ctz(hits);
      const Word word{scores[lane], static_cast<int32_t>(i + lane)};
      if (word.score <= least || skipped(word.token)) continue;
      put(word, most, best);
      if (best.size() == most) least = best.back().score;
    }
  }
}

// The best of words that stand in any order.
inline void select(const std::vector<Word>& words, size_t most, std::vector<Word>& best) {
  best = words;
  most = std::min(most, best.size());
  std::partial_sort(best.begin(), best.begin() + static_cast<std::ptrdiff_t>(most), best.end(), better);
  best.resize(most);
}

// Calls `bar(token)` with every token that would end a sequence of `size` tokens that is there already, once or more.
template <class Token, class Bar>
void bar_repeats(const Token* tokens, int64_t count, int64_t size, Bar&& bar) {
  for (int64_t i = 0; size > 0 && i + size <= count; ++i) {
    if (std::equal(tokens + i, tokens + i + size - 1, tokens + count - size + 1)) bar(tokens[i + size - 1]);
  }
}

// The place of the word that a number stands for. Words lie in the order of their probability, and only the nucleus
// counts: the fewest words whose probability is `top_p`, but at least one. `scores`, the first `count` of them those of
// words and as many as fill vectors, become probabilities, up to a factor.
inline int32_t draw(std::vector<float>& scores, int64_t count, float temperature, float top_p, float number) {
  constexpr float kNoOdds = 1e-30f;  // Beside a likely word such a one is never drawn, as a barred one is not.
  __m512 peaks = _mm512_set1_ps(kLeastScore), sums = _mm512_setzero_ps();
  const auto size = static_cast<int64_t>(scores.size());
  for (int64_t i = 0; i < size; i += simd::kLanes) {
    const __m512 given = _mm512_loadu_ps(scores.data() + i), least = _mm512_set1_ps(kLeastScore);
    // What must not come stays so at the highest of temperatures.
    const __mmask16 may = _mm512_cmp_ps_mask(given, least, _CMP_GT_OQ);
    const __m512 some = _mm512_mask_div_ps(least, may, given, _mm512_set1_ps(temperature));
    peaks = _mm512_max_ps(peaks, some);
    _mm512_storeu_ps(scores.data() + i, some);
  }
  const __m512 peak = _mm512_set1_ps(_mm512_reduce_max_ps(peaks));
  for (int64_t i = 0; i < size; i += simd::kLanes) {
    const __m512 some = simd::exp(_mm512_sub_ps(_mm512_loadu_ps(scores.data() + i), peak));
    sums = _mm512_add_ps(sums, some);
    _mm512_storeu_ps(scores.data() + i, some);
  }
  const float total = _mm512_reduce_add_ps(sums), wanted = (top_p < 1 ? top_p : number) * total;
  // Few words are likely, and only these are put in order.
  thread_local std::vector<Word> likely;
  likely.clear();
  float sum = 0;
  for (float least = 1e-3f; sum <= wanted; least *= 1e-3f) {
    least = std::max(least, kNoOdds);
    likely.clear();
    sum = 0;
    for (int64_t i = 0; i < count; ++i) {
      const float odds = scores[static_cast<size_t>(i)];
      if (!(odds > least)) continue;  // Nor is one that is no number.
      likely.push_back({odds, static_cast<int32_t>(i)});
      sum += odds;
    }
    if (least <= kNoOdds) break;
  }
  if (likely.empty()) return 0;  // Numbers that are none.
  std::sort(likely.begin(), likely.end(), better);
  float nucleus = total;
  if (top_p < 1) {
    size_t kept = 0;
    for (nucleus = 0; kept < likely.size() && nucleus < top_p * total; ++kept) nucleus += likely[kept].score;
    likely.resize(std::max<size_t>(kept, 1));
  }
  float passed = 0;
  for (const Word& word : likely) {
    if ((passed += word.score) > number * nucleus) return word.token;
  }
  return likely.back().token;
}

// A beam and the token that continues it.
struct Candidate {
  float score;
  int32_t token;
  int64_t row, place;  // The beam's row, and where the candidate stands among all.
  bool ends;
};

// The best of them, best first. The first of two equal ones is the one that stood first.
inline void keep_best(std::vector<Candidate>& some, size_t count) {
  const auto end = some.begin() + static_cast<std::ptrdiff_t>(std::min(count, some.size()));
  std::partial_sort(some.begin(), end, some.end(), [](const Candidate& one, const Candidate& other) {
    return one.score > other.score || (one.score == other.score && one.place < other.place);
  });
  some.erase(end, some.end());
}

// As `keep_best`, with their places among themselves.
inline void choose(std::vector<Candidate>& some, size_t count) {
  keep_best(some, count);
  for (size_t i = 0; i < some.size(); ++i) some[i].place = static_cast<int64_t>(i);
}

}  // namespace infolens
