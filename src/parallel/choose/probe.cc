#include "src/parallel/choose/probe.h"

#include <mpi.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <optional>
#include <set>

#include "src/attention/attention_state.h"
#include "src/base/error.h"
#include "src/mpi/agreement.h"
#include "src/mpi/request_set.h"
#include "src/parallel/exchanges/kernel_runner.h"
#include "src/parallel/exchanges/tensor_buffer.h"
#include "src/parallel/partition/visible_pairs.h"

namespace attention {
namespace {

// A clock may stand still over what takes no time.
constexpr double kLeastSeconds = 1e-8;
constexpr int64_t kSmallBytes = 4;
constexpr int64_t kStateRows = 4096;
// Of inputs and output of a measured step: the caches' sizes are below it, and so is what a machine has.
constexpr double kMostStepBytes = 256.0 * (1 << 20);

// Of the slowest rank, from a barrier on; the shortest of `repeats` after one that does not count. What
// disturbs a run makes it longer, and of few runs the median may be a disturbed one, which would choose for
// the noise.
template <typename Work>
double Measure(const Communicator& communicator, int repeats, Work work) {
  double shortest = std::numeric_limits<double>::infinity();
  for (int i = 0; i <= repeats; ++i) {
    double mine = 0;
    AgreeOnErrors(communicator, [&] {
      communicator.Barrier("start of a probe");
      const double begin = MPI_Wtime();
      work();
      mine = MPI_Wtime() - begin;
    });
    const double slowest = communicator.Max(mine);
    if (i > 0 || repeats == 0) shortest = std::min(shortest, std::max(slowest, kLeastSeconds));
  }
  return shortest;
}

// With whom a rank exchanges at the same time as all others do; -1: with nobody.
struct Partners {
  int source = -1;
  int destination = -1;
};

std::vector<int> RanksOfNode(const std::vector<int>& node_of_rank, int node) {
  std::vector<int> ranks;
  for (size_t rank = 0; rank < node_of_rank.size(); ++rank) {
    if (node_of_rank[rank] == node) ranks.push_back(static_cast<int>(rank));
  }
  return ranks;
}

size_t PlaceIn(const std::vector<int>& ranks, int rank) {
  return static_cast<size_t>(std::find(ranks.begin(), ranks.end(), rank) - ranks.begin());
}

Partners WithinNode(const std::vector<int>& node_of_rank, int rank) {
  const std::vector<int> ranks = RanksOfNode(node_of_rank, node_of_rank[static_cast<size_t>(rank)]);
  const size_t size = ranks.size(), place = PlaceIn(ranks, rank);
  if (size == 1) return {};
  return {ranks[(place + size - 1) % size], ranks[(place + 1) % size]};
}

// The first so many ranks of every node take part, as many as the smallest has.
struct AcrossNodes {
  std::vector<std::vector<int>> nodes;  // their ranks
  size_t ranks_of_each = 0;

  explicit AcrossNodes(const std::vector<int>& node_of_rank) {
    for (int node : std::set<int>(node_of_rank.begin(), node_of_rank.end())) {
      nodes.push_back(RanksOfNode(node_of_rank, node));
      const size_t size = nodes.back().size();
      ranks_of_each = nodes.size() == 1 ? size : std::min(ranks_of_each, size);
    }
  }
  Partners Of(int rank) const {
    for (size_t node = 0; node < nodes.size(); ++node) {
      const size_t place = PlaceIn(nodes[node], rank);
      if (place >= ranks_of_each || nodes.size() == 1) continue;
      return {nodes[(node + nodes.size() - 1) % nodes.size()][place],
              nodes[(node + 1) % nodes.size()][place]};
    }
    return {};
  }
};

class Probe {
 public:
  Probe(const Communicator& communicator, const AttentionProblem& problem, const ExecutionOptions& options,
        const ProbeOptions& probe)
      : communicator_(communicator), problem_(problem), options_(options), probe_(probe) {
    AgreeOnErrors(communicator_, [&] {
      Require(options_.backend != nullptr, "no kernel backend given");
      const TensorShape block = {1, 1, std::max<int64_t>(1, probe.largest_message_bytes / 4), 1};
      outgoing_ = TensorBuffer(DataType::kFloat32, block);
      incoming_ = TensorBuffer(DataType::kFloat32, block);
    });
  }

  LinkRate MeasureLink(const Partners& partners) {
    LinkRate rate;
    rate.latency_s = MeasureExchange(partners, kSmallBytes);
    int64_t bytes = std::min<int64_t>(int64_t{64} << 10, probe_.largest_message_bytes);
    double seconds = MeasureExchange(partners, bytes);
    while (seconds < probe_.message_seconds && bytes < probe_.largest_message_bytes) {
      bytes = std::min(4 * bytes, probe_.largest_message_bytes);
      seconds = MeasureExchange(partners, bytes);
    }
    // Where latency is most of it, bandwidth is not seen, and hardly matters.
    const double moving = std::max(seconds - rate.latency_s, 0.1 * seconds);
    rate.bytes_per_second = static_cast<double>(bytes) / moving;
    return rate;
  }

