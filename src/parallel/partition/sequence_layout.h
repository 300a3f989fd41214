// Which tokens the ranks of a sequence exchange own.
#ifndef SRC_PARALLEL_PARTITION_SEQUENCE_LAYOUT_H_
#define SRC_PARALLEL_PARTITION_SEQUENCE_LAYOUT_H_

#include <cstdint>
#include <vector>

#include "src/parallel/partition/attention_plan.h"
#include "src/parallel/partition/partition.h"

namespace attention {

// What a rank owns of a prefill: the new tokens whose queries are its own, and the tokens whose keys and
// values it has: those, and before them its share of what is cached (of a prompt that begins where an earlier
// one ended). Both are dealt by the plan's sharding, each by itself, so that either is balanced.
struct TokenShare {
  TokenSegments queries, keys;
};

// Between the ranks of one communicator.
struct SequenceLayout {
  HeadShare heads;                     // of this rank; the same on all ranks of the communicator
  std::vector<TokenSegments> queries;  // by rank of the communicator
  std::vector<TokenSegments> keys;     // likewise
  int rank = 0;                        // in the communicator

  int size() const { return static_cast<int>(queries.size()); }
  const TokenSegments& own_queries() const { return queries[static_cast<size_t>(rank)]; }
  const TokenSegments& own_keys() const { return keys[static_cast<size_t>(rank)]; }
  int64_t QueriesOf(int r) const { return TokenCount(queries[static_cast<size_t>(r)]); }
  int64_t KeysOf(int r) const { return TokenCount(keys[static_cast<size_t>(r)]); }
  int64_t max_queries() const;
};

// Of every rank of the whole plan; of one.
std::vector<TokenShare> TokensByRank(const AttentionPlan& plan);
TokenShare TokensOfRank(const AttentionPlan& plan, int rank);
// Of the ranks that divide the heads of token group `group`, in the order of their heads.
std::vector<TokenShare> TokensOfGroup(const AttentionPlan& plan, int group);
// 0 to head_parts - 1: those ranks' places.
std::vector<int> HeadIndices(const AttentionPlan& plan);
// Of each node's ranks together (headwise, exchange shared), as rows of one tensor, a rank's behind those of
// the ranks before it.
std::vector<TokenShare> TokensByNode(const AttentionPlan& plan);
// Of several shares, each by itself.
std::vector<TokenSegments> QueriesOf(const std::vector<TokenShare>& shares);
std::vector<TokenSegments> KeysOf(const std::vector<TokenShare>& shares);
int64_t TotalOf(const std::vector<TokenSegments>& shares);
int64_t MostOf(const std::vector<TokenSegments>& shares);
// Where every rank has all keys (PlanEnds::kReplicated): the query tokens that each token group computes, as
// rows of the whole.
std::vector<TokenSegments> QueryTokensByGroup(const AttentionPlan& plan);
// Between the token groups of a plan, as seen from its rank.
SequenceLayout LayoutOf(const AttentionPlan& plan);

}  // namespace attention

#endif  // SRC_PARALLEL_PARTITION_SEQUENCE_LAYOUT_H_
