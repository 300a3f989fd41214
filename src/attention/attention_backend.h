// The seam between strategies and kernels: what `src/parallel` asks of one rank's attention.
//
// Implementations: AttentionKernel (src/kernels/attention_kernel.h: the Highway kernels), ReferenceBackend
// (src/attention/reference_backend.h: float64, slow, written from the mathematics), and later a backend that
// only spends simulated time. Results say which one made them (name()).
#ifndef SRC_ATTENTION_ATTENTION_BACKEND_H_
#define SRC_ATTENTION_ATTENTION_BACKEND_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "src/attention/algorithm.h"
#include "src/attention/attention_step.h"
#include "src/attention/attention_types.h"
#include "src/attention/mask.h"
#include "src/simd/isa.h"

namespace attention {

// Most query rows, of all heads that share a KV head, of a step over int8 keys and values: kernels read them
// in the way for few rows alone (few_queries.h).
inline constexpr int64_t kMostInt8Columns = 8;

// What every step of one backend has in common; workspace is sized from it, once, outside anything timed.
struct BackendConfig {
  AttentionAlgorithm algorithm = AttentionAlgorithm::kOnlineSoftmax;
  Isa isa = Isa::kScalar;
  DataType data_type = DataType::kFloat32;
  // Of keys and values, if not data_type: int8 under float32 queries, for steps of few query rows.
  std::optional<DataType> kept_key_values = std::nullopt;
  int threads = 1;
  TileSizes tiles;
  Mask mask;
  float scale = 0;  // multiplies q.k; 0 = 1/sqrt(head_dim)

  HeadMapping heads;
  int64_t batch = 1;
  int64_t query_heads = 1;  // of this rank
  int64_t kv_heads = 1;     // of this rank
  int64_t head_dim = 128;   // 1 to kMaxHeadDim
  // Upper bounds over all steps, for the workspace.
  int64_t max_query_tokens = 0;
  int64_t max_kv_tokens = 0;

  DataType key_value_type() const { return kept_key_values.value_or(data_type); }
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
