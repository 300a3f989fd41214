#include "src/qwen3/decoder/model.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <utility>

#include "src/base/error.h"
#include "src/mpi/agreement.h"
#include "src/mpi/request_set.h"
#include "src/parallel/partition/token_dealing.h"
#include "src/qwen3/decoder/logit_sums.h"
#include "src/qwen3/decoder/rank_collectives.h"
#include "src/qwen3/decoder/window_cache.h"

namespace attention {
bool Qwen3Model::deals_tokens() const {
  return options_.variant.strategy == ParallelStrategy::kSequence && last_ != nullptr &&
         last_->shape.phase == Phase::kPrefill;
}

Qwen3Model::Qwen3Model(Communicator& communicator, std::shared_ptr<const ModelStorage> storage,
                       const ModelOptions& options)
    : communicator_(&communicator),
      storage_(std::move(storage)),
      config_(storage_->config()),
      options_(options),
      rotary_(std::max<int64_t>(1, options.max_tokens), config_.head_dim, config_.rope_theta,
              config_.rope_scaling),
      last_linear_(options.execution.isa, options.execution.threads, options.batch, config_.hidden_size,
                   options.precision.activations) {
  // `balanced` deals by the mask, so layers that slide would have other tokens than causal ones. These it
  // balances as zigzag does.
  if (config_.slides() && options.variant.sharding == Sharding::kBalanced) {
    options_.variant.sharding = Sharding::kZigzag;
  }
  AgreeOnErrors(communicator, [&] {
    Require(options.batch >= 1 && options.max_tokens >= 1, "model: batch ", options.batch, ", max tokens ",
            options.max_tokens);
    const ParallelStrategy strategy = options.variant.strategy;
    Require(storage_->strategy() == strategy || communicator.size() == 1, "model: weights are stored for ",
            Name(storage_->strategy()));
    const WeightShare share = StoredWeights(config_, strategy, communicator.size(), communicator.rank());
    for (int64_t layer = 0; layer < config_.layers; ++layer) {
      caches_.emplace_back(options.batch, share.heads.kv.size(),
                           CacheTokens(strategy, options.max_tokens, communicator.size()), config_.head_dim,
                           options.precision.kv_cache);
    }
    if (config_.slides()) {
      window_scratch_.emplace(options.batch, share.heads.kv.size(),
                              std::min(caches_.front().capacity(), config_.sliding_window), config_.head_dim,
                              options.precision.kv_cache);
    }
    last_hidden_.resize(static_cast<size_t>(options.batch * config_.hidden_size));
    logits_.resize(static_cast<size_t>(options.batch * config_.vocabulary_size));
  });
  decode_ =
      std::make_unique<Step>(communicator, config_, options_, rotary_,
                             StepShape{options.batch, 1, options.max_tokens, Phase::kDecode, Mask::Causal()});
}

Qwen3Model::Step::Step(Communicator& communicator, const Qwen3Config& config, const ModelOptions& options,
                       const RotaryTable& rotary, const StepShape& step_shape)
    : shape(step_shape),
      decoder(communicator, config, options.variant, options.execution, rotary, shape, options.precision),
      embedding_sum(communicator, shape.batch * shape.query_tokens * config.hidden_size),
      embedded(static_cast<size_t>(shape.batch * shape.query_tokens * config.hidden_size) * sizeof(float)),
      hidden(static_cast<size_t>(decoder.rows() * config.hidden_size) * sizeof(float)) {}

void Qwen3Model::Embed(std::span<const int64_t> ids) {
  const int64_t hidden = config_.hidden_size, rows = static_cast<int64_t>(ids.size());
  const IndexRange own = Vocabulary(communicator_->rank());
  float* embedded = last_->embedded.As<float>().data();
  std::fill_n(embedded, rows * hidden, 0.0f);
  for (int64_t row = 0; row < rows; ++row) {
    const int64_t id = ids[static_cast<size_t>(row)];
    Require(id >= 0 && id < config_.vocabulary_size, "token id ", id, " is not in the vocabulary of ",
            config_.vocabulary_size);
    if (id < own.begin || id >= own.end) continue;
    storage_->embedding().ReadRow(id - own.begin, {embedded + row * hidden, static_cast<size_t>(hidden)});
  }
  // Every row is nonzero on one rank only: the sum is exact.
  last_->embedding_sum.Run(embedded, rows * hidden);
  float* mine = last_->hidden.As<float>().data();
  if (!deals_tokens()) {
    std::copy_n(embedded, rows * hidden, mine);
    return;
  }
  CopyShareOfRows({options_.batch, rows / options_.batch, hidden, options_.variant.sharding, PrefillMask()},
                  last_->decoder.tokens(), embedded, mine);
}

void Qwen3Model::Run(std::span<const int64_t> ids) {
  Embed(ids);
  for (size_t layer = 0; layer < caches_.size(); ++layer) {
    last_->decoder.Layer(storage_->layers()[layer].view(), caches_[layer], last_->hidden.As<float>().data(),
                         config_.layer_type(static_cast<int64_t>(layer)));
  }
}

void Qwen3Model::Prefill(std::span<const int64_t> ids) {
  const int64_t count = static_cast<int64_t>(ids.size()), tokens = count / options_.batch;
  Require(count > 0 && count == tokens * options_.batch && tokens <= options_.max_tokens, "prefill: ", count,
          " ids for batch ", options_.batch, " and at most ", options_.max_tokens, " tokens");
  const StepShape shape{options_.batch, tokens, tokens, Phase::kPrefill, PrefillMask()};
  if (prefill_ == nullptr || !(prefill_->shape == shape)) {
    last_ = nullptr;
    prefill_.reset();
    prefill_ = std::make_unique<Step>(*communicator_, config_, options_, rotary_, shape);
  }
  last_ = prefill_.get();
  Run(ids);
  tokens_ = tokens;
}

void Qwen3Model::FillCache(const SyntheticCache& cached) {
  Require(cached.tokens > 0 && cached.tokens < options_.max_tokens && cached.batch == options_.batch,
          "model: a cache of ", cached.tokens, " tokens and batch ", cached.batch, "; room for ",
          options_.max_tokens, " and ", options_.batch);
  const IndexRange heads =
      StoredWeights(config_, options_.variant.strategy, communicator_->size(), communicator_->rank())
          .heads.kv;
  decode_->decoder.SetKvTokens(cached.tokens + 1);
  for (size_t layer = 0; layer < caches_.size(); ++layer) {
    cached.Fill(static_cast<int64_t>(layer), heads, decode_->decoder.cached_tokens(),
                options_.execution.threads, caches_[layer]);
  }
  const bool deals = options_.variant.strategy == ParallelStrategy::kSequence;
  KeepWindows(
      DealTokens(Mask::Causal(), cached.tokens, Sharding::kContiguous, deals ? communicator_->size() : 1));
  last_ = nullptr;
  tokens_ = cached.tokens;
}

void Qwen3Model::Decode(std::span<const int64_t> ids) {
  Require(static_cast<int64_t>(ids.size()) == options_.batch && tokens_ > 0 && tokens_ < options_.max_tokens,
          "decode: ", ids.size(), " ids for batch ", options_.batch, " after ", tokens_, " of at most ",
          options_.max_tokens, " tokens");
  Require(config_.is_causal, "decode: keys and values of a model that sees both ways change with each token");
  if (last_ != nullptr && last_->shape.phase == Phase::kPrefill) {
    const std::vector<TokenSegments> shares =
        deals_tokens() ? Dealt(tokens_) : std::vector<TokenSegments>{AllTokens(tokens_)};
    if (deals_tokens()) BalanceCaches(shares);
    KeepWindows(shares);
  }
  last_ = decode_.get();
  last_->decoder.SetKvTokens(tokens_ + 1);
  last_->shape.kv_tokens = tokens_ + 1;
  Run(ids);
  ++tokens_;
}

void Qwen3Model::Rewind() {
  Require(last_ == decode_.get() && tokens_ == last_->shape.kv_tokens, "rewind: nothing was decoded last");
  --tokens_;
}

std::vector<TokenSegments> Qwen3Model::Dealt(int64_t tokens) const {
  return DealTokens(PrefillMask(), tokens, options_.variant.sharding, communicator_->size());
}

// A zigzag prompt may leave a token too many on some ranks and one too few on others, compared with the even
// share that decoding counts on. Which tokens a rank has does not matter to a decoded one, so
// the last local token of each rank with one too many moves to the next with one too few.
void Qwen3Model::BalanceCaches(const std::vector<TokenSegments>& shares) {
  const int size = communicator_->size(), rank = communicator_->rank();
  const auto held = [&](int r) { return TokenCount(shares[static_cast<size_t>(r)]); };
  const auto wanted = [&](int r) { return BalancedRange(tokens_, size, r).size(); };
  int receiver = 0;
  for (int sender = 0; sender < size; ++sender) {
    if (held(sender) <= wanted(sender)) continue;
    while (held(receiver) >= wanted(receiver)) ++receiver;
    RequestSet requests(*communicator_);
    for (size_t layer = 0; layer < caches_.size(); ++layer) {
      if (slides(layer)) continue;
      KeyValueCache& cache = caches_[layer];
      if (rank == sender) {
        requests.Send(
            {cache.keys().SliceTokens(held(sender) - 1, 1), cache.values().SliceTokens(held(sender) - 1, 1)},
            receiver);
      }
      if (rank == receiver) {
        requests.Receive(
            {cache.keys().SliceTokens(held(receiver), 1), cache.values().SliceTokens(held(receiver), 1)},
            sender);
      }
    }
    requests.Wait("balancing the K/V cache", sender);
    ++receiver;
  }
}

void Qwen3Model::KeepWindows(const std::vector<TokenSegments>& shares) {
  if (!config_.slides()) return;
  const int own = shares.size() == 1 ? 0 : communicator_->rank();
  for (size_t layer = 0; layer < caches_.size(); ++layer) {
    if (!slides(layer)) continue;
    KeepWindow(*communicator_, shares, own, config_.sliding_window, caches_[layer], *window_scratch_);
  }
}

void Qwen3Model::FindLastHidden() {
  Require(last_ != nullptr, "model: logits are asked for before anything ran");
  const int64_t hidden = config_.hidden_size, local = TokenCount(last_->decoder.tokens());
  const int64_t tokens = last_->shape.query_tokens;
  int owner = -1;
  if (deals_tokens()) {
    const std::vector<TokenSegments> shares = Dealt(tokens);
    for (int r = 0; r < communicator_->size(); ++r) {
      const TokenSegments& share = shares[static_cast<size_t>(r)];
      if (!share.empty() && share.back().global_begin + share.back().length == tokens) owner = r;
    }
  }
  if (owner == -1 || owner == communicator_->rank()) {
    for (int64_t b = 0; b < options_.batch; ++b) {
      std::copy_n(last_->hidden.As<float>().data() + ((b + 1) * local - 1) * hidden, hidden,
                  last_hidden_.data() + b * hidden);
    }
  }
  if (owner != -1) BroadcastFloats(*communicator_, owner, last_hidden_.data(), options_.batch * hidden);
}

void Qwen3Model::OwnLogits(Linear& linear, float* hidden, int64_t rows, float* logits) {
  const int64_t width = config_.hidden_size;
  Require(config_.has_lm_head, "model: logits of a model without LM head");
  last_->decoder.Norm(hidden, storage_->final_norm(), rows, hidden);
  linear.Run({hidden, rows, width}, storage_->lm_head().view(), Store::kOverwrite,
             {logits + Vocabulary(communicator_->rank()).begin, rows, config_.vocabulary_size});
}

void Qwen3Model::OwnLastLogits() {
  FindLastHidden();
  OwnLogits(last_linear_, last_hidden_.data(), options_.batch, logits_.data());
}

std::vector<float> Qwen3Model::LastTokenLogits() {
  OwnLastLogits();
  GatherColumns(*communicator_, {logits_.data(), options_.batch, config_.vocabulary_size},
                [&](int rank) { return Vocabulary(rank); });
  return logits_;
}

std::vector<float> Qwen3Model::AllHidden() {
  Require(last_ != nullptr, "model: logits are asked for before anything ran");
  const StepShape& shape = last_->shape;
  const std::span<const float> hidden = last_->hidden.As<float>();
  std::vector<float> whole(static_cast<size_t>(options_.batch * shape.query_tokens * config_.hidden_size));
  if (deals_tokens()) {
    GatherTokens(
        *communicator_,
        {options_.batch, shape.query_tokens, config_.hidden_size, options_.variant.sharding, PrefillMask()},
        hidden.data(), whole.data());
  } else {
    std::ranges::copy(hidden, whole.begin());
  }
  return whole;
}

std::vector<float> Qwen3Model::AllTokenLogits() {
  std::vector<float> whole = AllHidden();
  const int64_t rows = static_cast<int64_t>(whole.size()) / config_.hidden_size;
  std::vector<float> logits(static_cast<size_t>(rows * config_.vocabulary_size));
  Linear linear(options_.execution.isa, options_.execution.threads, rows, config_.hidden_size,
                options_.precision.activations);
  OwnLogits(linear, whole.data(), rows, logits.data());
  GatherColumns(*communicator_, {logits.data(), rows, config_.vocabulary_size},
                [&](int rank) { return Vocabulary(rank); });
  return logits;
}

std::vector<float> Qwen3Model::PooledHidden(Pooling pooling) {
  const int64_t width = config_.hidden_size;
  if (pooling == Pooling::kLastToken) {
    FindLastHidden();
    last_->decoder.Norm(last_hidden_.data(), storage_->final_norm(), options_.batch, last_hidden_.data());
    return last_hidden_;
  }
  std::vector<float> whole = AllHidden();
  const int64_t tokens = last_->shape.query_tokens;
  last_->decoder.Norm(whole.data(), storage_->final_norm(), options_.batch * tokens, whole.data());
  std::vector<float> result;
  for (int64_t b = 0; b < options_.batch; ++b) {
    for (int64_t column = 0; column < width; ++column) {
      double sum = 0;
      for (int64_t t = 0; t < tokens; ++t) sum += whole[(b * tokens + t) * width + column];
      result.push_back(static_cast<float>(sum / static_cast<double>(tokens)));
    }
  }
  return result;
}

std::vector<double> Qwen3Model::NextTokenLogProbabilities(std::span<const int64_t> ids) {
  Require(last_ != nullptr && last_ == prefill_.get() && options_.batch == 1 &&
              static_cast<int64_t>(ids.size()) == tokens_,
          "model: probabilities of ", ids.size(), " tokens are asked for, ", tokens_, " were prefilled");
  // So many rows of logits at a time: of all there would be gigabytes.
  constexpr int64_t kRows = 64;
  std::vector<float> hidden = AllHidden();
  std::vector<float> logits(static_cast<size_t>(kRows * config_.vocabulary_size));
  Linear linear(options_.execution.isa, options_.execution.threads, kRows, config_.hidden_size,
                options_.precision.activations);
  const IndexRange own = Vocabulary(communicator_->rank());
  std::vector<double> result;
  for (int64_t begin = 0; begin + 1 < tokens_; begin += kRows) {
    const int64_t rows = std::min(kRows, tokens_ - 1 - begin);
    OwnLogits(linear, hidden.data() + begin * config_.hidden_size, rows, logits.data());
    std::vector<LogitSums> sums(static_cast<size_t>(rows));
    for (int64_t row = 0; row < rows; ++row) {
      const float* values = logits.data() + row * config_.vocabulary_size;
      sums[static_cast<size_t>(row)] = SumLogits({values + own.begin, static_cast<size_t>(own.size())},
                                                 ids[static_cast<size_t>(begin + row + 1)] - own.begin);
    }
    MergeOverRanks(*communicator_, sums);
    for (const LogitSums& sum : sums) {
      if (!std::isfinite(sum.sum)) Fail("model: logits of a text are not finite; it has no probability");
      result.push_back(sum.target - sum.largest - std::log(sum.sum));
    }
  }
  return result;
}

std::vector<int64_t> Qwen3Model::GreedyNextTokens() {
  const int size = communicator_->size(), rank = communicator_->rank();
  const IndexRange own = Vocabulary(rank);
  OwnLastLogits();
  // Each rank's best logit and its id, gathered.
  std::vector<float> best(static_cast<size_t>(options_.batch * 2 * size), 0.0f);
  for (int64_t b = 0; b < options_.batch && own.size() > 0; ++b) {
    const float* row = logits_.data() + b * config_.vocabulary_size;
    const float* largest = std::max_element(row + own.begin, row + own.end);
    // Whatever NaN is compared with, it is not larger: it would be passed over, or win as the first.
    const bool finite = std::all_of(row + own.begin, row + own.end, [](float x) { return std::isfinite(x); });
    best[b * 2 * size + 2 * rank] = finite ? *largest : std::numeric_limits<float>::quiet_NaN();
    best[b * 2 * size + 2 * rank + 1] = static_cast<float>(largest - row);
  }
  GatherColumns(*communicator_, {best.data(), options_.batch, int64_t{2} * size}, [](int r) {
    return IndexRange{2 * r, 2 * r + 2};
  });
  std::vector<int64_t> tokens;
  for (int64_t b = 0; b < options_.batch; ++b) {
    int winner = 0;  // rank 0 always has some of the vocabulary
    for (int r = 0; r < size; ++r) {
      // Gathered: the same on every rank, so that all of them throw.
      if (!std::isfinite(best[b * 2 * size + 2 * r])) {
        Fail("model: logits after ", tokens_, " tokens are not finite; there is no next token");
      }
      if (Vocabulary(r).size() > 0 && best[b * 2 * size + 2 * r] > best[b * 2 * size + 2 * winner])
        winner = r;
    }
    tokens.push_back(static_cast<int64_t>(best[b * 2 * size + 2 * winner + 1]));
  }
  return tokens;
}

std::vector<int64_t> Qwen3Model::Generate(std::span<const int64_t> prompt, int64_t count) {
  std::vector<int64_t> generated(static_cast<size_t>(options_.batch * count));
  Prefill(prompt);
  for (int64_t i = 0; i < count; ++i) {
    const std::vector<int64_t> next = GreedyNextTokens();
    for (int64_t b = 0; b < options_.batch; ++b) generated[b * count + i] = next[b];
    if (i + 1 < count) Decode(next);
  }
  return generated;
}

size_t Qwen3Model::workspace_bytes() const {
  size_t bytes = last_linear_.workspace_bytes() + (last_hidden_.size() + logits_.size()) * sizeof(float);
  for (const KeyValueCache& cache : caches_) bytes += cache.size_bytes();
  if (window_scratch_) bytes += window_scratch_->size_bytes();
  for (const Step* step : {prefill_.get(), decode_.get()}) {
    if (step == nullptr) continue;
    bytes += step->decoder.workspace_bytes() + step->embedding_sum.workspace_bytes() +
             step->embedded.size_bytes() + step->hidden.size_bytes();
  }
  return bytes;
}

}  // namespace attention
