// What a summary may go on with that consists of whole sentences of its article. The rules stand in
// export/graph/quotes.py; here the tokens so far are followed anew at each step, so nothing is carried between steps.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

namespace infolens {

class Quotes {
 public:
  // Finds the sentences of an article: its tokens, and the place of the last token of the sentence of each, or -1.
  void read(const int32_t* source, const int32_t* ends, int64_t length) {
    source_ = source;
    sentences_.clear();
    for (int64_t i = 0; i < length; ++i) {
      if (ends[i] == -1) continue;
      if (i == 0 || ends[i] != ends[i - 1]) sentences_.push_back({i, i, ends[i] - i + 1});
      sentences_.back().last = i;
    }
  }

  // Follows the tokens of a summary of `count` tokens; `first` of them stand before its text.
  void follow(const int32_t* history, int64_t count, int64_t first, int64_t min_length, int64_t max_length,
              const int32_t* spaced, const int32_t* unspaced) {
    used_.assign(sentences_.size(), 0);
    open_.clear();
    may_end_ = false;
    places_.clear();
    for (int64_t i = first; i <= count; ++i) {
      choose(i, first, min_length, max_length);
      forms_ = i == first ? unspaced : spaced;
      if (i < count) take(history[i]);
    }
  }

  // The tokens that may come next, each once, in their order; those that end a summary if it may end.
  const std::vector<int32_t>& tokens(const int32_t* end_tokens, int64_t ends) {
    tokens_.clear();
    for (const Place& place : places_) tokens_.push_back(token(place));
    if (may_end_) tokens_.insert(tokens_.end(), end_tokens, end_tokens + ends);
    std::sort(tokens_.begin(), tokens_.end());
    tokens_.erase(std::unique(tokens_.begin(), tokens_.end()), tokens_.end());
    return tokens_;
  }

 private:
  struct Sentence {
    int64_t start, last, size;  // A sentence that was not read to its end has a size that never fits.
  };
  struct Place {
    int64_t position;
    size_t sentence;
  };

  bool begins(const Place& place) const { return place.position == sentences_[place.sentence].start; }

  int32_t token(const Place& place) const {
    const int32_t own = source_[place.position];
    return begins(place) ? forms_[own] : own;
  }

  // The places that may come after `count` tokens.
  void choose(int64_t count, int64_t first, int64_t min_length, int64_t max_length) {
    bool boundary = count == first;
    places_.clear();
    for (const Place& place : open_) {
      if (place.position < sentences_[place.sentence].last) {
        places_.push_back({place.position + 1, place.sentence});
      } else {
        used_[place.sentence] = 1;
        boundary = true;
      }
    }
    for (size_t i = 0; boundary && i < sentences_.size(); ++i) {
      if (!used_[i] && sentences_[i].size + count + 1 <= max_length) places_.push_back({sentences_[i].start, i});
    }
    if (count == first && places_.empty() && !sentences_.empty()) places_.push_back({sentences_[0].start, 0});
    may_end_ = boundary && (places_.empty() || (count > first && count >= min_length));
  }

  // The places whose token was written; one that continues a sentence takes precedence.
  void take(int32_t written) {
    open_.clear();
    bool continues = false;
    for (const Place& place : places_) continues |= !begins(place) && token(place) == written;
    for (const Place& place : places_) {
      if (token(place) == written && begins(place) != continues) open_.push_back(place);
    }
  }

  const int32_t *source_ = nullptr, *forms_ = nullptr;
  bool may_end_ = false;
  std::vector<Sentence> sentences_;
  std::vector<char> used_;
  std::vector<Place> open_, places_;
  std::vector<int32_t> tokens_;
};

}  // namespace infolens
