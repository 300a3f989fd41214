#include <memory>
#include <span>
#include <vector>

#include "src/attention/attention_state.h"
#include "src/mpi/peers.h"
#include "src/parallel/exchanges/sequence_stage.h"
#include "src/parallel/exchanges/sequence_stages.h"
#include "src/parallel/exchanges/state_exchange.h"
#include "src/parallel/exchanges/tensor_buffer.h"

namespace attention {
namespace {

// K/V stay; queries travel to every rank, and partial states come back to be merged (flash-decoding across
// ranks). In step s a rank computes the partial state of rank r - s's
// queries over its own keys and sends it home; its own come first, while the others' queries arrive:
//
//   queries of r - s  ->  accumulate over own K/V  ->  (o, m, l) to rank r - s
//   partial states from all ranks -> merged in rank order 0, 1, ... P-1 -> output
//
// A reduce-scatter whose reduction is ours: the order of merging is fixed, so results do not depend on
// arrival. Traffic per rank, elements: batch * query heads * (S_r * (P - 1) * head_dim queries + (S - S_r) *
// (head_dim + 2) states). Less than the ring's only where K/V are bigger than queries and states: few
// queries, many keys.
class MergeStage : public SequenceStage {
 public:
  MergeStage(const AttentionPlan& plan, const SequenceLayout& layout, const Communicator& communicator);

  void Run(const ConstTensorView& q, const ConstTensorView& k, const ConstTensorView& v,
           const TensorView& output, RunParts parts) override;
  size_t workspace_bytes() const override;
  TileSizes tiles() const override { return kernel_.tiles(); }

 private:
  void MergeInRankOrder(const TensorView& output);

  AttentionProblem problem_;
  SequenceLayout layout_;
  const Communicator* communicator_;
  KernelRunner kernel_;
  // By rank: its queries; our partial state of its queries; its partial state of our queries.
  std::vector<TensorBuffer> queries_;
  std::vector<AttentionStateBuffer> computed_;
  std::vector<AttentionStateBuffer> received_;
};

MergeStage::MergeStage(const AttentionPlan& plan, const SequenceLayout& layout,
                       const Communicator& communicator)
    : problem_(plan.problem),
      layout_(layout),
      communicator_(&communicator),
      kernel_(plan, layout.heads, layout.max_queries(), layout.KeysOf(layout.rank)) {
  const int64_t heads = layout.heads.query.size();
  for (int r = 0; r < layout.size(); ++r) {
    const bool is_own = r == layout.rank;
    const int64_t tokens = layout.QueriesOf(r);
    queries_.emplace_back(problem_.data_type, QueryShape(problem_, heads, is_own ? 0 : tokens));
    computed_.emplace_back(problem_.batch, heads, tokens, problem_.head_dim);
    received_.emplace_back(problem_.batch, heads, is_own ? 0 : layout.QueriesOf(layout.rank),
                           problem_.head_dim);
  }
}

void MergeStage::Run(const ConstTensorView& q, const ConstTensorView& k, const ConstTensorView& v,
                     const TensorView& output, RunParts parts) {
  const int size = layout_.size();
  std::vector<RequestSet> arriving(static_cast<size_t>(size), RequestSet(*communicator_, parts.exchange));
  RequestSet homeward(*communicator_, parts.exchange);  // everything that nobody waits for until the end
  std::vector<RequestSet*> under_way = {&homeward};
  for (RequestSet& queries : arriving) under_way.push_back(&queries);
  ForEachPeer(layout_.rank, size, [&](int source, int destination) {
    arriving[static_cast<size_t>(source)].Receive({queries_[static_cast<size_t>(source)].view()}, source);
    homeward.Send({q}, destination);
  });
  for (int step = 0; step < size; ++step) {
    const size_t owner = static_cast<size_t>((layout_.rank - step + size) % size);
    arriving[owner].Wait("merge: queries", step);
    const ConstTensorView queries = step == 0 ? q : ConstTensorView(queries_[owner].view());
    const KeyValueShard own = {k, v, layout_.own_keys()};
    kernel_.Accumulate(parts,
                       {.query = {queries, layout_.queries[owner]},
                        .key_values = std::span(&own, 1),
                        .state = computed_[owner].view(),
                        .last = false},
                       under_way);
    if (step > 0) {
      // Our queries went to rank + step in that rank's step `step`: its state of them arrives in this order.
      const int helper = (layout_.rank + step) % size;
      ReceiveState(homeward, received_[static_cast<size_t>(helper)].view(), helper);
      SendState(homeward, computed_[owner].view(), static_cast<int>(owner));
    }
  }
  homeward.Wait("merge: states", size);
  if (parts.compute) MergeInRankOrder(output);
}

void MergeStage::MergeInRankOrder(const TensorView& output) {
  const size_t own = static_cast<size_t>(layout_.rank);
  const auto state_of = [&](size_t r) { return r == own ? computed_[r].view() : received_[r].view(); };
  const AttentionStateView total = state_of(0);
  for (size_t r = 1; r < received_.size(); ++r) MergeState(total, state_of(r));
  FinishState(total, output);
}

size_t MergeStage::workspace_bytes() const {
  size_t bytes = kernel_.workspace_bytes();
  for (const TensorBuffer& buffer : queries_) bytes += buffer.size_bytes();
  for (const AttentionStateBuffer& state : computed_) bytes += state.size_bytes();
  for (const AttentionStateBuffer& state : received_) bytes += state.size_bytes();
  return bytes;
}

}  // namespace

std::unique_ptr<SequenceStage> MakeMergeStage(const AttentionPlan& plan, const SequenceLayout& layout,
                                              const Communicator& communicator) {
  return std::make_unique<MergeStage>(plan, layout, communicator);
}

}  // namespace attention
