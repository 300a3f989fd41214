#include <algorithm>
#include <memory>
#include <span>
#include <vector>

#include "src/attention/attention_state.h"
#include "src/mpi/peers.h"
#include "src/parallel/exchanges/key_gather.h"
#include "src/parallel/exchanges/sequence_stage.h"
#include "src/parallel/exchanges/sequence_stages.h"
#include "src/parallel/exchanges/state_exchange.h"
#include "src/parallel/exchanges/tensor_buffer.h"
#include "src/parallel/partition/key_travel.h"
#include "src/parallel/partition/mesh.h"

namespace attention {
namespace {

// Tiles of queries and keys (Mesh-Attention, Chen et al. 2025). Six ranks as two rows of three:
//
//                        keys of    0, 3   1, 4   2, 5
//   queries of 0, 1, 2              r0     r1     r2
//   queries of 3, 4, 5              r3     r4     r5
//
// r0 has the queries of 0, 1, 2 and the keys and values of 0 and 3.
//
// Queries go along rows, keys and values along columns, as far as some query of the reader's row sees them;
// each rank makes a partial state of every query of its row over the keys of its column, and sends it home
// along the row, where states are merged in the order of ranks. One row is sequence(merge), one column
// sequence(allgather). Traffic per rank, elements of a token, without a mask: (columns - 1) * (2 * head_dim +
// 2) * query heads and (rows - 1) * 2 * head_dim * KV heads, so that of P ranks about 2 sqrt(P) parts travel
// where a ring has P; the mesh is chosen by these bytes (partition/mesh.h).
//
// The rank's own tile of queries and keys is computed while everything arrives, then others' queries over its
// own keys, then what came along the column: others' queries first, whose states travel home behind the own
// ones'.
class MeshStage : public SequenceStage {
 public:
  MeshStage(const AttentionPlan& plan, const SequenceLayout& layout, const Communicator& communicator);

  void Run(const ConstTensorView& q, const ConstTensorView& k, const ConstTensorView& v,
           const TensorView& output, RunParts parts) override;
  size_t workspace_bytes() const override;
  TileSizes tiles() const override { return kernel_.tiles(); }

 private:
  // Of one rank of the row.
  struct RowMember {
    int rank = 0;
    TensorBuffer queries;           // of another rank
    AttentionStateBuffer computed;  // of its queries, over the column's keys
    AttentionStateBuffer received;  // of our queries, over its column's keys; of another rank
  };

