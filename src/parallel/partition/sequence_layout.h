// Which tokens the ranks of a sequence exchange own.
#ifndef SRC_PARALLEL_PARTITION_SEQUENCE_LAYOUT_H_
#define SRC_PARALLEL_PARTITION_SEQUENCE_LAYOUT_H_

#include <cstdint>
#include <vector>

#include "src/parallel/partition/attention_plan.h"
#include "src/parallel/partition/partition.h"

namespace attention {

// Prefill: each rank's queries are its tokens.
struct SequenceLayout {
  HeadShare heads;                    // of this rank; the same on all ranks of the communicator
  std::vector<TokenSegments> tokens;  // by rank of the communicator
  int rank = 0;                       // in the communicator

  int size() const { return static_cast<int>(tokens.size()); }
  const TokenSegments& own() const { return tokens[static_cast<size_t>(rank)]; }
  int64_t TokensOf(int r) const { return TokenCount(tokens[static_cast<size_t>(r)]); }
  int64_t total_tokens() const;
  int64_t max_tokens() const;
};

// Tokens of every rank of the whole plan; of one.
std::vector<TokenSegments> TokensByRank(const AttentionPlan& plan);
TokenSegments TokensOfRank(const AttentionPlan& plan, int rank);
// The tokens of the ranks that divide the heads of token group `group`, in the order of their heads.
std::vector<TokenSegments> TokensOfGroup(const AttentionPlan& plan, int group);
// Where every rank has all keys (PlanEnds::kReplicated): the query tokens that each token group computes, as
// rows of the whole.
std::vector<TokenSegments> QueryTokensByGroup(const AttentionPlan& plan);
// Between the token groups of a plan, as seen from its rank.
SequenceLayout LayoutOf(const AttentionPlan& plan);

}  // namespace attention

#endif  // SRC_PARALLEL_PARTITION_SEQUENCE_LAYOUT_H_
