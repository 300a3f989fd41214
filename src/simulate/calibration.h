// What kernels cost on a core: measured seconds by shape, read from a file that write_calibration makes.
//
// The file is CSV; lines that begin with # are remarks. Columns:
//
//   work      what is done:
//             - full: a step that is first and last and sees all its keys. carried: neither first nor last,
//               sees all its keys. diagonal: first and last, causal, as many keys as queries
//             - copy, merge, finish: of a block, of two states, of a state
//             - norm, rotate, keep, activate, add: in a decoder, of rows; see MemoryWork
//             - product: of a linear layer, whose weights come from memory and not from a cache
//             A file may be without the last six, and is then for attention alone
//   algorithm, isa, dtype, threads, head_dim, group
//             of a step's kernel. A product has no algorithm, head_dim and group; the others have none of
//             these
//   queries   of a step: query rows of a head. Of a product: rows
//   keys      of a step: keys. Of a product: inputs
//   bytes     that SpendBytes takes; of steps and products: empty
//   seconds   of one run; of a step, per KV head; of a product, per output
//
// Few queries over keys of several heads, as decoding reads them: see kDecodedQueries.
#ifndef SRC_SIMULATE_CALIBRATION_H_
#define SRC_SIMULATE_CALIBRATION_H_

#include <array>
#include <compare>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "src/attention/attention_backend.h"
#include "src/simulate/simulated_time.h"

namespace attention {

// Steps of up to so many queries are bounded by reading keys and values, and are measured over kDecodedHeads
// KV heads at once: as many as a rank has that decodes, so that of long caches no more stays in the CPU's
// than there. With fewer heads on a rank, as under head-wise parallelism, more would.
inline constexpr int64_t kDecodedQueries = 16;
inline constexpr int64_t kDecodedHeads = 8;

enum class StepWork { kFull, kCarried, kDiagonal };
std::string_view Name(StepWork work);
std::string_view Name(MemoryWork work);
inline constexpr StepWork kAllStepWork[] = {StepWork::kFull, StepWork::kCarried, StepWork::kDiagonal};
inline constexpr MemoryWork kAllMemoryWork[] = {
    MemoryWork::kCopy,   MemoryWork::kMerge, MemoryWork::kFinish,   MemoryWork::kNorm,
    MemoryWork::kRotate, MemoryWork::kKeep,  MemoryWork::kActivate, MemoryWork::kAdd};
// Those of a decoder come last.
inline constexpr MemoryWork kFirstDecoderWork = MemoryWork::kNorm;

// Kernels of one kind, whose cost depends on lengths alone.
struct KernelKind {
  AttentionAlgorithm algorithm = AttentionAlgorithm::kOnlineSoftmax;
  Isa isa = Isa::kScalar;
  DataType data_type = DataType::kFloat32;
  int threads = 1;
  int64_t head_dim = 0;
  int64_t group_size = 0;

  static KernelKind Of(const BackendConfig& config);
  auto operator<=>(const KernelKind&) const = default;
};
std::string Name(const KernelKind& kind);
std::string Name(const ProductKind& kind);

class Calibration : public WorkCosts {
 public:
  static constexpr std::string_view kHeader =
      "work,algorithm,isa,dtype,threads,head_dim,group,queries,keys,bytes,seconds";

  // Throws Error (bad usage) "file:line: what is wrong". Every kind of kernel must have been measured at each
  // combination of its numbers of queries and keys.
  static Calibration Parse(const std::string& text, const std::string& file_name);

  // What may be as well: each kind of step of each algorithm, and each work in memory, slower or faster by a
  // factor of its own, whose logarithm has this standard deviation; whatever the lengths, heads and threads.
  // Products have one, too.
  // A core's speed is the platform's to draw. The same for the same draw (from 1 on); 0 is the calibration
  // itself.
  Calibration Drawn(double deviation, int draw) const;

  // Throws Error (bad usage), naming what there is, if the kernels were not measured.
  void RequireKind(const KernelKind& kind) const;
  // Likewise what a decoder does beside its attention.
  void RequireDecoder(const ProductKind& kind) const;

  // Of a step over one KV head, seconds for each visible pair of a query row and a key, per query head.
  // Between measured lengths: linear in the logarithms of lengths and rates. Outside: as at the border, but
  // for a diagonal longer than any that was measured: of diagonals of that length, and of full steps beside.
  double SecondsPerPair(const KernelKind& kind, StepWork work, double queries, double keys) const;
  // Likewise between measured sizes.
  double SecondsOf(MemoryWork work, int64_t bytes) const override;
  double SecondsOfProduct(const ProductKind& kind, int64_t rows, int64_t inputs,
                          int64_t outputs) const override;

 private:
  // Rates over lengths; log2 of each.
  struct Grid {
    std::vector<double> queries, keys;
    std::vector<double> rates;  // [queries][keys]

    double At(double queries, double keys) const;
  };
  using Points = std::map<std::pair<int64_t, int64_t>, double>;  // {queries, keys} or {bytes, 1} -> rate
  static Grid MakeGrid(const Points& points, const std::string& file_name, const std::string& what);

  std::map<std::pair<KernelKind, StepWork>, Grid> steps_;
  std::map<ProductKind, Grid> products_;  // over rows and inputs
  std::map<MemoryWork, Grid> memory_;
};

}  // namespace attention

#endif  // SRC_SIMULATE_CALIBRATION_H_
