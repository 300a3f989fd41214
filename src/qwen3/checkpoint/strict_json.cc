#include "src/qwen3/checkpoint/strict_json.h"

#include <limits>
#include <set>
#include <string>
#include <vector>

#include "src/base/error.h"

namespace attention {
namespace {

// Walks the document once without building anything, so that a depth bomb costs neither memory nor stack
// (nlohmann's parser keeps its own stack of bits; only building and destroying a tree would recurse).
class StructureCheck : public nlohmann::json::json_sax_t {
 public:
  const std::string& problem() const { return problem_; }

  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t) override { return true; }
  bool number_unsigned(number_unsigned_t) override { return true; }
  bool number_float(number_float_t, const string_t&) override { return true; }
  bool string(string_t&) override { return true; }
  bool binary(binary_t&) override { return true; }
  bool start_object(std::size_t) override { return Enter(); }
  bool start_array(std::size_t) override { return Enter(); }
  bool end_object() override { return Leave(); }
  bool end_array() override { return Leave(); }
  bool key(string_t& name) override {
    if (keys_.back().insert(name).second) return true;
    problem_ = "key \"" + Printable(name) + "\" appears twice";
    return false;
  }
  bool parse_error(std::size_t position, const std::string&, const nlohmann::json::exception&) override {
    problem_ = "not valid JSON at byte " + std::to_string(position);
    return false;
  }

 private:
  bool Enter() {
    keys_.emplace_back();
    if (static_cast<int>(keys_.size()) <= kMaxJsonDepth) return true;
    problem_ = "JSON nests deeper than " + std::to_string(kMaxJsonDepth) + " levels";
    return false;
  }
  bool Leave() {
    keys_.pop_back();
    return true;
  }

  std::vector<std::set<std::string>> keys_;  // of the open objects; empty sets for arrays
  std::string problem_;
};

}  // namespace

nlohmann::json ParseStrictJson(std::string_view text, const std::string& where) {
  const size_t nul = text.find('\0');
  if (nul != std::string_view::npos) FailUsage(where, ": not valid JSON at byte ", nul + 1, ": a NUL");
  StructureCheck check;
  if (!nlohmann::json::sax_parse(text.begin(), text.end(), &check)) FailUsage(where, ": ", check.problem());
  return nlohmann::json::parse(text.begin(), text.end());
}

std::optional<int64_t> AsCount(const nlohmann::json& value) {
  if (!value.is_number_unsigned()) return std::nullopt;
  const auto count = value.get<uint64_t>();
  if (count > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) return std::nullopt;
  return static_cast<int64_t>(count);
}

std::string JsonText(const nlohmann::json& value) {
  return Printable(value.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace));
}

std::string Printable(std::string text) {
  if (text.size() > 200) text = text.substr(0, 200) + "...";
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = '?';
  }
  return text;
}

}  // namespace attention
