// A step of every slot's search: the words that may come next, which beams run on with them, and which end.
#pragma once

#include <cmath>

#include "best.h"
#include "quotes.h"
#include "slot_state.h"

namespace infolens {

class AdvanceSlots {
 public:
  explicit AdvanceSlots(const ort::Info& info)
      : words_(info.integer("words")),
        pad_token_(static_cast<int32_t>(info.integer("pad_token"))),
        first_token_(info.integer("first_token")),
        last_token_(info.integer("last_token")),
        first_(info.integer("before")),
        longest_ngram_(info.integer("longest_ngram")),
        penalty_(info.real("repetition_penalty")) {}

  // What engine/tensors.py lists, after logits FLOAT (slots * beams, columns) of which the first ones are words, and
  // before end_tokens, never and never_first INT64 (n) each -> the state after the step. A slot that is done keeps its
  // state; so does a beam that its summary does not ask for. `quoted` is written for slots that quote, and not read:
  // the tokens so far say the same.
  void compute(const ort::Context& context) {
    const SlotStep step(context, words_);
    context.parallel(static_cast<size_t>(step.slots), [&](size_t index) {
      const auto slot = static_cast<int64_t>(index);
      if (step.before(slot).done[0]) return step.carry(slot);
      advance(step, slot);
    });
  }

 private:
  static constexpr int64_t kEarly = 1;  // EARLY_STOPPING[True] in engine/settings.py.

  // An article as `choices_of` in engine/article.py lays it out.
  struct Places {
    const int64_t *tokens, *ends;
    int64_t length;
    int64_t end(int64_t place) const { return ends[place]; }
    int32_t token(int64_t place, bool, bool at_start) const {
      return static_cast<int32_t>(tokens[at_start ? place : length + place]);
    }
  };

  struct Mark {
    int64_t place, flag;
  };

  // What is needed for a while, kept for the next slot.
  struct Room {
    Quotes<Places> quotes;
    std::vector<std::vector<Mark>> marks;  // `quoted` of each beam, where it is not 0.
    std::vector<int32_t> barred, there;
    std::vector<Word> allowed, best;
    std::vector<float> odds;
    std::vector<Candidate> candidates, kept;
  };

  // The scores of a beam's words: log probabilities, but for a single beam, which needs none.
  struct Row {
    const float* logits;
    int64_t words;
    float peak, log;

    Row(const float* logits, int64_t words, bool single) : logits(logits), words(words), peak(0), log(0) {
      if (single) return;
      __m512 peaks = _mm512_set1_ps(kLowest), sums[2] = {_mm512_setzero_ps(), _mm512_setzero_ps()};
      for (int64_t i = 0; i < words; i += simd::kLanes) peaks = _mm512_max_ps(peaks, load(i, 0));
      peak = _mm512_reduce_max_ps(peaks);
      for (int64_t i = 0; i < words; i += 2 * simd::kLanes) {
        for (int half = 0; half < 2; ++half) {
          sums[half] = _mm512_add_ps(sums[half], simd::exp(load(i + half * simd::kLanes, peak)));
        }
      }
      log = std::log(_mm512_reduce_add_ps(_mm512_add_ps(sums[0], sums[1])));
    }

    __m512 load(int64_t i, float subtracted) const {
      const __mmask16 mask = simd::tail_mask(std::max<int64_t>(0, words - i));
      return _mm512_sub_ps(_mm512_mask_loadu_ps(_mm512_set1_ps(kLowest), mask, logits + i), _mm512_set1_ps(subtracted));
    }
    __m512 scores(__m512 some) const {
      return _mm512_sub_ps(_mm512_sub_ps(some, _mm512_set1_ps(peak)), _mm512_set1_ps(log));
    }
    float score(int64_t token) const { return token >= 0 && token < words ? logits[token] - peak - log : kLowest; }
  };

  void advance(const SlotStep& step, int64_t index) const {
    thread_local Room room;
    const Slot before = step.before(index);
    const int64_t beams = step.wish(kNumBeams, index);
    room.candidates.clear();
    room.marks.resize(std::max(room.marks.size(), static_cast<size_t>(beams)));
    if (step.quotes(index)) {
      const int64_t* const tokens = step.all<int64_t>(kQuoteTokens) + index * 2 * step.source;
      room.quotes.read({tokens, step.all<int64_t>(kQuoteEnds) + index * step.source, step.source}, step.source);
    }
    for (int64_t beam = 0; beam < beams; ++beam) {
      continue_beam(step, index, beam, room);
      for (size_t i = 0; i < room.best.size(); ++i) {
        const Word& word = room.best[i];
        const auto place = static_cast<int64_t>(room.candidates.size());
        room.candidates.push_back({word.score + before.running[beam], word.token, beam, place, false});
      }
    }
    choose(room.candidates, static_cast<size_t>(beams * step.per_beam));
    const bool full = before.length[0] + 1 >= step.wish(kMaxLength, index);
    for (Candidate& one : room.candidates) one.ends = full || step.is_end(one.token);
    run_on(step, index, room);
    finish(step, index, full, room);
  }

