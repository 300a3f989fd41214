#include <algorithm>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "src/attention/attention_state.h"
#include "src/mpi/copy_block.h"
#include "src/mpi/request_set.h"
#include "src/mpi/shared_memory.h"
#include "src/parallel/exchanges/ring_hop.h"
#include "src/parallel/exchanges/sequence_stage.h"
#include "src/parallel/exchanges/sequence_stages.h"
#include "src/parallel/partition/key_travel.h"

namespace attention {
namespace {

// Keys and values of at most so many tokens, at some place in a part of shared memory.
struct Room {
  size_t offset = 0;  // of K; V follows
  int64_t tokens = 0;
};

// What the rank in one place of this node has in shared memory: its own keys and values, and two rooms, used
// in turn, for those that come around the ring of its place.
struct Place {
  TokenSegments own_keys;
  std::vector<RingHop> hops;
  Room own, arriving[2];
  size_t bytes = 0;

  // Of what step `step` reads here: 0 is own, the others are what came on the hop before.
  const TokenSegments& KeysOf(size_t step) const { return step == 0 ? own_keys : hops[step - 1].arriving; }
  const Room& RoomOf(size_t step) const { return step == 0 ? own : arriving[step % 2]; }
};

// This node, as seen from one of its ranks.
struct Node {
  int size = 1;   // its ranks
  int count = 1;  // of nodes
  int number = 0;
  int own_place = 0;
  std::vector<Place> places;
  size_t steps = 1;       // of the place that has most
  int64_t most_keys = 0;  // of all places in one step

  Node(const AttentionPlan& plan, const SequenceLayout& layout);
  int RankOfNext() const { return (number + 1) % count * size + own_place; }
  int RankOfLast() const { return (number + count - 1) % count * size + own_place; }
  const Place& own() const { return places[static_cast<size_t>(own_place)]; }
};

Node::Node(const AttentionPlan& plan, const SequenceLayout& layout)
    : size(plan.parts_of_node),
      count(layout.size() / size),
      number(layout.rank / size),
      own_place(layout.rank % size) {
  const int64_t token_bytes = 2 * InputBytes(plan.problem, layout.heads.kv.size(), 1);
  for (int i = 0; i < size; ++i) {
    Place place;
    place.own_keys =
        layout.keys[static_cast<size_t>(number) * static_cast<size_t>(size) + static_cast<size_t>(i)];
    place.hops = RingHops(LayoutAtPlace(layout, size, i), plan.problem.mask);
    place.own.tokens = TokenCount(place.own_keys);
    for (size_t hop = 0; hop < place.hops.size(); ++hop) {
      int64_t& tokens = place.arriving[(hop + 1) % 2].tokens;
      tokens = std::max(tokens, TokenCount(place.hops[hop].arriving));
    }
    for (Room* room : {&place.own, &place.arriving[1], &place.arriving[0]}) {
      room->offset = place.bytes;
      place.bytes += static_cast<size_t>(room->tokens * token_bytes);
    }
    steps = std::max(steps, place.hops.size() + 1);
    places.push_back(std::move(place));
  }
  for (size_t step = 0; step < steps; ++step) {
    int64_t keys = 0;
    for (Place& place : places) {
      place.hops.resize(steps - 1);
      keys += TokenCount(place.KeysOf(step));
    }
    most_keys = std::max(most_keys, keys);
  }
}

// The ranks of a node read each other's keys and values where they are, in memory that they share; between
// nodes these rotate, each rank's to the rank in its place on the next node. Two nodes of two ranks:
//
//   step    node 0                        node 1
//   0       q0:kv0,kv1    q1:kv1,kv0      q2:kv2,kv3    q3:kv3,kv2
//   1       q0:kv2,kv3    q1:kv3,kv2      q2:kv0,kv1    q3:kv1,kv0
//
// A barrier of the node stands before each step: all keys of the step are there, and nobody reads any longer
// what the next hop overwrites.
//
// On one node nothing moves: no copy, no message, no request to poll; the ring copies (P - 1) / P of all keys
// to every rank (experiments/shared_memory.yaml measures what that spares). A caller whose K and V are
// elsewhere than key_value_storage() has them copied there once, whatever P.
//
// Between nodes a rank sends K and V of its place's ring (partition/key_travel.h), a node as much as with the
// ring of all ranks; but all of its ranks send at once, in nodes - 1 hops instead of P - 1, and what one
// rank's wire brings is there for all of the node. A hop is hidden as a ring's is.
//
// Every rank reads its node's shards in the same order relative to itself, so the result does not depend on
// when anything arrives. After the last step the node meets once more: keys and values are the caller's
// again.
class SharedStage : public SequenceStage {
 public:
  SharedStage(const AttentionPlan& plan, const SequenceLayout& layout, const Communicator& communicator);

  void Run(const ConstTensorView& q, const ConstTensorView& k, const ConstTensorView& v,
           const TensorView& output, RunParts parts) override;
  std::optional<KeyValueStorage> key_value_storage() const override { return Read(node_.own_place, 0); }
  // Own keys and values are the caller's, who is asked to keep them here; in a grid they come from elsewhere.
  size_t workspace_bytes() const override;
  TileSizes tiles() const override { return kernel_.tiles(); }

