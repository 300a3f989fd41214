#include "src/simulate/testing/message_order.h"

#include <vector>

#include "src/base/error.h"
#include "src/mpi/agreement.h"
#include "src/parallel/attention_run.h"
#include "src/simulate/simulated_layer.h"

namespace attention {
namespace {

// Small enough that blocks are cut by heads, and again by tokens.
constexpr int64_t kOwnMessageBytes = 256;
constexpr int64_t kMaxMessageBytes = 400;
// As the simulated machine has them.
constexpr int64_t kRanksOfNode = 2;

std::string TextOf(const std::vector<MessageStarted>& messages) {
  std::string text;
  for (size_t i = 0; i < messages.size();) {
    const MessageStarted& message = messages[i];
    size_t end = i;
    while (end < messages.size() && messages[end].is_send == message.is_send &&
           messages[end].peer == message.peer && messages[end].bytes == message.bytes) {
      ++end;
    }
    text += internal::Concatenate(" ", message.is_send ? "to" : "from", message.peer, ":", message.bytes);
    if (end - i > 1) text += "x" + std::to_string(end - i);
    i = end;
  }
  return text;
}

std::vector<Variant> VariantsOf(const ExchangeRow& row, const Mask& mask, int ranks) {
  Variant variant;
  variant.strategy = row.strategy;
  variant.exchange = row.exchange;
  if (row.deals_tokens && mask.grows()) variant.sharding = Sharding::kZigzag;
  std::vector<Variant> variants = {variant};
  const bool is_sequence = row.strategy == ParallelStrategy::kSequence;
  if (is_sequence && !row.needs_state) {
    variants.push_back(variant);
    variants.back().algorithm = AttentionAlgorithm::kStandard;
  }
  if (is_sequence && ranks % 2 == 0) {
    variants.push_back(variant);
    variants.back().grid = {2, ranks / 2};
  }
  return variants;
}

// The lines of a case.
template <typename Run>
std::string MessagesOf(Communicator& world, const std::string& name, const Run& run) {
  std::vector<MessageStarted> messages;
  world.settings().on_message = [&](const MessageStarted& message) { messages.push_back(message); };
  run();
  world.settings().on_message = nullptr;
  std::string text = internal::Concatenate("ranks ", world.size(), " ", name, "\n");
  for (int r = 0; r < world.size(); ++r) {
    text += internal::Concatenate("  ", r, ":", world.Broadcast(TextOf(messages), r), "\n");
  }
  return text;
}

std::string RunOne(Communicator& world, BackendFactory backend, const AttentionProblem& problem,
                   const Variant& variant, Contract contract) {
  ExecutionOptions options;
  options.backend = backend;
  options.least_block_bytes = 1;  // as many pieces of heads as there are
  AttentionRun run(world, problem, variant, contract, options);
  const int64_t before = world.traffic().bytes_sent;
  const std::string name = internal::Concatenate(Name(problem.phase), " ", Name(contract), " ",
                                                 Name(problem.mask), " ", Name(variant));
  const std::string text = MessagesOf(world, name, [&] { run.Run(); });
  AgreeOnErrors(world, [&] {
    const int64_t sent = world.traffic().bytes_sent - before, expected = run.attention().comm_bytes_formula();
    if (sent != expected) Fail(name, ": ", sent, " bytes sent, the formula says ", expected);
  });
  return text;
}

// A decoder's layer: of hidden states that a sum sends whole, and of more of them, which it adds in slices.
std::string RunLayer(Communicator& world, BackendFactory backend, Phase phase, ParallelStrategy strategy,
                     int64_t hidden_size) {
  Cell cell;
  cell.scope = Scope::kLayer;
  cell.phase = phase;
  cell.model = {"", 6, 3, 8, hidden_size, 80, 1, 16};
  cell.seq_len = 37;
  AttentionProblem& problem = cell.problem;
  problem.query_heads = cell.model.query_heads;
  problem.kv_heads = cell.model.kv_heads;
  problem.head_dim = cell.model.head_dim;
  problem.kv_tokens = cell.seq_len;
  problem.phase = phase;
  problem.query_tokens = phase == Phase::kDecode ? 1 : cell.seq_len;
  problem.mask = Mask::Causal();
  Variant variant;
  variant.strategy = strategy;
  variant.exchange = strategy == ParallelStrategy::kHeadwise ? Exchange::kNone : Exchange::kRing;
  if (variant.exchange == Exchange::kRing) variant.sharding = Sharding::kZigzag;
  ExecutionOptions options;
  options.backend = backend;
  SimulatedLayer layer(world, cell, VariantInsideDecoder(variant, phase), options);
  const std::string name =
      internal::Concatenate(Name(phase), " layer hidden ", hidden_size, " ", Name(strategy));
  return MessagesOf(world, name, [&] { layer.Run(); });
}

}  // namespace

std::string MessageOrder(Communicator& world, BackendFactory backend) {
  world.settings().own_message_bytes = kOwnMessageBytes;
  world.settings().max_message_bytes = kMaxMessageBytes;
  world.settings().most_ranks_of_node = kRanksOfNode;
  std::string text;
  for (const ExchangeRow& row : kExchangeTable) {
    for (const Contract contract : {Contract::kNative, Contract::kTokenSharded, Contract::kReplicated}) {
      for (const Mask& mask : {Mask::Causal(), Mask::Window(5)}) {
        // Only keys that travel depend on it.
        if (row.strategy == ParallelStrategy::kHeadwise && mask != Mask::Causal()) continue;
        for (const Variant& variant : VariantsOf(row, mask, world.size())) {
          if (!WhyInvalid(variant, contract, row.phase).empty()) continue;
          AttentionProblem problem;
          problem.query_heads = 6;
          problem.kv_heads = 3;
          problem.head_dim = 8;
          problem.kv_tokens = 37;
          problem.phase = row.phase;
          problem.query_tokens = row.phase == Phase::kDecode ? 1 : problem.kv_tokens;
          problem.mask = mask;
          text += RunOne(world, backend, problem, variant, contract);
        }
      }
    }
  }
  world.settings().max_message_bytes = 1 << 20;
  for (const Phase phase : {Phase::kPrefill, Phase::kDecode}) {
    for (const ParallelStrategy strategy : {ParallelStrategy::kHeadwise, ParallelStrategy::kSequence}) {
      for (const int64_t hidden_size : {48, 512})
        text += RunLayer(world, backend, phase, strategy, hidden_size);
    }
  }
  return text;
}

}  // namespace attention
