#include "peers/our_kernels.h"

#include <algorithm>
#include <chrono>
#include <vector>

#include "src/base/aligned_buffer.h"
#include "src/kernels/attention_kernel.h"

namespace attention::peers {
namespace {

BackendConfig ConfigFor(const Workload& w, AttentionAlgorithm algorithm) {
  BackendConfig config;
  config.algorithm = algorithm;
  config.isa = BestIsa();
  config.mask = w.causal ? Mask::Causal() : Mask::Full();
  config.heads.group_size = w.group_size();
  config.query_heads = w.query_heads;
  config.kv_heads = w.kv_heads;
  config.head_dim = w.head_dim;
  config.max_query_tokens = w.query_tokens;
  config.max_kv_tokens = w.kv_tokens;
  return config;
}

std::string Way(const BackendConfig& config, TileSizes tiles) {
  return std::string(Name(config.algorithm)) + ";" + std::string(Name(config.isa)) +
         ";q_block=" + std::to_string(tiles.q_block) + ";kv_block=" + std::to_string(tiles.kv_block);
}

class OurKernel : public Contestant {
 public:
  OurKernel(const std::string& name, const BackendConfig& config, std::unique_ptr<AttentionBackend> backend,
            const Problem& problem)
      : Contestant(name, Way(config, backend->tiles())),
        backend_(std::move(backend)),
        output_(static_cast<size_t>(problem.query_shape().elements()) * sizeof(float)) {
    const Workload& w = problem.workload();
    query_segments_ = {{0, w.kv_tokens - w.query_tokens, w.query_tokens}};
    key_segments_ = {{0, 0, w.kv_tokens}};
    step_.query = {problem.q_view(), query_segments_};
    key_values_ = {{problem.k_view(), problem.v_view(), key_segments_}};
    step_.key_values = key_values_;
    step_.output =
        HeadMajorView(static_cast<void*>(output_.data()), DataType::kFloat32, problem.query_shape());
  }

  double Run() override {
    const auto begin = std::chrono::steady_clock::now();
    backend_->Accumulate(step_);
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  }

  void ReadOutput(std::span<float> output) override {
    const std::span<const float> result = output_.As<float>();
    std::copy(result.begin(), result.end(), output.begin());
  }

 private:
  std::unique_ptr<AttentionBackend> backend_;
  AlignedBuffer output_;
  std::vector<TokenSegment> query_segments_, key_segments_;
  std::vector<KeyValueShard> key_values_;
  AttentionStep step_;
};

}  // namespace

Contestants MakeOurKernels(const Problem& problem) {
  Contestants all;
  for (const AttentionAlgorithm algorithm :
       {AttentionAlgorithm::kOnlineSoftmax, AttentionAlgorithm::kRowBlocked}) {
    const BackendConfig config = ConfigFor(problem.workload(), algorithm);
    const std::string name = algorithm == AttentionAlgorithm::kOnlineSoftmax ? "ours" : "ours_row_blocked";
    all.push_back(std::make_unique<OurKernel>(name, config, MakeAttentionKernel(config), problem));
  }
  return all;
}

}  // namespace attention::peers
