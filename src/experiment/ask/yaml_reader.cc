#include "src/experiment/ask/yaml_reader.h"

#include <yaml-cpp/anchor.h>
#include <yaml-cpp/eventhandler.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <set>
#include <sstream>
#include <utility>

#include "src/base/error.h"
#include "src/experiment/text/spelling.h"
#include "src/experiment/text/utf8.h"

namespace attention {
namespace {

std::string Position(const std::string& file_name, const YAML::Mark& mark) {
  if (mark.is_null()) return file_name;
  return internal::Concatenate(file_name, ":", mark.line + 1, ":", mark.column + 1);
}

// Long or strange values are shortened: the complaint stays one line.
std::string Quote(const std::string& text) {
  std::string shown;
  for (char c : text.substr(0, 40)) shown += static_cast<unsigned char>(c) < 0x20 ? '?' : c;
  return "'" + shown + (text.size() > 40 ? "...'" : "'");
}

// yaml-cpp takes other encodings, and any byte in a comment; a manifest keeps the text as it is, and is JSON.
void RequireUtf8(const std::string& text, const std::string& file_name) {
  const std::optional<size_t> odd = FirstNoUtf8(text);
  if (!odd) return;
  const auto line = 1 + std::count(text.begin(), text.begin() + static_cast<ptrdiff_t>(*odd), '\n');
  const size_t before = *odd == 0 ? std::string::npos : text.rfind('\n', *odd - 1);
  FailUsage(file_name, ":", line, ":", before == std::string::npos ? *odd + 1 : *odd - before,
            ": a byte that is no text in UTF-8, as which the file is kept in the manifest; save it as UTF-8");
}

// Refuses tags, which nobody reads, and what stands behind the first document, at its first value.
// YAML::LoadAll would do, but it never ends on some texts that are not YAML: "  a: 1\n,\n" is to yaml-cpp 0.7
// a document, and then one more without a character of its own, for ever.
class OneDocument : public YAML::EventHandler {
 public:
  explicit OneDocument(const std::string& file_name) : file_name_(file_name) {}

  void OnDocumentStart(const YAML::Mark&) override { ++documents_; }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t) override { OnValue(mark); }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override { OnValue(mark); }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t, const std::string&) override {
    OnTagged(mark, tag);
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t,
                       YAML::EmitterStyle::value) override {
    OnTagged(mark, tag);
  }
  void OnSequenceEnd() override {}
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t,
                  YAML::EmitterStyle::value) override {
    OnTagged(mark, tag);
  }
  void OnMapEnd() override {}

 private:
  // Without one a plain value has "?" and a quoted one "!".
  void OnTagged(const YAML::Mark& mark, const std::string& tag) const {
    OnValue(mark);
    if (tag.empty() || tag == "?" || tag == "!") return;
    FailUsage(Position(file_name_, mark), ": the tag ", Quote(tag),
              " says what kind of value this is, which nobody reads; take it out");
  }
  void OnValue(const YAML::Mark& mark) const {
    if (documents_ < 2) return;
    FailUsage(Position(file_name_, mark),
              ": a second document begins here, which nobody reads; a file holds one, without a line '---' "
              "or '...' behind it");
  }

  const std::string& file_name_;
  int documents_ = 0;
};

}  // namespace

YamlReader::YamlReader(const YAML::Node& node, YAML::Mark mark, std::string key, std::string file_name)
    : node_(node), mark_(mark), key_(std::move(key)), file_name_(std::move(file_name)) {}

YamlReader YamlReader::Parse(const std::string& text, const std::string& file_name) {
  RequireUtf8(text, file_name);
  try {
    std::istringstream input(text);
    YAML::Parser parser(input);
    OneDocument one_document(file_name);
    while (parser.HandleNextDocument(one_document)) {
    }
    const YAML::Node node = YAML::Load(text);
    return YamlReader(node, node.IsNull() ? YAML::Mark::null_mark() : node.Mark(), "", file_name);
  } catch (const YAML::Exception& error) {
    FailUsage(Position(file_name, error.mark), ": not valid YAML: ", error.msg);
  }
}

void YamlReader::Fail(const std::string& what) const { FailUsage(where(), ": ", what); }

std::string YamlReader::where() const {
  return Position(file_name_, mark_) + (key_.empty() ? "" : ": " + key_);
}

std::string YamlReader::Describe() const {
  if (!node_.IsDefined() || node_.IsNull()) return "nothing";
  if (node_.IsMap()) return "a map";
  if (node_.IsSequence()) return "a list";
  return Quote(node_.Scalar());
}

void YamlReader::AllowKeys(std::span<const std::string> allowed) const {
  if (!node_.IsMap()) Fail("a map is expected, with the keys " + Join(allowed) + "; found " + Describe());
  for (const auto& entry : node_) {
    const YamlReader key(entry.first, entry.first.Mark(), key_, file_name_);
    if (!entry.first.IsScalar()) key.Fail("a key must be a word");
    const std::string name = entry.first.Scalar();
    if (std::find(allowed.begin(), allowed.end(), name) == allowed.end()) {
      key.Fail("unknown key " + Quote(name) + ", allowed are " + Join(allowed) + DidYouMean(name, allowed));
    }
  }
  RefuseKeysTwice();
}

