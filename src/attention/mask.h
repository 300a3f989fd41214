// Which keys a query sees: one value, asked for a range of keys per query position.
//
// Every mask here is a visible range [begin, end) of global key positions for each global query position, and
// both ends never fall as positions rise. That is all that kernels, references, cost formulas and strategies
// know of a mask, so a new one is a row of the table in mask.cc and a case of Visible():
//
//   full              [0, infinity)                every key
//   causal            [0, p + 1)                   keys at or before the query
//   window:W          [p - W + 1, p + 1)           the last W keys, the query's own included (sliding window)
//   documents:A+B+C   [begin of document, p + 1)   packed sequences: documents of A, B and C tokens one after
//                                                  the other, each causal, none of which sees another
#ifndef SRC_ATTENTION_MASK_H_
#define SRC_ATTENTION_MASK_H_

#include <algorithm>
#include <cstdint>
#include <limits>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace attention {

// Keys [begin, end) by global position, or by place in some run of keys.
struct KeyRange {
  int64_t begin = 0;
  int64_t end = 0;

  int64_t size() const { return end - begin; }
  bool is_empty() const { return end <= begin; }
  bool operator==(const KeyRange&) const = default;
};

enum class MaskKind { kFull, kCausal, kWindow, kDocuments };

class Mask {
 public:
  // full.
  Mask() = default;
  static Mask Full() { return Mask(); }
  static Mask Causal();
  // window >= 1. Throws Error (bad usage) otherwise.
  static Mask Window(int64_t window);
  // Lengths of at least 1, one document at least. Throws Error (bad usage) otherwise.
  static Mask Documents(std::span<const int64_t> lengths);

  // As YAML, the command line and CSV spell it: see above. Throws Error (bad usage), "what is wrong, what is
  // allowed".
  static Mask Parse(std::string_view text);

  MaskKind kind() const { return kind_; }
  // Whether a query may see keys after its own position.
  bool sees_later_keys() const { return kind_ == MaskKind::kFull; }
  // Whether later queries see ever more keys, so that equal runs of tokens are unequal work.
  bool grows() const { return kind_ == MaskKind::kCausal; }

  // The keys that the query at global `position` >= 0 sees. The end may lie beyond the last key there is.
  KeyRange Visible(int64_t position) const {
    switch (kind_) {
      case MaskKind::kFull:
        break;
      case MaskKind::kCausal:
        return {0, position + 1};
      case MaskKind::kWindow:
        return {std::max<int64_t>(0, position + 1 - window_), position + 1};
      case MaskKind::kDocuments:
        return {DocumentBegin(position), position + 1};
    }
    return {0, std::numeric_limits<int64_t>::max()};
  }

  // Of a run of `keys` keys whose first has global position key_begin: those that at least one of the
  // positions [first, last] sees, as places in the run; empty ranges are {0, 0}.
  KeyRange VisibleToAny(int64_t first, int64_t last, int64_t key_begin, int64_t keys) const {
    return Clip({Visible(first).begin, Visible(last).end}, key_begin, keys);
  }
  // Those that every one of them sees.
  KeyRange VisibleToAll(int64_t first, int64_t last, int64_t key_begin, int64_t keys) const {
    return Clip({Visible(last).begin, Visible(first).end}, key_begin, keys);
  }

  // The document that a position lies in; without documents everything: {0, infinity}. Nothing outside of it
  // sees it, or is seen.
  KeyRange Document(int64_t position) const;

  // Number of (query, visible key) pairs of queries [first, first + queries) and keys [0, keys), exact up to
  // 2^53. Takes no longer for more documents but by their logarithm.
  double VisiblePairs(int64_t first, int64_t queries, int64_t keys) const;

  // "" if a sequence of `tokens` can have this mask, otherwise one line that says what is wrong.
  std::string WhyInvalid(int64_t tokens) const;

  bool operator==(const Mask& other) const;

 private:
  friend std::string Name(const Mask& mask);

  static KeyRange Clip(const KeyRange& global, int64_t key_begin, int64_t keys) {
    const int64_t begin = std::max<int64_t>(0, global.begin - key_begin);
    const int64_t end = global.end - key_begin < keys ? global.end - key_begin : keys;
    return begin < end ? KeyRange{begin, end} : KeyRange{};
  }
  // Number of the document that a position lies in; beyond the last begins one more.
  size_t DocumentIndex(int64_t position) const;
  int64_t DocumentBegin(int64_t position) const { return documents_->borders[DocumentIndex(position)]; }
  // Of queries [0, position), under documents.
  double PairsBefore(int64_t position) const;

  struct Packed {
    std::vector<int64_t> borders;      // global positions at which documents begin, and the end of the last
    std::vector<double> pairs_before;  // of all documents before each border
  };
  MaskKind kind_ = MaskKind::kFull;
  int64_t window_ = 0;
  std::shared_ptr<const Packed> documents_;  // shared, so that a mask is a small value
};

std::string Name(const Mask& mask);
// "full, causal, window:W (the last W keys), ...": for help and complaints.
std::string MaskSpellings();

}  // namespace attention

#endif  // SRC_ATTENTION_MASK_H_
