#include "src/kernels/layout/step_layout.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "src/base/error.h"

namespace attention {
namespace {

// Returns the segments' tokens.
int64_t CheckSegments(std::span<const TokenSegment> segments, int64_t tokens, int64_t bound,
                      const char* what) {
  int64_t total = 0;
  for (const TokenSegment& segment : segments) {
    Require(segment.length >= 0 && segment.local_begin >= 0 && segment.local_begin + segment.length <= tokens,
            what, " segment [", segment.local_begin, ", ", segment.local_begin + segment.length,
            ") is outside the ", tokens, " local tokens");
    total += segment.length;
  }
  Require(total <= bound, total, " ", what, " tokens in a step; the workspace was sized for ", bound);
  return total;
}

void CheckKeyValues(const BackendConfig& config, const KeyValueShard& shard) {
  if (CountTokens(shard.segments) == 0) return;
  const TensorShape& k = shard.k.shape;
  Require(k.batch == config.batch && k.heads == config.kv_heads && k.head_dim == config.head_dim,
          "k does not have the configured shape");
  Require(shard.v.shape == k, "k and v differ in shape");
  const DataType type = config.key_value_type();
  Require(shard.k.data_type == type && shard.v.data_type == type, "k or v is not ", Name(type));
}

}  // namespace

void CheckConfig(const BackendConfig& config) {
  Require(config.threads >= 1, "threads: ", config.threads, "; at least 1");
  Require(config.head_dim >= 1 && config.head_dim <= kMaxHeadDim, "head_dim: ", config.head_dim, "; 1 to ",
          kMaxHeadDim);
  Require(config.batch >= 0 && config.query_heads >= 0 && config.kv_heads >= 0, "negative batch or heads");
  Require(config.max_query_tokens >= 0 && config.max_kv_tokens >= 0, "negative number of tokens");
  Require(config.tiles.q_block >= 0 && config.tiles.kv_block >= 0, "negative tile size");
  Require(config.heads.group_size >= 1, "group_size: ", config.heads.group_size, "; at least 1");
  Require(std::isfinite(config.scale), "scale is not finite");
  if (config.query_heads == 0) return;
  const int64_t first = config.heads.KvHead(0), last = config.heads.KvHead(config.query_heads - 1);
  Require(first >= 0 && last < config.kv_heads, "query heads read KV heads ", first, " to ", last, " of ",
          config.kv_heads);
  if (config.key_value_type() == config.data_type) return;
  Require(config.key_value_type() == DataType::kInt8 && config.data_type == DataType::kFloat32, "queries of ",
          Name(config.data_type), " over keys of ", Name(config.key_value_type()));
  Require(config.algorithm == AttentionAlgorithm::kOnlineSoftmax, Name(config.algorithm),
          " does not read int8 keys; online_softmax does");
  const int64_t columns = config.max_query_tokens * LargestGroup(MakeHeadGroups(config));
  Require(columns <= kMostInt8Columns, columns, " query rows per KV head over int8 keys; at most ",
          kMostInt8Columns);
}

void CheckStep(const BackendConfig& config, const AttentionStep& step) {
  Require(RowOf(config.algorithm).carries_state || !step.needs_carried_state(config.kv_heads),
          Name(config.algorithm), " needs all heads and all keys in one shard and one step");
  const TensorShape& q = step.query.q.shape;
  const int64_t queries = CheckSegments(step.query.segments, q.tokens, config.max_query_tokens, "query");
  int64_t keys = 0;
  for (const KeyValueShard& shard : step.key_values) {
    keys += CheckSegments(shard.segments, shard.k.shape.tokens, config.max_kv_tokens, "key");
  }
  Require(keys <= config.max_kv_tokens, keys,
          " key tokens of all shards in a step; the workspace was sized for ", config.max_kv_tokens);
  Require(step.last || step.key_values.size() <= 1, "only a last step takes several shards of keys");
  if (queries == 0) return;
  Require(q.batch == config.batch && q.heads == config.query_heads && q.head_dim == config.head_dim,
          "q does not have the configured shape");
  Require(step.query.q.data_type == config.data_type, "q is not ", Name(config.data_type));
  for (const KeyValueShard& shard : step.key_values) CheckKeyValues(config, shard);
  const bool needs_state = !(step.first && step.last) || step.key_values.size() > 1;
  Require(!needs_state || (step.state.o.shape == q && step.state.m != nullptr && step.state.l != nullptr),
          "the step needs a state of q's shape");
  Require(!step.last || step.output.shape == q, "output does not have q's shape");
}

std::vector<HeadGroup> MakeHeadGroups(const BackendConfig& config) {
  std::vector<HeadGroup> groups;
  for (int64_t head = 0; head < config.query_heads; ++head) {
    const int64_t kv_head = config.heads.KvHead(head);
    if (groups.empty() || groups.back().kv_head != kv_head) groups.push_back({kv_head, head, 0});
    ++groups.back().heads;
  }
  return groups;
}

std::span<const HeadGroup> GroupsOfStep(std::span<const HeadGroup> groups, const AttentionStep& step) {
  const auto outside = [&](const HeadGroup& group) { return !step.kv_heads.Contains(group.kv_head); };
  const auto begin = std::find_if_not(groups.begin(), groups.end(), outside);
  return {begin, std::find_if(begin, groups.end(), outside)};
}

int64_t LargestGroup(std::span<const HeadGroup> groups) {
  int64_t largest = 1;
  for (const HeadGroup& group : groups) largest = std::max(largest, group.heads);
  return largest;
}

int64_t CountTokens(std::span<const TokenSegment> segments) {
  int64_t tokens = 0;
  for (const TokenSegment& segment : segments) tokens += segment.length;
  return tokens;
}

PositionRange PositionsOf(const QueryShard& query) {
  PositionRange positions;
  for (const TokenSegment& segment : query.segments) {
    if (segment.length == 0) continue;
    const int64_t last = segment.global_begin + segment.length - 1;
    positions.first =
        positions.last < 0 ? segment.global_begin : std::min(positions.first, segment.global_begin);
    positions.last = std::max(positions.last, last);
  }
  return positions;
}

float Base2Scale(const BackendConfig& config) {
  const double scale =
      config.scale != 0 ? config.scale : 1.0 / std::sqrt(static_cast<double>(config.head_dim));
  return static_cast<float>(scale * std::numbers::log2e);
}

int64_t CountRuns(std::span<const TokenSegment> segments, int64_t tokens) {
  int64_t runs = 0;
  for (const TokenSegment& segment : segments) runs += CeilDivide(segment.length, tokens);
  return runs;
}

int64_t RowsPerBlock(int64_t rows, int64_t units, int64_t max_rows, int64_t granule, int64_t threads) {
  // The last block of one thread is what the others may have to wait for, under a causal mask a short one.
  constexpr int64_t kBlocksPerThread = 8;
  if (threads == 1 || units == 0) return max_rows;
  const int64_t blocks = CeilDivide(kBlocksPerThread * threads, units);
  return std::min(max_rows, std::max(granule, rows / blocks / granule * granule));
}

int64_t RowBlocks::Rows(const TokenSegment& segment) const {
  if (segment.length == 0) return 1;
  const int64_t even = CeilDivide(segment.length, CeilDivide(segment.length, max_rows_));
  return std::min(RoundUp(even, granule_), max_rows_);
}

RowBlock RowBlocks::Get(int64_t index) const {
  for (const TokenSegment& segment : segments_) {
    const int64_t rows = Rows(segment), blocks = CeilDivide(segment.length, rows);
    if (index < blocks) {
      const int64_t begin = index * rows;
      return {segment.local_begin + begin, segment.global_begin + begin,
              std::min(rows, segment.length - begin)};
    }
    index -= blocks;
  }
  Fail("row block ", index, " is past the end");
}

}  // namespace attention
