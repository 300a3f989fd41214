#include "src/simulate/platform.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <optional>

#include "src/base/counter_random.h"
#include "src/base/error.h"
#include "src/base/sha256.h"
#include "src/experiment/ask/yaml_reader.h"

namespace attention {
namespace {

constexpr int64_t kMostNodes = 65536;
constexpr uint64_t kDrawSeed = 1;  // another than the calibration's: they are drawn together

LinkSpeed ReadLink(const YamlReader& link) {
  const std::string keys[] = {"gb_per_s", "latency_us"};
  link.AllowKeys(keys);
  return {link.Get("gb_per_s").Number(1e-6, 1e6) * 1e9, link.Get("latency_us").Number(0, 1e6) * 1e-6};
}

std::vector<int> ReadCounts(const YamlReader& list) {
  std::vector<int> counts;
  for (const YamlReader& item : list.Items("[16, 4]")) {
    counts.push_back(static_cast<int>(item.Integer(1, kMostNodes)));
  }
  return counts;
}

std::vector<FatTreeLevel> ReadFatTree(const YamlReader& tree, int nodes) {
  const std::string keys[] = {"down", "up", "links"};
  tree.AllowKeys(keys);
  const std::vector<int> down = ReadCounts(tree.Get("down")), up = ReadCounts(tree.Get("up")),
                         links = ReadCounts(tree.Get("links"));
  if (up.size() != down.size()) tree.Get("up").Fail("is not as long as down");
  if (links.size() != down.size()) tree.Get("links").Fail("is not as long as down");
  std::vector<FatTreeLevel> levels;
  int64_t leaves = 1;
  for (size_t i = 0; i < down.size(); ++i) {
    levels.push_back({down[i], up[i], links[i]});
    leaves = std::min(leaves * down[i], kMostNodes * kMostNodes);
  }
  if (leaves != nodes) {
    tree.Get("down").Fail(internal::Concatenate("makes a tree of ", leaves, " nodes, not ", nodes));
  }
  return levels;
}

Uncertainty ReadUncertainty(const YamlReader& given) {
  const std::string keys[] = {"core_speed", "kernels", "gb_per_s", "latency_us"};
  given.AllowKeys(keys);
  const auto deviation = [&](const char* key) { return given.Get(key).Number(0, 1); };
  return {deviation("core_speed"), deviation("kernels"), deviation("gb_per_s"), deviation("latency_us")};
}

std::string ReadName(const YamlReader& name) {
  std::string text = name.Text();
  const bool is_plain = !text.empty() && std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return std::isalnum(c) || c == '_' || c == '-';
  });
  if (!is_plain) name.Fail("allowed are letters, digits, _ and -");
  return text;
}

}  // namespace

Platform Platform::Parse(const std::string& text, const std::string& file_name) {
  const YamlReader file = YamlReader::Parse(text, file_name);
  const std::string keys[] = {"name",    "about",      "nodes",           "cores_per_node",
                              "isa",     "core_speed", "memory_gb_per_s", "within_node",
                              "network", "fat_tree",   "uncertainty"};
  file.AllowKeys(keys);
  Platform platform;
  platform.sha256 = Sha256(text);
  platform.name = ReadName(file.Get("name"));
  platform.about = file.Get("about").Text();
  platform.nodes = static_cast<int>(file.Get("nodes").Integer(1, kMostNodes));
  platform.cores_per_node = static_cast<int>(file.Get("cores_per_node").Integer(1, 4096));
  std::vector<std::string> isas;
  for (const IsaRow& row : kIsaTable) isas.emplace_back(row.name);
  platform.isa = *ParseIsa(file.Get("isa").Choice(isas));
  if (const auto speed = file.Find("core_speed")) platform.core_speed = speed->Number(1e-3, 1e3);
  if (const auto memory = file.Find("memory_gb_per_s")) {
    platform.memory_bytes_per_second = memory->Number(1e-3, 1e6) * 1e9;
  }
  platform.within_node = ReadLink(file.Get("within_node"));
  platform.network = ReadLink(file.Get("network"));
  if (const auto tree = file.Find("fat_tree")) platform.fat_tree = ReadFatTree(*tree, platform.nodes);
  if (const auto uncertainty = file.Find("uncertainty")) platform.uncertainty = ReadUncertainty(*uncertainty);
  return platform;
}

Platform Platform::Drawn(int draw) const {
  Platform drawn = *this;
  if (draw == 0) return drawn;
  uint64_t stream = 0;
  const auto factor = [&](double deviation) {
    return std::exp(deviation * RandomGaussian(kDrawSeed, stream++, static_cast<uint64_t>(draw)));
  };
  for (LinkSpeed* link : {&drawn.within_node, &drawn.network}) {
    link->bytes_per_second *= factor(uncertainty.bandwidths);
    link->latency_seconds *= factor(uncertainty.latencies);
  }
  drawn.memory_bytes_per_second *= factor(uncertainty.bandwidths);
  drawn.core_speed *= factor(uncertainty.cores);
  return drawn;
}

}  // namespace attention
