// The best words of every beam, after the rules of a free summary or of one that quotes, or one that is drawn.
#pragma once

#include <algorithm>
#include <limits>
#include <vector>

#include "ort.h"
#include "quotes.h"
#include "simd.h"

namespace infolens {

constexpr float kLowest = -std::numeric_limits<float>::infinity();

struct Word {
  float score;
  int32_t token;
};

// The first of two equal words is the one with the lower token.
inline bool better(const Word& one, const Word& other) {
  return one.score > other.score || (one.score == other.score && one.token < other.token);
}

class NextWords {
 public:
  explicit NextWords(const ort::Info& info) : first_(info.integer("first")), ngram_(info.integer("ngram")) {}

  // words FLOAT (rows, vocabulary); history INT32 (rows, count); a state, which is not used; source INT32 (batch,
  // length); ends INT32 (batch, length), or (batch, 1) for a free summary; sampling FLOAT (batch, 2 + steps), or
  // (batch, 1) for a search; min_length, max_length and candidates INT64 (1); forms with and without a space INT32
  // (vocabulary); end_tokens, never and never_first INT32 (n)
  // -> scores FLOAT and tokens INT32 (rows, candidates), best first, and a state without elements
  void compute(const ort::Context& context) {
    Request request;
    request.words = context.input(0), request.history = context.input(1), request.source = context.input(3);
    request.ends = context.input(4), request.sampling = context.input(5);
    request.min_length = *context.input(6).as<int64_t>(), request.max_length = *context.input(7).as<int64_t>();
    request.candidates = *context.input(8).as<int64_t>();
    request.spaced = context.input(9), request.unspaced = context.input(10), request.end_tokens = context.input(11);
    request.never = context.input(12), request.never_first = context.input(13);
    const int64_t rows = request.words.dims[0], batch = request.source.dims[0];
    const int64_t vocabulary = request.words.last(), beams = batch ? rows / batch : 0;
    const bool quotes = request.ends.dims[1] > 1, draws = request.sampling.dims[1] > 1;
    ort::require(beams * batch == rows && request.history.dims[0] == rows && request.ends.dims[0] == batch &&
                     request.spaced.size() == vocabulary && request.unspaced.size() == vocabulary,
                 "the next words take as many beams of every article, and two forms of every word");
    ort::require(!quotes || request.ends.dims[1] == request.source.dims[1],
                 "a summary that quotes takes the end of the sentence of every position");
    ort::require(!draws || (beams == 1 && request.sampling.dims[1] > request.history.last() + 1),
                 "a sample takes one beam, and a number for every step");
    ort::require(request.candidates > 0 && request.candidates <= vocabulary, "there are fewer words than candidates");
    float* scores = context.output<float>(0, {rows, request.candidates});
    int32_t* tokens = context.output<int32_t>(1, {rows, request.candidates});
    context.output<int32_t>(2, {rows, 0});
    context.parallel(static_cast<size_t>(batch), [&](size_t article) {
      thread_local Quotes quoted;
      thread_local std::vector<Word> allowed, best;
      const int64_t length = request.source.dims[1], place = static_cast<int64_t>(article) * length;
      if (quotes) quoted.read(request.source.as<int32_t>() + place, request.ends.as<int32_t>() + place, length);
      for (int64_t beam = 0; beam < beams; ++beam) {
        const int64_t row = static_cast<int64_t>(article) * beams + beam;
        if (quotes) {
          quote(request, quoted, row, allowed);
        } else {
          bar(request, row);
        }
        float* const values = scores + row * request.candidates;
        int32_t* const chosen = tokens + row * request.candidates;
        if (draws) {
          std::fill_n(values, request.candidates, kLowest);
          values[0] = 0;
          std::fill_n(chosen, request.candidates, sample(request, row, quotes, allowed));
          continue;
        }
        if (quotes) {
          best = allowed;
          const size_t most = std::min(best.size(), static_cast<size_t>(request.candidates));
          std::partial_sort(best.begin(), best.begin() + static_cast<std::ptrdiff_t>(most), best.end(), better);
          best.resize(most);
        } else {
          select(request, row, best);
        }
        fill(best, request.candidates);
        for (size_t i = 0; i < best.size(); ++i) values[i] = best[i].score, chosen[i] = best[i].token;
      }
    });
  }

 private:
  struct Request {
    ort::Tensor words, history, source, ends, sampling, spaced, unspaced, end_tokens, never, never_first;
    int64_t min_length, max_length, candidates;
    const int32_t* tokens(int64_t row) const { return history.as<int32_t>() + row * history.last(); }
    const float* scores(int64_t row) const { return words.as<float>() + row * words.last(); }
  };

  // The words that may come next in a summary that quotes.
  void quote(const Request& request, Quotes& quoted, int64_t row, std::vector<Word>& allowed) const {
    quoted.follow(request.tokens(row), request.history.last(), first_, request.min_length, request.max_length,
                  request.spaced.as<int32_t>(), request.unspaced.as<int32_t>());
    allowed.clear();
    const float* const scores = request.scores(row);
    for (const int32_t token : quoted.tokens(request.end_tokens.as<int32_t>(), request.end_tokens.size())) {
      allowed.push_back({scores[token], token});
    }
  }

