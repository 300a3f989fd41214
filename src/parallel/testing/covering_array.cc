#include "src/parallel/testing/covering_array.h"

#include <cstddef>

namespace attention {
namespace {

// Which pairs of (factor, value) have not met yet.
class UncoveredPairs {
 public:
  explicit UncoveredPairs(const std::vector<int>& level_counts) : levels_(level_counts) {
    for (int count : level_counts) {
      offsets_.push_back(total_);
      total_ += static_cast<size_t>(count);
    }
    uncovered_.assign(total_ * total_, true);
  }

  bool Has(size_t f, int a, size_t g, int b) const { return uncovered_[Index(f, a, g, b)]; }

  // How many new pairs value `a` of factor f makes with the values chosen so far (-1: not chosen).
  int Gain(const std::vector<int>& row, size_t f, int a) const {
    int gain = 0;
    for (size_t g = 0; g < levels_.size(); ++g) gain += g != f && row[g] >= 0 && Has(f, a, g, row[g]);
    return gain;
  }

  void Cover(const std::vector<int>& row) {
    for (size_t f = 0; f < row.size(); ++f) {
      for (size_t g = 0; g < row.size(); ++g) uncovered_[Index(f, row[f], g, row[g])] = false;
    }
  }

 private:
  size_t Index(size_t f, int a, size_t g, int b) const {
    return (offsets_[f] + static_cast<size_t>(a)) * total_ + offsets_[g] + static_cast<size_t>(b);
  }

  std::vector<int> levels_;
  std::vector<size_t> offsets_;
  size_t total_ = 0;
  std::vector<bool> uncovered_;
};

}  // namespace

std::vector<std::vector<int>> AllPairs(const std::vector<int>& level_counts) {
  std::vector<std::vector<int>> rows;
  const size_t factors = level_counts.size();
  UncoveredPairs pairs(level_counts);
  // Completes a row that has some values chosen. Ties go to a value that moves with the row number, so that
  // factors whose pairs are all covered still vary.
  const auto complete = [&](std::vector<int> row) {
    for (size_t f = 0; f < factors; ++f) {
      if (row[f] >= 0) continue;
      int best = -1, best_gain = -1;
      for (int i = 0; i < level_counts[f]; ++i) {
        const int value = static_cast<int>((rows.size() + static_cast<size_t>(i)) % level_counts[f]);
        const int gain = pairs.Gain(row, f, value);
        if (gain > best_gain) best = value, best_gain = gain;
      }
      row[f] = best;
    }
    pairs.Cover(row);
    rows.push_back(row);
  };
  if (factors == 1) {
    for (int a = 0; a < level_counts[0]; ++a) rows.push_back({a});
    return rows;
  }
  for (size_t f = 0; f < factors; ++f) {
    for (int a = 0; a < level_counts[f]; ++a) {
      for (size_t g = f + 1; g < factors; ++g) {
        for (int b = 0; b < level_counts[g]; ++b) {
          if (!pairs.Has(f, a, g, b)) continue;
          std::vector<int> row(factors, -1);
          row[f] = a;
          row[g] = b;
          complete(row);
        }
      }
    }
  }
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
