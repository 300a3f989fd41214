// Typed reading of YAML whose every complaint says file:line:column, the key, what is wrong and what is
// allowed.
#ifndef SRC_EXPERIMENT_ASK_YAML_READER_H_
#define SRC_EXPERIMENT_ASK_YAML_READER_H_

#include <yaml-cpp/yaml.h>

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace attention {

// One value of a YAML document and the key it stands under. All errors are bad usage.
class YamlReader {
 public:
  // The document as a whole; throws with position on a syntax error.
  static YamlReader Parse(const std::string& text, const std::string& file_name);

  // Throws "file:line:column: key: what".
  [[noreturn]] void Fail(const std::string& what) const;
  // "file:line:column: key", to keep for complaints made later.
  std::string where() const;

  bool is_map() const { return node_.IsMap(); }
  bool is_list() const { return node_.IsSequence(); }
  bool is_scalar() const { return node_.IsScalar(); }

  // Refuses keys not in `allowed`, and keys given twice. The value must be a map.
  void AllowKeys(std::span<const std::string> allowed) const;
  std::vector<std::string> Keys() const;
  std::optional<YamlReader> Find(const std::string& key) const;
  YamlReader Get(const std::string& key) const;
  // This map with what `over`, a map too, has in place of its own. Maps that both have under a key of
  // `joined` are overlaid in turn. Every value keeps its place in the file.
  YamlReader Overlaid(const YamlReader& over, std::span<const std::string> joined) const;
  // Elements of a list with at least one; `example` shows one in the complaint.
  std::vector<YamlReader> Items(const std::string& example) const;

  std::string Text() const;
  int64_t Integer(int64_t minimum, int64_t maximum) const;
  double Number(double minimum, double maximum) const;
  bool Boolean() const;
  std::string Choice(std::span<const std::string> allowed) const;

 private:
  YamlReader(const YAML::Node& node, YAML::Mark mark, std::string key, std::string file_name);
  std::string Describe() const;
  void RefuseKeysTwice() const;

  YAML::Node node_;
  YAML::Mark mark_;
  std::string key_;
  std::string file_name_;
};

// Whole-text conversions: nothing but the value may be there.
std::optional<int64_t> ParseInteger(std::string_view text);
std::optional<double> ParseNumber(std::string_view text);
// true, false, on, off, yes, no.
std::optional<bool> ParseBoolean(std::string_view text);

}  // namespace attention

#endif  // SRC_EXPERIMENT_ASK_YAML_READER_H_
