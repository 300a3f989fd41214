// The seam between strategies and kernels: what `src/parallel` asks of one rank's attention.
//
// Implementations: AttentionKernel (src/kernels/attention_kernel.h: the Highway kernels), ReferenceBackend
// (src/attention/reference_backend.h: float64, slow, written from the mathematics), and later a backend that
// only spends simulated time. Results say which one made them (name()).
#ifndef SRC_ATTENTION_ATTENTION_BACKEND_H_
#define SRC_ATTENTION_ATTENTION_BACKEND_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>

#include "src/attention/attention_types.h"

namespace attention {

// What every step of one backend has in common; workspace is sized from it, once, outside anything timed.
struct BackendConfig {
  AttentionAlgorithm algorithm = AttentionAlgorithm::kOnlineSoftmax;
  Isa isa = Isa::kScalar;
  DataType data_type = DataType::kFloat32;
  int threads = 1;
  TileSizes tiles;
  bool causal = false;
  float scale = 0;  // multiplies q.k; 0 = 1/sqrt(head_dim)

  HeadMapping heads;
  int64_t batch = 1;
  int64_t query_heads = 1;  // of this rank
  int64_t kv_heads = 1;     // of this rank
  int64_t head_dim = 128;   // 1 to 256
  // Upper bounds over all steps, for the workspace.
  int64_t max_query_tokens = 0;
  int64_t max_kv_tokens = 0;
};

// KV heads of a rank's tensors; all of them if not said.
struct KvHeadRange {
  int64_t begin = 0;
  int64_t end = std::numeric_limits<int64_t>::max();

  bool Contains(int64_t kv_head) const { return begin <= kv_head && kv_head < end; }
};

// One call: the query rows of a shard meet the keys and values of a shard.
//   first: the state is taken as empty, whatever it holds. last: the result is finished into `output`
//   (o / l; a row that saw no key is exactly 0), after which the state is undefined.
//   first && last needs no state. The exact-softmax algorithms (standard, row_blocked) need first && last:
//   they see whole rows or nothing (Error otherwise).
// Shards may be empty (no segments, or of length 0); with last, output is written all the same.
//
// The last two steps over the same queries can be taken as one (online_softmax only): with `next_key_value`,
// rows meet its keys right after key_value's, to the bit what two steps would give, but queries and state
// pass once. It needs a state all the same: rows that come out non-finite take the two steps.
struct AttentionStep {
  QueryShard query;
  KeyValueShard key_value;
  AttentionStateView state;
  TensorView output;  // [batch, query_heads, tokens as query.q, head_dim], float32; rows as query.q
  bool first = true;
  bool last = true;
  Progress progress;
  KeyValueShard next_key_value = {};
  KvHeadRange kv_heads = {};  // the query heads of other KV heads stay untouched (online_softmax only)

  bool has_next() const { return !next_key_value.segments.empty(); }
  // Not all of `rank_kv_heads` heads, or not one shard.
  bool is_part_of(int64_t rank_kv_heads) const {
    return has_next() || kv_heads.begin > 0 || kv_heads.end < rank_kv_heads;
  }
  // In the order in which they are met.
  std::array<const KeyValueShard*, 2> key_values() const { return {&key_value, &next_key_value}; }
};

class AttentionBackend {
 public:
  virtual ~AttentionBackend() = default;
  virtual std::string name() const = 0;
  // Throws Error if the step does not fit the config (shapes, sizes beyond the bounds, unsupported
  // combination).
  virtual void Accumulate(const AttentionStep& step) = 0;
  // Bytes allocated in the constructor; nothing is allocated later.
  virtual size_t workspace_bytes() const = 0;
  // The tiles in use, never 0.
  virtual TileSizes tiles() const = 0;
};

// Makes a backend; a strategy is given a factory, so that simulators can put in their own.
using BackendFactory = std::unique_ptr<AttentionBackend> (*)(const BackendConfig& config);

}  // namespace attention

#endif  // SRC_ATTENTION_ATTENTION_BACKEND_H_