  // The words that may come after a beam, best first, or one that must not be chosen where there are none.
  void continue_beam(const SlotStep& step, int64_t index, int64_t beam, Room& room) const {
    const Slot before = step.before(index);
    const int64_t count = before.length[0], beams = step.wish(kNumBeams, index);
    const int64_t most = step.wish(kMaxLength, index), *tokens = before.tokens + beam * step.target;
    const bool quotes = step.quotes(index);
    room.best.clear();
    if (quotes) {
      std::vector<Mark>& marks = room.marks[static_cast<size_t>(beam)];
      marks.clear();
      room.quotes.follow(tokens, count, first_, step.wish(kMinLength, index), most);
      room.quotes.state([&](int64_t place) { marks.push_back({place, kMayFollow}); },
                        [&](int64_t place) { marks.push_back({place, kUsed}); });
    }
    const int64_t forced = count == most - 1 && last_token_ >= 0 ? last_token_ : count == 1 ? first_token_ : -1;
    if (forced >= 0) return room.best.push_back({0, static_cast<int32_t>(forced)});
    const Row row(step.logits(index, beam), words_, beams == 1);
    room.allowed.clear();
    if (quotes) {
      const ort::Tensor& ends = step.inputs[kEndTokens];
      for (const int32_t token : room.quotes.tokens(ends.as<int64_t>(), ends.size())) {
        room.allowed.push_back({row.score(token), token});
      }
    } else {
      bar(step, index, tokens, room);
    }
    const float* const sampling = step.sampling(index);
    const auto wanted = static_cast<size_t>(beams * step.per_beam);
    if (beams == 1 && sampling[0] > 0) {
      room.best.push_back({0, sample(row, quotes, sampling, sampling[1 + count], room)});
    } else if (quotes) {
      select(room.allowed, wanted, room.best);
    } else {
      const auto own = [&](int32_t token) { return holds(room.barred, token) || holds(room.there, token); };
      select(row.logits, words_, wanted, [&](__m512 some) { return row.scores(some); }, own, room.best);
      for (const int32_t token : room.there) {
        const Word word{penalized(row.score(token)), token};
        if (word.score > kLowest && !holds(room.barred, token)) put(word, wanted, room.best);
      }
    }
    if (room.best.empty()) room.best.push_back({kLowest, pad_token_});
  }

  // The words that must not come next in a free summary, and those whose scores are lower since they are there already.
  void bar(const SlotStep& step, int64_t index, const int64_t* tokens, Room& room) const {
    const int64_t count = step.before(index).length[0];
    const auto add = [&](int64_t token) { room.barred.push_back(static_cast<int32_t>(token)); };
    const auto add_all = [&](SlotInput input) {
      const ort::Tensor& some = step.inputs[input];
      std::for_each(some.as<int64_t>(), some.as<int64_t>() + some.size(), add);
    };
    room.barred.clear();
    room.there.clear();
    if (count < step.wish(kMinLength, index)) add_all(kEndTokens);
    add_all(kNeverTokens);
    if (count == first_) add_all(kNeverFirstTokens);
    bar_repeats(tokens, count, std::min(longest_ngram_, step.wish(kNgram, index)), add);
    if (penalty_ != 1) room.there.assign(tokens, tokens + count);
    for (std::vector<int32_t>* some : {&room.barred, &room.there}) {
      std::sort(some->begin(), some->end());
      some->erase(std::unique(some->begin(), some->end()), some->end());
    }
  }

  static bool holds(const std::vector<int32_t>& some, int32_t token) {
    return std::binary_search(some.begin(), some.end(), token);
  }

  float penalized(float score) const { return score < 0 ? score * penalty_ : score / penalty_; }

