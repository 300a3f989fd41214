#include "src/experiment/workload/decoder_workload.h"

#include <algorithm>
#include <limits>
#include <utility>
#include <vector>

#include "src/mpi/agreement.h"
#include "src/parallel/partition/partition.h"
#include "src/qwen3/decoder/decoder_inputs.h"
#include "src/qwen3/decoder/decoder_step.h"
#include "src/qwen3/decoder/model.h"

namespace attention {
namespace {

ExecutionOptions Execution(const Cell& cell, BackendFactory backend) {
  return {cell.isa, cell.threads, backend, true};
}

// Bytes this rank sends in one call.
template <typename Function>
int64_t BytesSent(const Communicator& communicator, const Function& function) {
  const int64_t before = communicator.traffic().bytes_sent;
  function();
  return communicator.traffic().bytes_sent - before;
}

class LayerWorkload : public Workload {
 public:
  LayerWorkload(Communicator& communicator, const Cell& cell, const Case& made, BackendFactory backend,
                const CellWeights& weights)
      : cell_(cell),
        config_(ConfigOf(cell)),
        share_(StoredWeights(config_, made.variant.strategy, communicator.size(), communicator.rank())),
        rotary_(cell.seq_len, config_.head_dim, config_.rope_theta, config_.rope_scaling),
        step_(communicator, config_, made.variant, Execution(cell, backend), rotary_,
              {cell.problem.batch, cell.problem.query_tokens, cell.seq_len, cell.phase, cell.problem.mask},
              cell.precision),
        output_shard_{0, 1, step_.tokens()} {
    AgreeOnErrors(communicator, [&] {
      storage_ = std::make_unique<LayerStorage>(weights.source(), "model.layers.0.", config_, share_,
                                                cell.problem.data_type, cell.threads);
      cache_ = std::make_unique<KeyValueCache>(
          cell.problem.batch, share_.heads.kv.size(),
          std::max(CacheTokens(made.variant.strategy, cell.seq_len, communicator.size()),
                   TokenCount(step_.tokens())),
          config_.head_dim, cell.precision.kv_cache);
      input_ = HiddenRows(step_.tokens());
      output_.resize(input_.size());
    });
    if (const std::optional<SyntheticCache> cached = CachedTokensOf(cell, config_)) {
      AgreeOnErrors(communicator,
                    [&] { cached->Fill(0, share_.heads.kv, step_.cached_tokens(), cell.threads, *cache_); });
    }
    comm_bytes_ = BytesSent(communicator, [&] { Run(); });
  }

  void Run() override {
    const LayerWeights weights = storage_->view();
    if (cell_.scope == Scope::kBlock) {
      step_.Attention(weights.attention, input_.data(), *cache_, Store::kOverwrite, output_.data());
      return;
    }
    // A layer works in place; the copy that makes it repeatable is less than 1 % of it.
    std::copy(input_.begin(), input_.end(), output_.begin());
    step_.Layer(weights, *cache_, output_.data());
  }

  void PoisonOutput() override { std::ranges::fill(output_, std::numeric_limits<float>::quiet_NaN()); }
  ConstTensorView output() override {
    const TensorShape shape{cell_.problem.batch, 1, output_shard_.local_tokens(), config_.hidden_size};
    return HeadMajorView(static_cast<const void*>(output_.data()), DataType::kFloat32, shape);
  }
  const TensorShard& output_shard() const override { return output_shard_; }
  int64_t comm_bytes() const override { return comm_bytes_; }
  int64_t workspace_bytes() const override {
    return static_cast<int64_t>(step_.workspace_bytes() + cache_->size_bytes());
  }
  int64_t input_bytes() const override {
    return static_cast<int64_t>(storage_->size_bytes() + input_.size() * sizeof(float));
  }
  TileSizes tiles() const override { return step_.attention().tiles(); }

 private:
  std::vector<float> HiddenRows(const TokenSegments& tokens) const {
    const int64_t width = config_.hidden_size, local = TokenCount(tokens);
    std::vector<float> rows(static_cast<size_t>(cell_.problem.batch * local * width));
    for (int64_t b = 0; b < cell_.problem.batch; ++b) {
      for (const TokenSegment& segment : tokens) {
        for (int64_t t = 0; t < segment.length; ++t) {
          float* row = rows.data() + (b * local + segment.local_begin + t) * width;
          FillHiddenRow(cell_.seed, b * cell_.seq_len + segment.global_begin + t,
                        {row, static_cast<size_t>(width)});
        }
      }
    }
    return rows;
  }

