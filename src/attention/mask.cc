#include "src/attention/mask.h"

#include <charconv>

#include "src/base/error.h"

namespace attention {
namespace {

int64_t ParseLength(std::string_view text, std::string_view whole) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) {
    FailUsage("'", whole.substr(0, 60), "' is no mask; allowed: ", MaskSpellings());
  }
  return value;
}

Mask ParseFull(std::string_view, std::string_view) { return Mask::Full(); }
Mask ParseCausal(std::string_view, std::string_view) { return Mask::Causal(); }
Mask ParseWindow(std::string_view argument, std::string_view whole) {
  return Mask::Window(ParseLength(argument, whole));
}
Mask ParseDocuments(std::string_view argument, std::string_view whole) {
  std::vector<int64_t> lengths;
  for (size_t begin = 0; begin <= argument.size();) {
    const size_t end = std::min(argument.find('+', begin), argument.size());
    lengths.push_back(ParseLength(argument.substr(begin, end - begin), whole));
    begin = end + 1;
  }
  return Mask::Documents(lengths);
}

// One line of the table in mask.h.
struct Row {
  MaskKind kind;
  std::string_view name;
  std::string_view argument;  // how it is spelled after a colon; "" if there is none
  std::string_view meaning;
  Mask (*parse)(std::string_view argument, std::string_view whole);
};

constexpr Row kTable[] = {
    {MaskKind::kFull, "full", "", "every key", &ParseFull},
    {MaskKind::kCausal, "causal", "", "keys at or before the query", &ParseCausal},
    {MaskKind::kWindow, "window", "W", "causal, the last W keys", &ParseWindow},
    {MaskKind::kDocuments, "documents", "A+B+C", "packed sequences of A, B and C tokens, each causal",
     &ParseDocuments},
};

const Row& RowOf(MaskKind kind) { return kTable[static_cast<size_t>(kind)]; }

double Pairs(double queries, double first_sees) { return queries * first_sees + queries * (queries - 1) / 2; }

}  // namespace

Mask Mask::Causal() {
  Mask mask;
  mask.kind_ = MaskKind::kCausal;
  return mask;
}

Mask Mask::Window(int64_t window) {
  Require(window >= 1, "window ", window, " is not at least 1 key");
  Mask mask;
  mask.kind_ = MaskKind::kWindow;
  mask.window_ = window;
  return mask;
}

Mask Mask::Documents(std::span<const int64_t> lengths) {
  Require(!lengths.empty(), "packed sequences need at least one document");
  constexpr int64_t kMost = int64_t{1} << 40;
  auto documents = std::make_shared<Packed>(Packed{{0}, {0}});
  for (int64_t length : lengths) {
    Require(length >= 1 && length <= kMost, "a document of ", length, " tokens; 1 to ", kMost);
    documents->borders.push_back(documents->borders.back() + length);
    documents->pairs_before.push_back(documents->pairs_before.back() + Pairs(static_cast<double>(length), 1));
    Require(documents->borders.back() <= kMost, "documents of more than ", kMost, " tokens together");
  }
  Mask mask;
  mask.kind_ = MaskKind::kDocuments;
  mask.documents_ = std::move(documents);
  return mask;
}

Mask Mask::Parse(std::string_view text) {
  const size_t colon = text.find(':');
  const std::string_view name = text.substr(0, colon);
  const bool has_argument = colon != std::string_view::npos;
  for (const Row& row : kTable) {
    if (row.name == name && row.argument.empty() != has_argument) {
      return row.parse(has_argument ? text.substr(colon + 1) : std::string_view(), text);
    }
  }
  FailUsage("'", text.substr(0, 60), "' is no mask; allowed: ", MaskSpellings());
}

size_t Mask::DocumentIndex(int64_t position) const {
  const std::vector<int64_t>& borders = documents_->borders;
  return static_cast<size_t>(std::upper_bound(borders.begin(), borders.end(), position) - borders.begin()) -
         1;
}

KeyRange Mask::Document(int64_t position) const {
  constexpr int64_t kNoEnd = std::numeric_limits<int64_t>::max();
  if (kind_ != MaskKind::kDocuments) return {0, kNoEnd};
  const std::vector<int64_t>& borders = documents_->borders;
  const size_t index = DocumentIndex(position);
  return {borders[index], index + 1 < borders.size() ? borders[index + 1] : kNoEnd};
}

double Mask::PairsBefore(int64_t position) const {
  const size_t index = DocumentIndex(position);
  const int64_t inside = position - documents_->borders[index];
  return documents_->pairs_before[index] + Pairs(static_cast<double>(inside), 1);
}

double Mask::VisiblePairs(int64_t first, int64_t queries, int64_t keys) const {
  const double rows = static_cast<double>(queries);
  if (kind_ == MaskKind::kFull) return rows * static_cast<double>(keys);
  // Row p sees p + 1 keys, less those that the mask's lower end hides.
  if (kind_ == MaskKind::kCausal) return Pairs(rows, static_cast<double>(first + 1));
  if (kind_ == MaskKind::kWindow) {
    const int64_t growing = std::clamp<int64_t>(window_ - first - 1, 0, queries);
    return Pairs(static_cast<double>(growing), static_cast<double>(first + 1)) +
           static_cast<double>(queries - growing) * static_cast<double>(window_);
  }
  return PairsBefore(first + queries) - PairsBefore(first);
}

std::string Mask::WhyInvalid(int64_t tokens) const {
  if (kind_ != MaskKind::kDocuments || documents_->borders.back() == tokens) return "";
  std::string name = Name(*this);
  if (name.size() > 80) name = name.substr(0, 80) + "...";
  return internal::Concatenate("the documents of mask ", name, " have ", documents_->borders.back(),
                               " tokens together, the sequence has ", tokens);
}

bool Mask::operator==(const Mask& other) const {
  if (kind_ != other.kind_ || window_ != other.window_) return false;
  return kind_ != MaskKind::kDocuments || documents_->borders == other.documents_->borders;
}

std::string Name(const Mask& mask) {
  std::string text(RowOf(mask.kind_).name);
  if (mask.kind_ == MaskKind::kWindow) text += ":" + std::to_string(mask.window_);
  if (mask.kind_ == MaskKind::kDocuments) {
    const std::vector<int64_t>& borders = mask.documents_->borders;
    for (size_t i = 1; i < borders.size(); ++i) {
      text += (i == 1 ? ":" : "+") + std::to_string(borders[i] - borders[i - 1]);
    }
  }
  return text;
}

std::string MaskSpellings() {
  std::string text;
  for (const Row& row : kTable) {
    text += internal::Concatenate(text.empty() ? "" : ", ", row.name, row.argument.empty() ? "" : ":",
                                  row.argument, " (", row.meaning, ")");
  }
  return text;
}

}  // namespace attention