  // The words that must not come next in a free summary, once or more.
  void bar(const Request& request, int64_t row) const {
    const int64_t count = request.history.last();
    const int32_t* const tokens = request.tokens(row);
    barred().clear();
    const auto add = [](const ort::Tensor& some) {
      barred().insert(barred().end(), some.as<int32_t>(), some.as<int32_t>() + some.size());
    };
    if (count < request.min_length) add(request.end_tokens);
    add(request.never);
    if (count == first_) add(request.never_first);
    for (int64_t i = 0; ngram_ > 0 && i + ngram_ <= count; ++i) {
      if (std::equal(tokens + i, tokens + i + ngram_ - 1, tokens + count - ngram_ + 1)) {
        barred().push_back(tokens[i + ngram_ - 1]);
      }
    }
  }

  static std::vector<int32_t>& barred() {
    thread_local std::vector<int32_t> tokens;
    return tokens;
  }

  static bool is_barred(int32_t token) { return std::find(barred().begin(), barred().end(), token) != barred().end(); }

  // The best words that are not barred: whole vectors are passed over that have none better than the worst so far.
  static void select(const Request& request, int64_t row, std::vector<Word>& best) {
    const float* const scores = request.scores(row);
    const int64_t vocabulary = request.words.last();
    const auto most = static_cast<size_t>(request.candidates);
    best.clear();
    float least = kLowest;
    for (int64_t i = 0; i < vocabulary; i += simd::kLanes) {
      const __mmask16 tail = simd::tail_mask(vocabulary - i);
      const __m512 some = _mm512_maskz_loadu_ps(tail, scores + i);
      uint32_t hits = _mm512_mask_cmp_ps_mask(tail, some, _mm512_set1_ps(least), _CMP_GT_OQ);
      for (; hits != 0; hits &= hits - 1) {
        const int64_t token = i + __builtin_ctz(hits);
        const Word word{scores[token], static_cast<int32_t>(token)};
        if (word.score <= least || is_barred(word.token)) continue;
        if (best.size() == most) best.pop_back();
        best.insert(std::upper_bound(best.begin(), best.end(), word, better), word);
        if (best.size() == most) least = best.back().score;
      }
    }
  }

  // Where fewer words may come than are asked for, the first ones of the vocabulary stand in, which cannot be chosen.
  static void fill(std::vector<Word>& best, int64_t candidates) {
    const size_t found = best.size();
    for (int32_t token = 0; best.size() < static_cast<size_t>(candidates); ++token) {
      const auto end = best.begin() + static_cast<std::ptrdiff_t>(found);
      if (std::none_of(best.begin(), end, [&](const Word& word) { return word.token == token; })) {
        best.push_back({kLowest, token});
      }
    }
  }

  // A word for the step's uniform number.
  static int32_t sample(const Request& request, int64_t row, bool quotes, const std::vector<Word>& allowed) {
    thread_local std::vector<float> scores;
    const float* const settings = request.sampling.as<float>() + row * request.sampling.last();
    const float number = settings[request.history.last() + 1];
    const int64_t count = quotes ? static_cast<int64_t>(allowed.size()) : request.words.last();
    if (count == 0) return 0;
    scores.assign(static_cast<size_t>(simd::padded(count)), kLeastScore);
    if (quotes) {
      for (size_t i = 0; i < allowed.size(); ++i) scores[i] = allowed[i].score;
      return allowed[static_cast<size_t>(draw(scores, settings[0], settings[1], number))].token;
    }
    std::copy_n(request.scores(row), count, scores.begin());
    for (const int32_t token : barred()) scores[static_cast<size_t>(token)] = kLeastScore;
    return draw(scores, settings[0], settings[1], number);
  }

  // The place of the word that a number stands for. Words lie in the order of their probability, and only the nucleus
  // counts: the fewest words whose probability is `top_p`. `scores` become probabilities, up to a factor.
  static int32_t draw(std::vector<float>& scores, float temperature, float top_p, float number) {
    __m512 peaks = _mm512_set1_ps(kLeastScore), sums = _mm512_setzero_ps();
    const auto size = static_cast<int64_t>(scores.size());
    for (int64_t i = 0; i < size; i += simd::kLanes) {
      const __m512 some = _mm512_div_ps(_mm512_loadu_ps(scores.data() + i), _mm512_set1_ps(temperature));
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
    float sum = 0;
    for (float least = 1e-3f; sum <= wanted; least *= 1e-3f) {
      least = std::max(least, kNoOdds);
      likely.clear();
      sum = 0;
      for (int64_t i = 0; i < size; ++i) {
        const float odds = scores[static_cast<size_t>(i)];
        if (odds <= least) continue;
        likely.push_back({odds, static_cast<int32_t>(i)});
        sum += odds;
      }
      if (least <= kNoOdds) break;
    }
    std::sort(likely.begin(), likely.end(), better);
    float nucleus = total;
    if (top_p < 1) {
      size_t kept = 0;
      for (nucleus = 0; kept < likely.size() && nucleus < top_p * total; ++kept) nucleus += likely[kept].score;
      likely.resize(kept);
    }
    float passed = 0;
    for (const Word& word : likely) {
      if ((passed += word.score) > number * nucleus) return word.token;
    }
    return likely.back().token;
  }

  static constexpr float kNoOdds = 1e-30f;  // Beside a likely word such a one is never drawn, as a barred one is not.
  static constexpr float kLeastScore = -1e30f;
  const int64_t first_, ngram_;
};

}  // namespace infolens
