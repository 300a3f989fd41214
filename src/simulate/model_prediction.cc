#include "src/simulate/model_prediction.h"

#include <algorithm>
#include <vector>

#include "src/simulate/simulated_job.h"
#include "src/simulate/step_cost.h"

namespace attention {
namespace {

// Bytes whose copying says how fast a core moves blocks.
constexpr int64_t kCopiedBytes = 1 << 20;

class SimulatedProbe {
 public:
  SimulatedProbe(const Platform& platform, const Calibration& calibration, const Cell& cell)
      : platform_(platform), calibration_(calibration), cell_(cell) {
    const JobShape shape = {cell.ranks, cell.threads, cell.placement};
    const int per_node = RanksPerNode(platform, shape);
    for (int rank = 0; rank < cell.ranks; ++rank) node_of_rank_.push_back(rank / per_node);
    ranks_of_node_ = std::min(per_node, cell.ranks);
  }

  Machine MachineFor(const Variant& variant) const {
    Machine machine;
    machine.node_of_rank = node_of_rank_;
    machine.threads = cell_.threads;
    machine.rates.within_node = LinkOf(platform_.within_node, ranks_of_node_);
    machine.rates.across_nodes = LinkOf(platform_.network, 1);
    machine.rates.memory_bytes_per_second =
        kCopiedBytes * platform_.core_speed / calibration_.SecondsOf(MemoryWork::kCopy, kCopiedBytes);
    std::vector<KernelRate>& kernels = machine.rates.kernels;
    ForEachStep(
        cell_.problem, variant, cell_.contract, node_of_rank_, cell_.threads, [&](const KernelStep& step) {
          const bool is_known = std::any_of(kernels.begin(), kernels.end(),
                                            [&](const KernelRate& known) { return AreAlike(known, step); });
          if (!is_known) kernels.push_back(RateOf(step));
        });
    return machine;
  }

 private:
  static LinkRate LinkOf(const LinkSpeed& speed, int sharing) {
    return {speed.latency_seconds, speed.bytes_per_second / sharing, 0};
  }

  KernelRate RateOf(const KernelStep& step) const {
    BackendConfig config;
    config.algorithm = step.algorithm;
    config.isa = cell_.isa;
    config.data_type = cell_.problem.data_type;
    config.threads = cell_.threads;
    config.mask = cell_.problem.mask;
    config.heads.group_size = cell_.problem.group_size();
    config.batch = cell_.problem.batch;
    config.query_heads = step.query_heads;
    config.kv_heads = step.kv_heads;
    config.head_dim = cell_.problem.head_dim;
    const KeyValueShard keys = {{}, {}, step.keys};
    AttentionStep whole{.query = {{}, step.queries}, .key_values = {&keys, 1}};
    whole.first = whole.last = true;
    const double on_core = StepSeconds(calibration_, config, whole) / platform_.core_speed;
    const double memory = platform_.memory_bytes_per_second;
    const double through_memory = memory > 0 ? StepBytes(config, whole) * ranks_of_node_ / memory : 0;
    const double pairs = step.pairs * static_cast<double>(cell_.problem.batch * step.query_heads);
    return {step.algorithm,           step.rows(),
            step.key_count(),         step.density(),
            step.heads_per_kv_head(), pairs / std::max(on_core, through_memory)};
  }

  const Platform& platform_;
  const Calibration& calibration_;
  const Cell& cell_;
  std::vector<int> node_of_rank_;
  int ranks_of_node_ = 1;
};

}  // namespace

Prediction PredictOn(const Platform& platform, const Calibration& calibration, const Cell& cell,
                     const Variant& variant) {
  const SimulatedProbe probe(platform, calibration, cell);
  return Predict(cell.problem, variant, cell.contract, probe.MachineFor(variant));
}

}  // namespace attention
