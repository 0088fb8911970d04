// Which beams of a search run on, and which end: the bookkeeping of one step.
#pragma once

#include <cmath>
#include <initializer_list>

#include "best.h"

namespace infolens {

class KeepBeams {
 public:
  explicit KeepBeams(const ort::Info& info)
      : early_(info.integer("early")), pad_token_(static_cast<int32_t>(info.integer("pad_token"))) {}

  // values FLOAT and tokens INT32 (rows, candidates); history INT32 (rows, count); running FLOAT (batch, beams); seen
  // FLOAT (batch, beams, nodes); sequences INT32 (batch, beams, length), scores FLOAT and finished BOOL (batch, beams);
  // improvable BOOL (batch, 1); max_length INT64 (1); length_penalty FLOAT (1); end_tokens INT32 (n); and what follows
  // from the shapes
  // -> the same after the step, from history to improvable; rows INT64 (rows), which one each beam continues; going
  // BOOL ()
  void compute(const ort::Context& context) {
    const ort::Tensor values = context.input(0), tokens = context.input(1), history = context.input(2);
    const ort::Tensor running = context.input(3), seen = context.input(4), sequences = context.input(5);
    const ort::Tensor scores = context.input(6), finished = context.input(7), improvable = context.input(8);
    const ort::Tensor ends = context.input(11);
    Step step;
    step.max_length = *context.input(9).as<int64_t>(), step.penalty = *context.input(10).as<float>();
    step.beams = running.last(), step.candidates = values.last(), step.count = history.last();
    step.nodes = seen.last(), step.length = sequences.last();
    const int64_t batch = running.dims[0], rows = batch * step.beams;
    ort::require(values.dims[0] == rows && tokens.dims[0] == rows && history.dims[0] == rows &&
                     tokens.last() == step.candidates && seen.size() == rows * step.nodes &&
                     sequences.size() == rows * step.length && scores.size() == rows && finished.size() == rows &&
                     improvable.size() == batch,
                 "the beams that are kept take words, tokens and a path for every beam of every article");
    ort::require(step.candidates >= step.beams && step.count < step.length && step.length == step.max_length,
                 "the beams that are kept take as many candidates as beams, and summaries of the greatest length");
    int32_t* const history_after = context.output<int32_t>(0, {rows, step.count + 1});
    float* const running_after = context.output<float>(1, running);
    float* const seen_after = context.output<float>(2, seen);
    int32_t* const sequences_after = context.output<int32_t>(3, sequences);
    float* const scores_after = context.output<float>(4, scores);
    bool* const finished_after = context.output<bool>(5, finished);
    bool* const improvable_after = context.output<bool>(6, improvable);
    int64_t* const rows_after = context.output<int64_t>(7, {rows});
    bool going = false;
    thread_local std::vector<Candidate> candidates, merged;
    for (int64_t article = 0; article < batch; ++article) {
      const int64_t first = article * step.beams;
      choose(step, values.as<float>() + first * step.candidates, tokens.as<int32_t>() + first * step.candidates,
             running.as<float>() + first, first, candidates);
      for (Candidate& one : candidates) {
        one.ends = std::find(ends.as<int32_t>(), ends.as<int32_t>() + ends.size(), one.token) !=
                   ends.as<int32_t>() + ends.size();
      }
      // Those that run on: one that has just finished does not.
      merged = candidates;
      for (Candidate& one : merged) one.score += times_never(one.ends);
      keep_best(merged, static_cast<size_t>(step.beams));
      for (int64_t beam = 0; beam < step.beams; ++beam) {
        const Candidate& one = merged[static_cast<size_t>(beam)];
        const int64_t row = first + beam;
        running_after[row] = one.score;
        rows_after[row] = one.row;
        int32_t* const words = history_after + row * (step.count + 1);
        std::copy_n(history.as<int32_t>() + one.row * step.count, step.count, words);
        words[step.count] = one.token;
        std::copy_n(seen.as<float>() + one.row * step.nodes, step.nodes, seen_after + row * step.nodes);
      }
      // Those that end, among the summaries that are done.
      const float* const done = scores.as<float>() + first;
      const bool* const was = finished.as<bool>() + first;
      const bool improves = improvable.as<bool>()[article], full = std::all_of(was, was + step.beams, identity);
      const float span = std::pow(static_cast<float>(step.count), step.penalty);
      merged.clear();
      for (int64_t beam = 0; beam < step.beams; ++beam) {
        merged.push_back({done[beam], 0, beam, beam, was[beam]});
      }
      for (int64_t i = 0; i < step.candidates; ++i) {
        Candidate one = candidates[static_cast<size_t>(i)];
        one.ends = one.ends && i < step.beams;
        one.score /= span;
        if (early_ == kEarly) one.score += times_never(full);
        one.score += times_never(!improves);
        one.score += times_never(!one.ends);
        one.place = step.beams + i;
        merged.push_back(one);
      }
      keep_best(merged, static_cast<size_t>(step.beams));
      float least = 0;
      bool all = true;
      for (int64_t beam = 0; beam < step.beams; ++beam) {
        const Candidate& one = merged[static_cast<size_t>(beam)];
        const int64_t row = first + beam;
        scores_after[row] = one.score;
        finished_after[row] = one.ends;
        all = all && one.ends;
        least = beam == 0 ? one.score : std::min(least, one.score);
        int32_t* const words = sequences_after + row * step.length;
        if (one.place < step.beams) {
          std::copy_n(sequences.as<int32_t>() + (first + one.place) * step.length, step.length, words);
        } else {
          std::copy_n(history.as<int32_t>() + one.row * step.count, step.count, words);
          words[step.count] = one.token;
          std::fill(words + step.count + 1, words + step.length, pad_token_);
        }
      }
      // A place that is not filled yet is as bad as can be.
      const int64_t length = early_ == kPossible && step.penalty > 0 ? step.max_length - 1 : step.count;
      const float possible = running_after[first] / std::pow(static_cast<float>(length), step.penalty);
      const bool any = std::any_of(merged.begin(), merged.end(), ended);
      const float lowest = all ? least : std::min(any ? least : kNever, kNever);
      improvable_after[article] = improves && possible > lowest;
      going = going || (improvable_after[article] && !(early_ == kEarly && all));
    }
    *context.output<bool>(8, std::initializer_list<int64_t>{}) = going;
  }

 private:
  static constexpr int64_t kEarly = 1, kPossible = 2;

  struct Step {
    int64_t max_length, beams, candidates, count, nodes, length;
    float penalty;
  };

  static bool identity(bool flag) { return flag; }
  static bool ended(const Candidate& one) { return one.ends; }
  static float times_never(bool flag) { return flag ? kNever : 0.0f; }

  // The best continuations of an article, whose first row is `first`.
  static void choose(const Step& step, const float* values, const int32_t* tokens, const float* running, int64_t first,
                     std::vector<Candidate>& found) {
    found.clear();
    for (int64_t i = 0; i < step.beams * step.candidates; ++i) {
      const int64_t beam = i / step.candidates;
      found.push_back({values[i] + running[beam], tokens[i], first + beam, i, false});
    }
    infolens::choose(found, static_cast<size_t>(step.candidates));
  }

  const int64_t early_;
  const int32_t pad_token_;
};

}  // namespace infolens