  int32_t sample(const Row& row, bool quotes, const float* sampling, float number, Room& room) const {
    const int64_t count = quotes ? static_cast<int64_t>(room.allowed.size()) : words_;
    if (count == 0) return pad_token_;
    room.odds.assign(static_cast<size_t>(simd::padded(count)), kLeastScore);
    if (quotes) {
      for (size_t i = 0; i < room.allowed.size(); ++i) room.odds[i] = room.allowed[i].score;
      return room.allowed[static_cast<size_t>(draw(room.odds, count, sampling[0], sampling[1], number))].token;
    }
    std::copy_n(row.logits, count, room.odds.begin());
    const auto set = [&](int32_t token, float score) {
      if (token >= 0 && token < count) room.odds[static_cast<size_t>(token)] = score;
    };
    for (const int32_t token : room.there) set(token, penalized(row.score(token)));
    for (const int32_t token : room.barred) set(token, kLeastScore);
    return draw(room.odds, count, sampling[0], sampling[1], number);
  }

  // The beams that run on: one that has just finished does not.
  void run_on(const SlotStep& step, int64_t index, Room& room) const {
    const Slot before = step.before(index), after = step.after(index);
    const int64_t beams = step.wish(kNumBeams, index), count = before.length[0];
    room.kept = room.candidates;
    for (Candidate& one : room.kept) one.score += one.ends ? kNever : 0;
    keep_best(room.kept, static_cast<size_t>(beams));
    for (int64_t beam = 0; beam < step.beams; ++beam) {
      const bool asked = beam < beams;
      const Candidate& one = room.kept[static_cast<size_t>(asked ? beam : 0)];
      const int64_t parent = asked ? one.row : beam;
      after.running[beam] = asked ? one.score : before.running[beam];
      after.newest[beam] = asked ? one.token : before.newest[beam];
      std::copy_n(before.tokens + parent * step.target, step.target, after.tokens + beam * step.target);
      std::copy_n(before.visible + parent * step.nodes, step.nodes, after.visible + beam * step.nodes);
      if (asked) {
        after.tokens[beam * step.target + count] = one.token;
        after.visible[beam * step.nodes + (count - 1) * step.beams + parent] = true;
      }
      if (step.quotes(index)) {
        int64_t* const quoted = after.quoted + beam * step.source;
        std::fill_n(quoted, step.source, 0);
        if (!asked) continue;
        for (const Mark& mark : room.marks[static_cast<size_t>(parent)]) quoted[mark.place] = mark.flag;
      }
    }
  }

  // The beams that end, among the summaries that are finished, and whether the search is over.
  void finish(const SlotStep& step, int64_t index, bool full, Room& room) const {
    const Slot before = step.before(index), after = step.after(index);
    const int64_t beams = step.wish(kNumBeams, index), count = before.length[0];
    const float* const spans = step.all<float>(kSpans) + index * step.target;
    room.kept.clear();
    for (int64_t beam = 0; beam < beams; ++beam) {
      room.kept.push_back({before.best_scores[beam], 0, beam, beam, before.finished[beam]});
    }
    for (size_t i = 0; i < room.candidates.size(); ++i) {
      Candidate one = room.candidates[i];
      one.place = beams + static_cast<int64_t>(i);
      one.ends = one.ends && static_cast<int64_t>(i) < beams;
      one.score = one.score / spans[count] + (one.ends ? 0 : kNever);
      room.kept.push_back(one);
    }
    keep_best(room.kept, static_cast<size_t>(beams));
    bool all = true, any = false;
    float least = room.kept.back().score;
    for (int64_t beam = 0; beam < step.beams; ++beam) {
      const bool asked = beam < beams;
      const Candidate& one = room.kept[static_cast<size_t>(asked ? beam : 0)];
      const bool old = !asked || one.place < beams;
      const int64_t* const words = old ? before.best_tokens : before.tokens;
      int64_t* const text = after.best_tokens + beam * step.target;
      std::copy_n(words + (asked ? one.row : beam) * step.target, step.target, text);
      if (!old) text[count] = one.token;
      after.best_scores[beam] = asked ? one.score : before.best_scores[beam];
      after.finished[beam] = asked ? one.ends : before.finished[beam];
      if (asked) all = all && one.ends, any = any || one.ends;
    }
    // A place that is not filled yet is as bad as can be.
    const int64_t horizon = step.wish(kHorizon, index);
    const float possible = after.running[0] / spans[horizon > 0 ? horizon : count];
    const bool better = (any && possible > least) || (!all && possible > kNever);
    after.improvable[0] = before.improvable[0] && better;
    after.done[0] = full || !after.improvable[0] || (step.wish(kEarlyStopping, index) == kEarly && all);
    after.length[0] = count + !after.done[0];
  }

  static constexpr int64_t kMayFollow = 1, kUsed = 2;  // MAY_FOLLOW and USED in engine/tensors.py.
  const int64_t words_;
  const int32_t pad_token_;
  const int64_t first_token_, last_token_, first_, longest_ngram_;
  const float penalty_;
};

}  // namespace infolens