  void StartQueries(const ConstTensorView& q, std::vector<RequestSet>& arriving, RequestSet& leaving);
  void MergeInRankOrder(const TensorView& output);
  bool is_own(const RowMember& member) const { return member.rank == layout_.rank; }
  int own_column() const { return layout_.rank % mesh_.columns; }
  SequenceLayout layout_;
  const Communicator* communicator_;
  Mesh mesh_;
  KeyGather gather_;  // of the others of the column
  KernelRunner kernel_;
  std::vector<RowMember> row_;
};

int64_t MostQueries(const SequenceLayout& layout, const std::vector<int>& members) {
  int64_t most = 0;
  for (int member : members) most = std::max(most, layout.QueriesOf(member));
  return most;
}

// What the rank's row sees of the keys of the others of its column, and their rows of its own.
KeyGather::Travel TravelOf(const SequenceLayout& layout, const Mask& mask, const Mesh& mesh) {
  KeyGather::Travel travel;
  travel.ranks = mesh.ColumnOf(layout.rank);
  travel.own_place = layout.rank / mesh.columns;
  travel.own_keys = layout.own_keys();
  const std::vector<int> row = mesh.RowOf(layout.rank);
  for (int other : travel.ranks) {
    const bool is_own = other == layout.rank;
    travel.from.push_back(is_own ? TokenSegments() : KeysSeenByAny(layout, mask, other, row));
    travel.to.push_back(is_own ? TokenSegments()
                               : KeysSeenByAny(layout, mask, layout.rank, mesh.RowOf(other)));
  }
  return travel;
}

MeshStage::MeshStage(const AttentionPlan& plan, const SequenceLayout& layout,
                     const Communicator& communicator)
    : layout_(layout),
      communicator_(&communicator),
      mesh_(Mesh::Of(plan.problem, layout.heads, layout.size())),
      gather_(plan.problem, layout.heads.kv.size(), TravelOf(layout, plan.problem.mask, mesh_)),
      kernel_(plan, layout.heads, MostQueries(layout, mesh_.RowOf(layout.rank)),
              std::max(layout.KeysOf(layout.rank), TokenCount(gather_.tokens()))) {
  const AttentionProblem& problem = plan.problem;
  const int64_t heads = layout.heads.query.size();
  const auto state_of = [&](int64_t tokens) {
    return AttentionStateBuffer(problem.batch, heads, tokens, problem.head_dim);
  };
  for (int rank : mesh_.RowOf(layout.rank)) {
    const bool own = rank == layout.rank;
    const int64_t tokens = layout.QueriesOf(rank);
    row_.push_back({rank, TensorBuffer(problem.data_type, QueryShape(problem, heads, own ? 0 : tokens)),
                    state_of(tokens), state_of(own ? 0 : layout.QueriesOf(layout.rank))});
  }
}

void MeshStage::StartQueries(const ConstTensorView& q, std::vector<RequestSet>& arriving,
                             RequestSet& leaving) {
  ForEachPeer(own_column(), mesh_.columns, [&](int source, int destination) {
    const auto from = static_cast<size_t>(source), to = static_cast<size_t>(destination);
    arriving[from].Receive({row_[from].queries.view()}, row_[from].rank);
    leaving.Send({q}, row_[to].rank);
  });
}

void MeshStage::Run(const ConstTensorView& q, const ConstTensorView& k, const ConstTensorView& v,
                    const TensorView& output, RunParts parts) {
  std::vector<RequestSet> queries(row_.size(), RequestSet(*communicator_, parts.exchange));
  RequestSet keys(*communicator_, parts.exchange), homeward(*communicator_, parts.exchange);
  std::vector<RequestSet*> under_way = {&keys, &homeward};
  for (RequestSet& set : queries) under_way.push_back(&set);
  StartQueries(q, queries, homeward);
  gather_.Start(k, v, keys, homeward);

  const KeyValueShard own = {k, v, layout_.own_keys()};
  const KeyValueShard gathered = gather_.gathered();
  const auto accumulate = [&](const RowMember& member, const KeyValueShard& shard, bool first) {
    if (!first && shard.segments.empty()) return;
    const ConstTensorView view = is_own(member) ? q : ConstTensorView(member.queries.view());
    kernel_.Accumulate(parts,
                       {.query = {view, layout_.queries[static_cast<size_t>(member.rank)]},
                        .key_values = std::span(&shard, 1),
                        .state = member.computed.view(),
                        .first = first,
                        .last = false},
                       under_way);
  };
  const RowMember& here = row_[static_cast<size_t>(own_column())];
  accumulate(here, own, true);
  // Each rank begins with another's, as they were sent.
  ForEachPeer(own_column(), mesh_.columns, [&](int source, int) {
    const auto from = static_cast<size_t>(source);
    queries[from].Wait("mesh: queries", source);
    accumulate(row_[from], own, true);
  });
  keys.Wait("mesh: keys and values", mesh_.columns);
  ForEachPeer(own_column(), mesh_.columns, [&](int source, int destination) {
    const RowMember& owner = row_[static_cast<size_t>(source)];
    accumulate(owner, gathered, false);
    SendState(homeward, owner.computed.view(), owner.rank);
    // Who computes ours at this turn.
    const RowMember& helper = row_[static_cast<size_t>(destination)];
    ReceiveState(homeward, helper.received.view(), helper.rank);
  });
  accumulate(here, gathered, false);
  homeward.Wait("mesh: states", mesh_.columns + 1);
  if (parts.compute) MergeInRankOrder(output);
}

void MeshStage::MergeInRankOrder(const TensorView& output) {
  const auto state_of = [&](const RowMember& member) {
    return is_own(member) ? member.computed.view() : member.received.view();
  };
  const AttentionStateView total = state_of(row_.front());
  for (size_t i = 1; i < row_.size(); ++i) MergeState(total, state_of(row_[i]));
  FinishState(total, output);
}

size_t MeshStage::workspace_bytes() const {
  size_t bytes = kernel_.workspace_bytes() + gather_.size_bytes();
  for (const RowMember& member : row_) {
    bytes += member.queries.size_bytes() + member.computed.size_bytes() + member.received.size_bytes();
  }
  return bytes;
}

}  // namespace

std::unique_ptr<SequenceStage> MakeMeshStage(const AttentionPlan& plan, const SequenceLayout& layout,
                                             const Communicator& communicator) {
  return std::make_unique<MeshStage>(plan, layout, communicator);
}

}  // namespace attention
