#include "src/parallel/testing/covering_array.h"

#include <cstddef>
#include <functional>

namespace attention {
namespace {

constexpr int kNone = -1;  // a factor whose value is not chosen yet

// Which tuples of `strength` values, each of another factor, have not met in a row yet.
class UncoveredTuples {
 public:
  UncoveredTuples(const std::vector<int>& level_counts, size_t strength) : strength_(strength) {
    for (int count : level_counts) {
      offsets_.push_back(values_);
      values_ += static_cast<size_t>(count);
    }
    size_t size = 1;
    for (size_t i = 0; i < strength_; ++i) size *= values_;
    uncovered_.assign(size, true);
  }

  // How many new tuples value `a` of factor f makes with the values chosen so far.
  int Gain(const std::vector<int>& row, size_t f, int a) const {
    std::vector<int> with = row;
    with[f] = a;
    int gain = 0;
    ForEachTuple(
        with, [&](size_t index, bool has_factor) { gain += has_factor && uncovered_[index]; }, f);
    return gain;
  }
  // Whether the values chosen, which are `strength` of them, have not met.
  bool Has(const std::vector<int>& row) const {
    bool has = false;
    ForEachTuple(row, [&](size_t index, bool) { has = uncovered_[index]; });
    return has;
  }
  void Cover(const std::vector<int>& row) {
    ForEachTuple(row, [&](size_t index, bool) { uncovered_[index] = false; });
  }

 private:
  // Every choice of `strength` factors, in ascending order, among those whose value is chosen.
  void ForEachTuple(const std::vector<int>& row, const std::function<void(size_t, bool)>& visit,
                    size_t wanted = ~size_t{0}) const {
    const std::function<void(size_t, size_t, size_t, bool)> descend = [&](size_t first, size_t left,
                                                                          size_t index, bool has_wanted) {
      if (left == 0) return visit(index, has_wanted);
      for (size_t f = first; f + left <= row.size(); ++f) {
        if (row[f] == kNone) continue;
        descend(f + 1, left - 1, index * values_ + offsets_[f] + static_cast<size_t>(row[f]),
                has_wanted || f == wanted);
      }
    };
    descend(0, strength_, 0, false);
  }

  size_t strength_;
  std::vector<size_t> offsets_;
  size_t values_ = 0;  // of all factors together
  std::vector<bool> uncovered_;
};

// Every tuple of values of every `left` factors from `first` on, each as a row in which only they are chosen.
void ForEachStart(const std::vector<int>& level_counts, size_t left, size_t first, std::vector<int>& row,
                  const std::function<void()>& visit) {
  if (left == 0) return visit();
  for (size_t f = first; f + left <= level_counts.size(); ++f) {
    for (row[f] = 0; row[f] < level_counts[f]; ++row[f]) {
      ForEachStart(level_counts, left - 1, f + 1, row, visit);
    }
    row[f] = kNone;
  }
}

}  // namespace

std::vector<std::vector<int>> CoveringArray(const std::vector<int>& level_counts, size_t strength) {
  const size_t factors = level_counts.size();
  if (strength >= factors) return FullProduct(level_counts);
  std::vector<std::vector<int>> rows;
  UncoveredTuples uncovered(level_counts, strength);
  std::vector<int> start(factors, kNone);
  ForEachStart(level_counts, strength, 0, start, [&] {
    if (!uncovered.Has(start)) return;
    std::vector<int> row = start;
    // Ties go to a value that moves with the row number, so that factors whose tuples are all covered still
    // vary.
    for (size_t f = 0; f < factors; ++f) {
      if (row[f] != kNone) continue;
      int best = kNone, best_gain = -1;
      for (int i = 0; i < level_counts[f]; ++i) {
        const int value = static_cast<int>((rows.size() + static_cast<size_t>(i)) % level_counts[f]);
        const int gain = uncovered.Gain(row, f, value);
        if (gain > best_gain) best = value, best_gain = gain;
      }
      row[f] = best;
    }
    uncovered.Cover(row);
    rows.push_back(row);
  });
  return rows;
}

std::vector<std::vector<int>> FullProduct(const std::vector<int>& level_counts) {
  std::vector<std::vector<int>> rows = {{}};
  for (int count : level_counts) {
    std::vector<std::vector<int>> longer;
    for (const std::vector<int>& row : rows) {
      for (int value = 0; value < count; ++value) {
        longer.push_back(row);
        longer.back().push_back(value);
      }
    }
    rows = std::move(longer);
  }
  return rows;
}

}  // namespace attention
