#include "src/parallel/partition/token_circle.h"

#include <algorithm>

namespace attention {

TokenCircle::TokenCircle(const Mask& mask, int64_t sequence, std::vector<IndexRange> runs)
    : mask_(&mask), sequence_(sequence), runs_(std::move(runs)), places_(1, 0), pairs_(1, 0) {
  for (const IndexRange& run : runs_) {
    places_.push_back(places_.back() + run.size());
    pairs_.push_back(pairs_.back() + mask.VisiblePairs(run.begin, run.size(), sequence));
  }
}

size_t TokenCircle::RunOf(int64_t place) const {
  return static_cast<size_t>(std::upper_bound(places_.begin(), places_.end() - 1, place) - places_.begin()) -
         1;
}

double TokenCircle::PairsBefore(int64_t place) const {
  if (place == tokens()) return pairs();
  const size_t run = RunOf(place);
  return pairs_[run] + mask_->VisiblePairs(runs_[run].begin, place - places_[run], sequence_);
}

double TokenCircle::PairsOfArc(int64_t begin, int64_t length) const {
  const int64_t beyond = begin + length - tokens();
  if (beyond <= 0) return PairsBefore(begin + length) - PairsBefore(begin);
  return pairs() - PairsBefore(begin) + PairsBefore(beyond);
}

void TokenCircle::Append(std::vector<IndexRange>& runs, int64_t begin, int64_t end) const {
  for (size_t run = 0; run < runs_.size(); ++run) {
    const int64_t first = std::max(begin, places_[run]), last = std::min(end, places_[run + 1]);
    if (first >= last) continue;
    const int64_t position = Position(run, first);
    if (!runs.empty() && runs.back().end == position) {
      runs.back().end += last - first;
    } else {
      runs.push_back({position, position + last - first});
    }
  }
}

std::pair<std::vector<IndexRange>, std::vector<IndexRange>> TokenCircle::Cut(int64_t begin,
                                                                             int64_t length) const {
  std::vector<IndexRange> inside, outside;
  const int64_t beyond = std::max<int64_t>(0, begin + length - tokens());
  const int64_t end = std::min(begin + length, tokens());
  Append(inside, 0, beyond);
  Append(inside, begin, end);
  Append(outside, beyond, begin);
  Append(outside, end, tokens());
  return {std::move(inside), std::move(outside)};
}

int64_t TokenCircle::KeysBefore(int64_t place) const {
  place %= tokens();
  const size_t run = RunOf(place);
  if (places_[run] == place) return 0;
  const int64_t position = Position(run, place);
  return position - mask_->Document(position).begin;
}

std::vector<int64_t> TokenCircle::Borders(size_t most) const {
  std::vector<int64_t> borders;
  for (size_t run = 0; run < runs_.size(); ++run) {
    for (int64_t position = runs_[run].begin; position < runs_[run].end;) {
      if (borders.size() == most) return borders;
      borders.push_back(places_[run] + position - runs_[run].begin);
      position = mask_->Document(position).end;
    }
  }
  return borders;
}

std::pair<int64_t, int64_t> TokenCircle::BordersAround(int64_t place) const {
  place %= tokens();
  const size_t run = RunOf(place);
  const int64_t position = Position(run, place);
  const KeyRange document = mask_->Document(position);
  const int64_t before = std::max(document.begin, runs_[run].begin);
  const int64_t after = before == position ? position : std::min(document.end, runs_[run].end);
  return {place - (position - before), place + (after - position)};
}

}  // namespace attention
