#include "src/simulate/simulated_backend.h"

#include "src/base/error.h"
#include "src/simulate/calibration.h"
#include "src/simulate/simulated_time.h"
#include "src/simulate/step_cost.h"

namespace attention {
namespace {

class SimulatedBackend : public AttentionBackend {
 public:
  explicit SimulatedBackend(const BackendConfig& config)
      : config_(config), calibration_(*CostsOfHost().kernels) {
    calibration_.RequireKind(KernelKind::Of(config));
  }

  std::string name() const override { return "simulated"; }
  size_t workspace_bytes() const override { return 0; }
  TileSizes tiles() const override {
    return {config_.tiles.q_block > 0 ? config_.tiles.q_block : 1,
            config_.tiles.kv_block > 0 ? config_.tiles.kv_block : 1};
  }

  // Without calls of step.progress: a simulated network moves messages by itself.
  void Accumulate(const AttentionStep& step) override {
    Require(RowOf(config_.algorithm).carries_state || !step.needs_carried_state(config_.kv_heads),
            Name(config_.algorithm), " needs all heads and all keys in one shard and one step");
    SpendSeconds(StepSeconds(calibration_, config_, step), StepBytes(config_, step));
  }

 private:
  BackendConfig config_;
  const Calibration& calibration_;
};

}  // namespace

std::unique_ptr<AttentionBackend> MakeSimulatedBackend(const BackendConfig& config) {
  return std::make_unique<SimulatedBackend>(config);
}

}  // namespace attention
