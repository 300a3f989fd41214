// The words of distribution: who owns what, how it is sharded, where inputs start and outputs end. One row
// each, with the spelling of YAML, the command line and CSV. How data moves is a row of exchange.h.
#ifndef SRC_PARALLEL_STRATEGY_WORDS_H_
#define SRC_PARALLEL_STRATEGY_WORDS_H_

#include <optional>
#include <string_view>

namespace attention {

enum class ParallelStrategy { kHeadwise, kSequence };
enum class Sharding { kContiguous, kZigzag, kBalanced };
enum class Contract { kNative, kReplicated, kTokenSharded };
enum class Phase { kPrefill, kDecode };

template <typename Value>
struct Word {
  Value value;
  std::string_view name;
  std::string_view meaning;
};

inline constexpr Word<ParallelStrategy> kStrategies[] = {
    {ParallelStrategy::kHeadwise, "headwise", "a rank owns heads"},
    {ParallelStrategy::kSequence, "sequence", "a rank owns tokens"},
};
inline constexpr Word<Sharding> kShardings[] = {
    {Sharding::kContiguous, "contiguous", "rank r owns chunk r of P"},
    {Sharding::kZigzag, "zigzag", "rank r owns chunks r and 2P-1-r of 2P: balances causal work"},
    {Sharding::kBalanced, "balanced",
     "as much work and as many tokens for each rank under any mask: whole documents, else zigzag "
     "generalised"},
};
inline constexpr Word<Contract> kContracts[] = {
    {Contract::kNative, "native", "each strategy's own natural ends: what the original study compared"},
    {Contract::kReplicated, "replicated", "everything everywhere at both ends"},
    {Contract::kTokenSharded, "token_sharded", "tokens sharded at both ends"},
};
inline constexpr Word<Phase> kPhases[] = {
    {Phase::kPrefill, "prefill", "as many queries as keys"},
    {Phase::kDecode, "decode", "one new query, its keys in a cache"},
};

template <typename Value, size_t count>
constexpr std::string_view NameIn(const Word<Value> (&words)[count], Value value) {
  for (const Word<Value>& word : words) {
    if (word.value == value) return word.name;
  }
  return "?";
}
template <typename Value, size_t count>
constexpr std::optional<Value> ParseIn(const Word<Value> (&words)[count], std::string_view name) {
  for (const Word<Value>& word : words) {
    if (word.name == name) return word.value;
  }
  return std::nullopt;
}

constexpr std::string_view Name(ParallelStrategy strategy) { return NameIn(kStrategies, strategy); }
constexpr std::string_view Name(Sharding sharding) { return NameIn(kShardings, sharding); }
constexpr std::string_view Name(Contract contract) { return NameIn(kContracts, contract); }
constexpr std::string_view Name(Phase phase) { return NameIn(kPhases, phase); }
constexpr std::optional<ParallelStrategy> ParseStrategy(std::string_view name) {
  return ParseIn(kStrategies, name);
}
constexpr std::optional<Sharding> ParseSharding(std::string_view name) { return ParseIn(kShardings, name); }
constexpr std::optional<Contract> ParseContract(std::string_view name) { return ParseIn(kContracts, name); }
constexpr std::optional<Phase> ParsePhase(std::string_view name) { return ParseIn(kPhases, name); }

}  // namespace attention

#endif  // SRC_PARALLEL_STRATEGY_WORDS_H_
