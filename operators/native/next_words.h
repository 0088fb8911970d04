// The best words of every beam, after the rules of a free summary or of one that quotes, or one that is drawn.
#pragma once

#include "best.h"
#include "quotes.h"

namespace infolens {

// An article as a search in one graph has it: tokens, ends of sentences, and two forms of every word.
struct Article {
  const int32_t *source, *ends, *spaced, *unspaced;
  int64_t end(int64_t place) const { return ends[place]; }
  int32_t token(int64_t place, bool begins, bool at_start) const {
    return begins ? (at_start ? unspaced : spaced)[source[place]] : source[place];
  }
};

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
      thread_local Quotes<Article> quoted;
      thread_local std::vector<Word> allowed, best;
      const int64_t length = request.source.dims[1], place = static_cast<int64_t>(article) * length;
      if (quotes) {
        quoted.read({request.source.as<int32_t>() + place, request.ends.as<int32_t>() + place,
                     request.spaced.as<int32_t>(), request.unspaced.as<int32_t>()},
                    length);
      }
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
          select(allowed, static_cast<size_t>(request.candidates), best);
        } else {
          select(
              request.scores(row), vocabulary, static_cast<size_t>(request.candidates),
              [](__m512 some) { return some; }, is_barred, best);
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
  void quote(const Request& request, Quotes<Article>& quoted, int64_t row, std::vector<Word>& allowed) const {
    quoted.follow(request.tokens(row), request.history.last(), first_, request.min_length, request.max_length);
    allowed.clear();
    const float* const scores = request.scores(row);
    for (const int32_t token : quoted.tokens(request.end_tokens.as<int32_t>(), request.end_tokens.size())) {
      allowed.push_back({scores[token], token});
    }
  }

  // The words that must not come next in a free summary, once or more.
  void bar(const Request& request, int64_t row) const {
    const int64_t count = request.history.last();
    barred().clear();
    const auto add = [](const ort::Tensor& some) {
      barred().insert(barred().end(), some.as<int32_t>(), some.as<int32_t>() + some.size());
    };
    if (count < request.min_length) add(request.end_tokens);
    add(request.never);
    if (count == first_) add(request.never_first);
    bar_repeats(request.tokens(row), count, ngram_, [](int32_t token) { barred().push_back(token); });
  }

  static std::vector<int32_t>& barred() {
    thread_local std::vector<int32_t> tokens;
    return tokens;
  }

  static bool is_barred(int32_t token) { return std::find(barred().begin(), barred().end(), token) != barred().end(); }

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
      return allowed[static_cast<size_t>(draw(scores, count, settings[0], settings[1], number))].token;
    }
    std::copy_n(request.scores(row), count, scores.begin());
    for (const int32_t token : barred()) scores[static_cast<size_t>(token)] = kLeastScore;
    return draw(scores, count, settings[0], settings[1], number);
  }

  const int64_t first_, ngram_;
};

}  // namespace infolens