  KernelRate MeasureStep(const KernelStep& step);
  double MeasureCall(const KernelStep& like);
  double MeasureUnhidden(const Partners& partners, const LinkRate& rate);
  double MeasureMemory();

 private:
  // A step as it is measured, with all that it needs.
  struct MadeStep {
    KernelStep step;
    std::unique_ptr<KernelRunner> kernel;
    TensorBuffer q, output;
    KeyValueBuffer key_values;
    double seconds = 0;  // alone
  };

  void Exchange(RequestSet& requests, const Partners& partners, int64_t bytes) {
    if (partners.source >= 0) requests.Receive({incoming_.Dense(bytes / 4)}, partners.source);
    if (partners.destination >= 0) requests.Send({outgoing_.Dense(bytes / 4)}, partners.destination);
  }
  double MeasureExchange(const Partners& partners, int64_t bytes) {
    return Measure(communicator_, probe_.repeats, [&] {
      RequestSet requests(communicator_);
      Exchange(requests, partners, bytes);
      requests.Wait("probe of a link", 0);
    });
  }
  std::unique_ptr<MadeStep> Make(const KernelStep& step) const;
  void RunKernel(MadeStep& made, const std::vector<RequestSet*>& under_way) const {
    const KeyValueShard keys = {made.key_values.k.view(), made.key_values.v.view(), made.step.keys};
    made.kernel->Accumulate({},
                            {.query = {made.q.view(), made.step.queries},
                             .key_values = std::span(&keys, 1),
                             .output = made.output.view()},
                            under_way);
  }

