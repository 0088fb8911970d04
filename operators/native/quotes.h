// What a summary may go on with that consists of whole sentences of its article. The rules stand in
// export/graph/quotes.py; here the tokens so far are followed anew at each step, so nothing is carried between steps.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

namespace infolens {

// `Source` says `end(place)`, the place of the last token of a place's sentence, or -1, and `token(place, begins,
// at_start)`, what the place brings to a summary: whether it begins its sentence, and that the summary's text.
template <class Source>
class Quotes {
 public:
  // Finds the sentences of an article of `length` places.
  void read(const Source& source, int64_t length) {
    source_ = source;
    sentences_.clear();
    for (int64_t i = 0, before = -1; i < length; ++i) {
      const int64_t end = source.end(i);
      if (end != -1 && end != before) sentences_.push_back({i, i, end - i + 1});
      if (end != -1) sentences_.back().last = i;
      before = end;
    }
  }

  // Follows the tokens of a summary of `count` tokens; `first` of them stand before its text.
  template <class Token>
  void follow(const Token* history, int64_t count, int64_t first, int64_t min_length, int64_t max_length) {
    used_.assign(sentences_.size(), 0);
    open_.clear();
    may_end_ = false;
    places_.clear();
    for (int64_t i = first; i <= count; ++i) {
      choose(i, first, min_length, max_length);
      at_start_ = i == first;
      if (i < count) take(static_cast<int32_t>(history[i]));
    }
  }

  // The tokens that may come next, each once, in their order; those that end a summary if it may end.
  template <class Token>
  const std::vector<int32_t>& tokens(const Token* end_tokens, int64_t ends) {
    tokens_.clear();
    for (const Place& place : places_) tokens_.push_back(token(place));
    for (int64_t i = 0; may_end_ && i < ends; ++i) tokens_.push_back(static_cast<int32_t>(end_tokens[i]));
    std::sort(tokens_.begin(), tokens_.end());
    tokens_.erase(std::unique(tokens_.begin(), tokens_.end()), tokens_.end());
    return tokens_;
  }

  // Calls `next(place)` for each place whose token may come next, and `used(place)` for the last one of each sentence
  // that is written already.
  template <class Next, class Used>
  void state(Next&& next, Used&& used) const {
    for (size_t i = 0; i < sentences_.size(); ++i) {
      if (used_[i]) used(sentences_[i].last);
    }
    for (const Place& place : places_) next(place.position);
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

  int32_t token(const Place& place) const { return source_.token(place.position, begins(place), at_start_); }

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

  Source source_{};
  bool at_start_ = false, may_end_ = false;
  std::vector<Sentence> sentences_;
  std::vector<char> used_;
  std::vector<Place> open_, places_;
  std::vector<int32_t> tokens_;
};

}  // namespace infolens
