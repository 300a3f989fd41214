#include "src/experiment/ask/variant_spec.h"

#include <vector>

#include "src/base/error.h"
#include "src/experiment/ask/yaml_reader.h"
#include "src/experiment/text/spelling.h"

namespace attention {
namespace {

constexpr const char* kForm =
    "a variant is strategy+algorithm, strategy(exchange)+algorithm or strategy(exchange,sharding)+algorithm, "
    "such as sequence(ring,zigzag)+online_softmax; with grid=2x4 last in the brackets it is a 2-D grid of "
    "headwise x sequence ranks; auto or auto+algorithm chooses all but the algorithm";

constexpr std::string_view kAuto = "auto";

template <typename Value>
Value FromText(std::string_view text, std::optional<Value> (*parse)(std::string_view), const char* what,
               const std::vector<std::string>& allowed) {
  const std::optional<Value> value = parse(text);
  if (!value) {
    FailUsage("unknown ", what, " '", text.substr(0, 60), "', allowed are ", Join(allowed),
              DidYouMean(text, allowed));
  }
  return *value;
}

// Splits off what stands between `open` and the closing bracket that ends the text; "" if there is none.
std::string_view TakeBracket(std::string_view& text, char open, char close) {
  const size_t begin = text.find(open);
  if (begin == std::string_view::npos) {
    if (text.find(close) != std::string_view::npos) FailUsage("'", close, "' without '", open, "'; ", kForm);
    return "";
  }
  if (text.back() != close) FailUsage("'", open, "' must be closed by '", close, "'; ", kForm);
  const std::string_view inside = text.substr(begin + 1, text.size() - begin - 2);
  text = text.substr(0, begin);
  if (inside.empty()) FailUsage("nothing between '", open, "' and '", close, "'; ", kForm);
  return inside;
}

std::vector<std::string_view> SplitAtCommas(std::string_view text) {
  std::vector<std::string_view> parts;
  for (;;) {
    const size_t comma = text.find(',');
    parts.push_back(text.substr(0, comma));
    if (comma == std::string_view::npos) return parts;
    text.remove_prefix(comma + 1);
  }
}

TileSizes ParseTiles(std::string_view text) {
  TileSizes tiles;
  for (std::string_view part : SplitAtCommas(text)) {
    const size_t equals = part.find('=');
    const std::string_view key = part.substr(0, equals);
    const std::string_view number = equals == std::string_view::npos ? "" : part.substr(equals + 1);
    const bool automatic = number == "auto";
    const int64_t value = automatic ? 0 : ParseInteger(number).value_or(0);
    if ((key != "q" && key != "kv") || (value < 1 && !automatic) || value > (int64_t{1} << 24)) {
      FailUsage("tile sizes are written [q=64,kv=256], whole numbers from 1 or auto; found '",
                part.substr(0, 60), "'");
    }
    (key == "q" ? tiles.q_block : tiles.kv_block) = value;
  }
  return tiles;
}

}  // namespace

ParallelStrategy StrategyFromText(std::string_view text) {
  return FromText<ParallelStrategy>(text, ParseStrategy, "strategy", {"headwise", "sequence"});
}

std::optional<ParallelStrategy> StrategyOrAutoFromText(std::string_view text) {
  if (text == kAuto) return std::nullopt;
  return FromText<ParallelStrategy>(text, ParseStrategy, "strategy", {"headwise", "sequence", "auto"});
}

Exchange ExchangeFromText(std::string_view text) {
  return FromText<Exchange>(text, ParseExchange, "exchange",
                            {"none", "allgather", "all_to_all", "ring", "merge", "mesh", "tree", "shared"});
}

Sharding ShardingFromText(std::string_view text) {
  return FromText<Sharding>(text, ParseSharding, "sharding", {"contiguous", "zigzag", "balanced"});
}

AttentionAlgorithm AlgorithmFromText(std::string_view text) {
  return FromText<AttentionAlgorithm>(text, ParseAlgorithm, "algorithm",
                                      {"standard", "row_blocked", "online_softmax"});
}

Grid GridFromText(std::string_view text) {
  constexpr int64_t kMostRanks = 1 << 20;
  const size_t cross = text.find('x');
  const auto side = [&](std::string_view number) {
    const int64_t value = ParseInteger(number).value_or(0);
    if (cross == std::string_view::npos || value < 1 || value > kMostRanks) {
      FailUsage("a grid is written 2x4, headwise x sequence ranks, whole numbers from 1 to ", kMostRanks,
                "; found '", text.substr(0, 60), "'");
    }
    return static_cast<int>(value);
  };
  const int headwise = side(text.substr(0, cross));
  return {headwise, side(text.substr(cross + 1))};
}

VariantSpec ParseVariantSpec(std::string_view text) {
  std::string compact;
  for (char c : text) {
    if (c != ' ') compact += c;
  }
  VariantSpec spec;
  spec.label = compact;
  if (compact == kAuto) {
    spec.is_auto = true;
    return spec;
  }
  const size_t plus = compact.find('+');
  if (plus == std::string::npos) FailUsage("'", text.substr(0, 60), "' has no '+'; ", kForm);
  std::string_view left = std::string_view(compact).substr(0, plus);
  std::string_view right = std::string_view(compact).substr(plus + 1);
  if (left.empty() || right.empty()) FailUsage("'", text.substr(0, 60), "' lacks a side of the '+'; ", kForm);
  const std::string_view movement = TakeBracket(left, '(', ')');
  const std::string_view tiles = TakeBracket(right, '[', ']');
  const std::optional<ParallelStrategy> strategy = StrategyOrAutoFromText(left);
  spec.is_auto = !strategy;
  if (spec.is_auto && !movement.empty()) {
    FailUsage("'", text.substr(0, 60), "': auto chooses exchange, sharding and grid itself; leave '(",
              movement, ")' out, or name a strategy");
  }
  if (strategy) spec.strategy = *strategy;
  spec.algorithm = AlgorithmFromText(right);
  if (!movement.empty()) {
    constexpr std::string_view kGrid = "grid=";
    std::vector<std::string_view> parts = SplitAtCommas(movement);
    if (parts.back().starts_with(kGrid)) {
      spec.grid = GridFromText(parts.back().substr(kGrid.size()));
      parts.pop_back();
    }
    if (parts.size() > 2) FailUsage("more than (exchange,sharding,grid=2x4) in '", movement, "'; ", kForm);
    if (!parts.empty()) spec.exchange = ExchangeFromText(parts[0]);
    if (parts.size() == 2) spec.sharding = ShardingFromText(parts[1]);
  }
  if (!tiles.empty()) spec.tiles = ParseTiles(tiles);
  return spec;
}

Variant ResolveVariant(const VariantSpec& spec, Contract contract, Phase phase, const Mask& mask) {
  Variant variant;
  variant.strategy = spec.strategy;
  variant.algorithm = spec.algorithm;
  variant.exchange =
      spec.exchange ? *spec.exchange : DefaultExchange(spec.strategy, spec.algorithm, contract, phase);
  variant.sharding = spec.sharding ? *spec.sharding : DefaultSharding(spec.strategy, phase, mask);
  variant.tiles = spec.tiles;
  variant.grid = spec.grid;
  return variant;
}

}  // namespace attention