  const Communicator& communicator_;
  AttentionProblem problem_;
  ExecutionOptions options_;
  ProbeOptions probe_;
  TensorBuffer outgoing_, incoming_;
  std::unique_ptr<MadeStep> longest_;
};

// The same tokens at 1/n of their positions: the shape of what is seen stays, unless the mask has lengths of
// its own.
TokenSegments Shrunk(const TokenSegments& segments, double factor) {
  TokenSegments result;
  int64_t local = 0;
  for (const TokenSegment& segment : segments) {
    const auto begin = static_cast<int64_t>(static_cast<double>(segment.global_begin) * factor);
    const auto end =
        static_cast<int64_t>(std::ceil(static_cast<double>(segment.global_begin + segment.length) * factor));
    result.push_back({local, begin, end - begin});
    local += end - begin;
  }
  return result;
}

}  // namespace

KernelStep ShortenedStep(KernelStep step, const AttentionProblem& problem, double most_pairs) {
  const double row_bytes = static_cast<double>(problem.head_dim) * sizeof(float);
  const auto bytes = [&] {
    return row_bytes * (2 * static_cast<double>(step.query_heads) * step.rows() +
                        2 * static_cast<double>(step.kv_heads) * step.key_count());
  };
  const auto cost = [&] {
    return std::max(step.pairs * static_cast<double>(step.query_heads) / most_pairs,
                    bytes() / kMostStepBytes);
  };
  if (cost() > 1 && step.kv_heads > 1) {
    const auto kv_heads =
        std::max<int64_t>(1, static_cast<int64_t>(static_cast<double>(step.kv_heads) / cost()));
    step.query_heads = std::max<int64_t>(1, step.query_heads * kv_heads / step.kv_heads);
    step.kv_heads = kv_heads;
  }
  for (double factor = 0.5; cost() > 1 && step.rows() * factor >= 1 && step.key_count() >= 2;) {
    KernelStep shorter = step;
    const bool is_decode = step.rows() < 64;
    if (!is_decode) shorter.queries = Shrunk(step.queries, factor);
    shorter.keys = Shrunk(step.keys, factor);
    if (is_decode) {
      // Its queries are behind all keys.
      const TokenSegment& last = shorter.keys.back();
      for (TokenSegment& query : shorter.queries) query.global_begin = last.global_begin + last.length - 1;
    }
    shorter.pairs = VisiblePairs(shorter.queries, shorter.keys, problem.mask);
    // Moved away from its document: it would measure nothing.
    if (shorter.pairs == 0) break;
    step = std::move(shorter);
  }
  return step;
}

namespace {

std::unique_ptr<Probe::MadeStep> Probe::Make(const KernelStep& step) const {
  const double flops_per_pair = 4.0 * static_cast<double>(problem_.head_dim);
  const double rate = RowOf(options_.isa).expected_core_gflops * 1e9 * options_.threads;
  auto made = std::make_unique<MadeStep>();
  made->step = ShortenedStep(step, problem_, probe_.step_seconds * rate / flops_per_pair);
  const KernelStep& bounded = made->step;
  const int64_t rows = TokenCount(bounded.queries), keys = TokenCount(bounded.keys);
  // As if the model had these heads alone: a group of query heads for each KV head, or less of one.
  AttentionProblem problem = problem_;
  problem.batch = 1;
  problem.kv_heads = bounded.kv_heads;
  const int64_t group = (bounded.query_heads + bounded.kv_heads - 1) / bounded.kv_heads;
  problem.query_heads = group * bounded.kv_heads;
  AttentionPlan plan;
  plan.problem = problem;
  plan.variant.algorithm = bounded.algorithm;
  plan.options = options_;
  made->kernel = std::make_unique<KernelRunner>(
      plan, HeadShare{{0, problem.query_heads}, {0, problem.kv_heads}}, rows, keys);
  made->step.query_heads = problem.query_heads;
  made->q = TensorBuffer(problem.data_type, QueryShape(problem, problem.query_heads, rows));
  made->output = TensorBuffer(DataType::kFloat32, QueryShape(problem, problem.query_heads, rows));
  made->key_values = KeyValueBuffer(problem.data_type, QueryShape(problem, problem.kv_heads, keys));
  return made;
}

KernelRate Probe::MeasureStep(const KernelStep& step) {
  std::unique_ptr<MadeStep> made;
  AgreeOnErrors(communicator_, [&] { made = Make(step); });
  made->seconds = Measure(communicator_, probe_.repeats, [&] { RunKernel(*made, {}); });
  const double pairs = made->step.pairs * static_cast<double>(made->step.query_heads);
  const KernelRate rate = {step.algorithm,           step.rows(),
                           step.key_count(),         made->step.density(),
                           step.heads_per_kv_head(), pairs / made->seconds};
  if (longest_ == nullptr || longest_->seconds < made->seconds) longest_ = std::move(made);
  return rate;
}

double Probe::MeasureCall(const KernelStep& like) {
  KernelStep smallest = like;
  smallest.queries = smallest.keys = {{0, 0, 1}};
  smallest.query_heads = smallest.kv_heads = 1;
  smallest.pairs = 1;
  std::unique_ptr<MadeStep> made;
  AgreeOnErrors(communicator_, [&] { made = Make(smallest); });
  return Measure(communicator_, probe_.repeats, [&] { RunKernel(*made, {}); });
}

double Probe::MeasureUnhidden(const Partners& partners, const LinkRate& rate) {
  if (longest_ == nullptr) return 1;
  // Half of the step, so that the transfer can hide altogether.
  const double half = 0.5 * longest_->seconds * rate.bytes_per_second;
  const auto bytes =
      static_cast<int64_t>(std::clamp(half, 4.0, static_cast<double>(probe_.largest_message_bytes)));
  const double transfer = MeasureExchange(partners, bytes);
  const double alone = Measure(communicator_, probe_.repeats, [&] { RunKernel(*longest_, {}); });
  const double both = Measure(communicator_, probe_.repeats, [&] {
    RequestSet requests(communicator_);
    Exchange(requests, partners, bytes);
    RunKernel(*longest_, {&requests});
    requests.Wait("probe of a link beside computing", 0);
  });
  return std::clamp((both - alone) / transfer, 0.0, 1.0);
}

double Probe::MeasureMemory() {
  std::optional<AttentionStateBuffer> into, other;
  AgreeOnErrors(communicator_, [&] {
    into.emplace(1, 1, kStateRows, problem_.head_dim);
    other.emplace(1, 1, kStateRows, problem_.head_dim);
    // Rows that saw something: empty ones need no arithmetic.
    for (const AttentionStateView& state : {into->view(), other->view()}) {
      std::fill_n(state.m, kStateRows, 0.0f);
      std::fill_n(state.l, kStateRows, 1.0f);
    }
  });
  const double seconds =
      Measure(communicator_, probe_.repeats, [&] { MergeState(into->view(), other->view()); });
  return static_cast<double>(other->size_bytes()) / seconds;
}

}  // namespace

Rates ProbeRates(const Communicator& communicator, const std::vector<int>& node_of_rank,
                 const AttentionProblem& problem, const ExecutionOptions& options,
                 const std::vector<KernelStep>& steps, const ProbeOptions& probe_options) {
  Require(node_of_rank.size() == static_cast<size_t>(communicator.size()), "nodes of ", node_of_rank.size(),
          " ranks are given, there are ", communicator.size());
  Probe probe(communicator, problem, options, probe_options);
  Rates rates;
  for (const KernelStep& step : steps) rates.kernels.push_back(probe.MeasureStep(step));
  if (!steps.empty()) rates.kernel_call_s = probe.MeasureCall(steps.front());
  rates.memory_bytes_per_second = probe.MeasureMemory();
  const AcrossNodes across(node_of_rank);
  const bool are_several = across.nodes.size() > 1;
  const bool share_a_node = across.nodes.size() < node_of_rank.size();
  const auto measure = [&](const Partners& partners) {
    LinkRate rate = probe.MeasureLink(partners);
    rate.unhidden = probe.MeasureUnhidden(partners, rate);
    return rate;
  };
  if (share_a_node) rates.within_node = measure(WithinNode(node_of_rank, communicator.rank()));
  if (are_several) {
    rates.across_nodes = measure(across.Of(communicator.rank()));
    rates.across_nodes.bytes_per_second *= static_cast<double>(across.ranks_of_each);
  }
  if (!share_a_node) rates.within_node = rates.across_nodes;
  if (!are_several) rates.across_nodes = rates.within_node;
  return rates;
}

}  // namespace attention