void YamlReader::RefuseKeysTwice() const {
  std::set<std::string> seen;
  for (const auto& entry : node_) {
    if (entry.first.IsScalar() && !seen.insert(entry.first.Scalar()).second) {
      const YamlReader key(entry.first, entry.first.Mark(), key_, file_name_);
      key.Fail("key " + Quote(entry.first.Scalar()) + " is given twice");
    }
  }
}

YamlReader YamlReader::Overlaid(const YamlReader& over, std::span<const std::string> joined) const {
  over.RefuseKeysTwice();
  YAML::Node result(YAML::NodeType::Map);
  std::set<std::string> own;
  for (const auto& entry : node_) {
    const std::string key = entry.first.IsScalar() ? entry.first.Scalar() : "";
    own.insert(key);
    const std::optional<YamlReader> other = over.Find(key);
    const bool is_joined = other && other->is_map() && entry.second.IsMap() &&
                           std::find(joined.begin(), joined.end(), key) != joined.end();
    const YAML::Node value = is_joined ? Get(key).Overlaid(*other, {}).node_
                             : other   ? other->node_
                                       : entry.second;
    result.force_insert(entry.first, value);
  }
  for (const auto& entry : over.node_) {
    if (!entry.first.IsScalar() || own.count(entry.first.Scalar()) == 0)
      result.force_insert(entry.first, entry.second);
  }
  return YamlReader(result, mark_, key_, file_name_);
}

std::vector<std::string> YamlReader::Keys() const {
  std::vector<std::string> keys;
  for (const auto& entry : node_) keys.push_back(entry.first.Scalar());
  return keys;
}

std::optional<YamlReader> YamlReader::Find(const std::string& key) const {
  for (const auto& entry : node_) {
    if (entry.first.IsScalar() && entry.first.Scalar() == key) {
      // An empty value has no place of its own.
      const YAML::Mark mark = entry.second.IsNull() ? entry.first.Mark() : entry.second.Mark();
      return YamlReader(entry.second, mark, key_.empty() ? key : key_ + "." + key, file_name_);
    }
  }
  return std::nullopt;
}

YamlReader YamlReader::Get(const std::string& key) const {
  const std::optional<YamlReader> found = Find(key);
  if (!found) Fail("key '" + key + "' is missing");
  return *found;
}

std::vector<YamlReader> YamlReader::Items(const std::string& example) const {
  if (!node_.IsSequence()) Fail("a list is expected, such as " + example + "; found " + Describe());
  if (node_.size() == 0) Fail("the list is empty; it needs at least one value, such as " + example);
  std::vector<YamlReader> items;
  for (const auto& item : node_) {
    items.push_back(YamlReader(item, item.IsNull() ? mark_ : item.Mark(), key_, file_name_));
  }
  return items;
}

std::string YamlReader::Text() const {
  if (!node_.IsScalar() || node_.Scalar().empty()) Fail("a text is expected; found " + Describe());
  return node_.Scalar();
}

int64_t YamlReader::Integer(int64_t minimum, int64_t maximum) const {
  const std::string allowed = internal::Concatenate("a whole number from ", minimum, " to ", maximum);
  const std::optional<int64_t> value = node_.IsScalar() ? ParseInteger(node_.Scalar()) : std::nullopt;
  if (!value) Fail(allowed + " is expected; found " + Describe());
  if (*value < minimum || *value > maximum) {
    Fail(internal::Concatenate(node_.Scalar().substr(0, 40), " is out of range, allowed is ", allowed));
  }
  return *value;
}

double YamlReader::Number(double minimum, double maximum) const {
  const std::string allowed = internal::Concatenate("a number from ", minimum, " to ", maximum);
  const std::optional<double> value = node_.IsScalar() ? ParseNumber(node_.Scalar()) : std::nullopt;
  if (!value) Fail(allowed + " is expected; found " + Describe());
  if (!(*value >= minimum && *value <= maximum)) {
    Fail(internal::Concatenate(*value, " is out of range, allowed is ", allowed));
  }
  return *value;
}

bool YamlReader::Boolean() const {
  const std::optional<bool> value = node_.IsScalar() ? ParseBoolean(node_.Scalar()) : std::nullopt;
  if (!value) Fail("true or false is expected; found " + Describe());
  return *value;
}

std::string YamlReader::Choice(std::span<const std::string> allowed) const {
  if (!node_.IsScalar()) Fail("one of " + Join(allowed) + " is expected; found " + Describe());
  std::string text = node_.Scalar();
  if (std::find(allowed.begin(), allowed.end(), text) == allowed.end()) {
    Fail("unknown value " + Quote(text) + ", allowed are " + Join(allowed) + DidYouMean(text, allowed));
  }
  return text;
}

std::optional<int64_t> ParseInteger(std::string_view text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || end != text.data() + text.size()) return std::nullopt;
  // A number too large for 64 bits is still a number: let the range check speak of it. No range may reach to
  // the ends.
  if (error == std::errc::result_out_of_range) return text[0] == '-' ? INT64_MIN : INT64_MAX;
  if (error != std::errc()) return std::nullopt;
  return value;
}

std::optional<double> ParseNumber(std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return std::isfinite(value) ? std::optional<double>(value) : std::nullopt;
}

std::optional<bool> ParseBoolean(std::string_view text) {
  if (text == "true" || text == "on" || text == "yes") return true;
  if (text == "false" || text == "off" || text == "no") return false;
  return std::nullopt;
}

}  // namespace attention