  const Cell& cell_;
  Qwen3Config config_;
  WeightShare share_;
  RotaryTable rotary_;
  DecoderStep step_;
  TensorShard output_shard_;
  std::unique_ptr<LayerStorage> storage_;
  std::unique_ptr<KeyValueCache> cache_;
  std::vector<float> input_, output_;
  int64_t comm_bytes_ = 0;
};

class ModelWorkload : public Workload {
 public:
  ModelWorkload(Communicator& communicator, const Cell& cell, const Case& made, BackendFactory backend,
                CellWeights& weights)
      : cell_(cell),
        model_(communicator, weights.Model(communicator, made.variant.strategy),
               {made.variant, Execution(cell, backend), cell.problem.batch, cell.seq_len, cell.precision}),
        output_shard_{0, 1, {{0, cell.seq_len - 1, 1}}} {
    const bool decodes = cell.phase == Phase::kDecode;
    for (int64_t b = 0; b < cell.problem.batch; ++b) {
      for (int64_t t = decodes ? cell.seq_len - 1 : 0; t < cell.seq_len; ++t) {
        ids_.push_back(SeededTokenId(cell.seed, b * cell.seq_len + t, model_.config().vocabulary_size));
      }
    }
    if (decodes) {
      model_.FillCache(*CachedTokensOf(cell, model_.config()));
      model_.Decode(ids_);
    }
    comm_bytes_ = BytesSent(communicator, [&] { Run(); });
  }

  void Run() override {
    if (cell_.phase == Phase::kDecode) {
      model_.Rewind();
      model_.Decode(ids_);
    } else {
      model_.Prefill(ids_);
    }
    next_ = model_.GreedyNextTokens();
  }

  void PoisonOutput() override { logits_.clear(); }
  ConstTensorView output() override {
    logits_ = model_.LastTokenLogits();
    const TensorShape shape{cell_.problem.batch, 1, 1, model_.config().vocabulary_size};
    return HeadMajorView(static_cast<const void*>(logits_.data()), DataType::kFloat32, shape);
  }
  const TensorShard& output_shard() const override { return output_shard_; }
  int64_t comm_bytes() const override { return comm_bytes_; }
  int64_t workspace_bytes() const override { return static_cast<int64_t>(model_.workspace_bytes()); }
  int64_t input_bytes() const override { return model_.weight_bytes(); }
  TileSizes tiles() const override { return model_.tiles(); }

 private:
  const Cell& cell_;
  Qwen3Model model_;
  TensorShard output_shard_;
  std::vector<int64_t> ids_, next_;
  std::vector<float> logits_;
  int64_t comm_bytes_ = 0;
};

}  // namespace

CellWeights::CellWeights(const Cell& cell, LoadingProgress progress)
    : type_(cell.problem.data_type),
      threads_(cell.threads),
      config_(cell.weights != nullptr ? cell.weights->config : Qwen3Config::FromShape(cell.model)),
      source_(cell.weights != nullptr ? cell.weights->source : MakeSyntheticSource(cell.seed)),
      progress_(std::move(progress)) {}

std::shared_ptr<const ModelStorage> CellWeights::Model(const Communicator& communicator,
                                                       ParallelStrategy strategy) {
  // One rank owns everything under any strategy.
  if (communicator.size() == 1) strategy = ParallelStrategy::kHeadwise;
  std::shared_ptr<const ModelStorage>& model = models_[strategy];
  if (model == nullptr)
    model = ModelStorage::Load(communicator, config_, *source_, {strategy, type_, threads_, progress_});
  return model;
}

std::optional<SyntheticCache> CachedTokensOf(const Cell& cell, const Qwen3Config& config) {
  if (cell.phase != Phase::kDecode || cell.seq_len < 2) return std::nullopt;
  return SyntheticCache{cell.seed, cell.problem.batch, cell.seq_len - 1, config.kv_heads, config.head_dim};
}

std::unique_ptr<Workload> MakeDecoderWorkload(Communicator& communicator, const Cell& cell, const Case& made,
                                              BackendFactory backend, CellWeights& weights) {
  if (cell.scope == Scope::kModel) {
    return std::make_unique<ModelWorkload>(communicator, cell, made, backend, weights);
  }
  return std::make_unique<LayerWorkload>(communicator, cell, made, backend, weights);
}

}  // namespace attention