 private:
  // What a step reads of the rank in some place.
  KeyValueStorage Read(int place, size_t step) const;
  void KeepOwn(const ConstTensorView& k, const ConstTensorView& v) const;
  // Fills the rooms that `step` reads from those of the step before.
  void StartHop(size_t step, RequestSet& requests) const;
  void Compute(size_t step, AttentionStep call, RequestSet& under_way, RunParts parts);

  AttentionProblem problem_;
  SequenceLayout layout_;
  Node node_;
  const Communicator* communicator_;
  std::optional<Communicator> ranks_of_node_;
  SharedMemory memory_;  // before what may fail on one rank alone: the others are in here with it
  bool keeps_own_;
  KernelRunner kernel_;
  AttentionStateBuffer state_;
};

SharedStage::SharedStage(const AttentionPlan& plan, const SequenceLayout& layout,
                         const Communicator& communicator)
    : problem_(plan.problem),
      layout_(layout),
      node_(plan, layout),
      communicator_(&communicator),
      ranks_of_node_(communicator.Split(node_.number, node_.own_place)),
      memory_(*ranks_of_node_, node_.own().bytes, plan.runs_of_machine),
      keeps_own_(plan.head_parts > 1),
      kernel_(plan, layout.heads, layout.QueriesOf(layout.rank), node_.most_keys),
      state_(problem_.batch, layout.heads.query.size(), layout.QueriesOf(layout.rank), problem_.head_dim) {}

KeyValueStorage SharedStage::Read(int place, size_t step) const {
  const Place& at = node_.places[static_cast<size_t>(place)];
  const TensorShape shape = QueryShape(problem_, layout_.heads.kv.size(), TokenCount(at.KeysOf(step)));
  std::byte* const k = memory_.part_of(place) + at.RoomOf(step).offset;
  std::byte* const v = k + StorageBytes(problem_.data_type, shape);
  return {HeadMajorView(k, problem_.data_type, shape), HeadMajorView(v, problem_.data_type, shape)};
}

void SharedStage::KeepOwn(const ConstTensorView& k, const ConstTensorView& v) const {
  const KeyValueStorage own = Read(node_.own_place, 0);
  if (k.data == own.k.data && v.data == own.v.data) return;
  CopyBlock(k, own.k);
  CopyBlock(v, own.v);
}

void SharedStage::StartHop(size_t step, RequestSet& requests) const {
  if (step >= node_.steps) return;
  const RingHop& hop = node_.own().hops[step - 1];
  const KeyValueStorage from = Read(node_.own_place, step - 1), to = Read(node_.own_place, step);
  StartRingHop(hop, from.k, from.v, to.k, to.v, {node_.RankOfLast(), node_.RankOfNext()}, requests, requests);
}

void SharedStage::Compute(size_t step, AttentionStep call, RequestSet& under_way, RunParts parts) {
  std::vector<KeyValueShard> shards;
  for (int turn = 0; turn < node_.size; ++turn) {
    const int place = (node_.own_place + node_.size - turn) % node_.size;
    const KeyValueStorage keys = Read(place, step);
    shards.push_back({keys.k, keys.v, node_.places[static_cast<size_t>(place)].KeysOf(step)});
  }
  call.key_values = shards;
  call.first = step == 0;
  call.last = step + 1 == node_.steps;
  if (call.last) return kernel_.Accumulate(parts, call, {&under_way});
  for (size_t i = 0; i < shards.size(); ++i) {
    const AttentionStep part = call.OfShard(i);
    if (part.first || !shards[i].segments.empty()) kernel_.Accumulate(parts, part, {&under_way});
  }
}

void SharedStage::Run(const ConstTensorView& q, const ConstTensorView& k, const ConstTensorView& v,
                      const TensorView& output, RunParts parts) {
  const AttentionStep call{
      .query = {q, layout_.own_queries()}, .key_values = {}, .state = state_.view(), .output = output};
  if (parts.exchange) KeepOwn(k, v);
  for (size_t step = 0; step < node_.steps; ++step) {
    if (parts.exchange) memory_.Synchronise("node: keys and values are there");
    RequestSet requests(*communicator_, parts.exchange);
    StartHop(step + 1, requests);
    Compute(step, call, requests, parts);
    requests.Wait("ring of nodes", static_cast<int64_t>(step));
  }
  if (parts.exchange) memory_.Synchronise("node: keys and values have been read");
}

size_t SharedStage::workspace_bytes() const {
  const Place& own = node_.own();
  return kernel_.workspace_bytes() + own.bytes - (keeps_own_ ? 0 : own.arriving[1].offset) +
         state_.size_bytes();
}

}  // namespace

std::unique_ptr<SequenceStage> MakeSharedStage(const AttentionPlan& plan, const SequenceLayout& layout,
                                               const Communicator& communicator) {
  return std::make_unique<SharedStage>(plan, layout, communicator);
}

}  // namespace attention
