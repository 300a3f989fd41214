#include "src/parallel/exchanges/kernel_runner.h"

#include <chrono>

namespace attention {
namespace {

// How often MPI is polled. Kernels call back every 30 to 100 us of work, and all the time while a thread
// waits for others. One poll costs up to a microsecond in shared memory and several over TCP (system calls),
// so polls are at least kInterval apart; sockets buffer more than arrives in that time. Measured on a shaped
// 1 Gbit link, the share of a ring's 280 ms of exchange that computing hides: 0.88 at 100 us, 0.87 at 300 and
// at 1000 (medians of three). Of the 33 ms that stay exposed, 12 are polls with the copies that MPI makes in
// them, about 4 interrupts, up to 5 the second pass of heads that began before their keys had arrived.
class Poller {
 public:
  explicit Poller(const std::vector<RequestSet*>& sets) : sets_(sets) {}

  // True when nothing is under way.
  bool PollNow() {
    bool done = true;
    for (RequestSet* requests : sets_) done = requests->Poll() && done;
    return done;
  }
  static void Poll(void* self) { static_cast<Poller*>(self)->PollIfDue(); }

 private:
  using Clock = std::chrono::steady_clock;
  static constexpr std::chrono::microseconds kInterval{100};

  void PollIfDue() {
    const Clock::time_point now = Clock::now();
    if (now < due_) return;
    PollNow();
    due_ = now + kInterval;
  }

  const std::vector<RequestSet*>& sets_;
  Clock::time_point due_{};
};

}  // namespace

KernelRunner::KernelRunner(const AttentionPlan& plan, const HeadShare& heads, int64_t max_query_tokens,
                           int64_t max_kv_tokens)
    : requested_tiles_(plan.variant.tiles), poll_progress_(plan.options.poll_progress) {
  if (heads.query.size() == 0 || max_query_tokens == 0) return;
  const AttentionProblem& problem = plan.problem;
  BackendConfig config;
  config.algorithm = plan.variant.algorithm;
  config.isa = plan.options.isa;
  config.data_type = problem.data_type;
  config.kept_key_values = problem.kept_key_values;
  config.threads = plan.options.threads;
  config.tiles = plan.variant.tiles;
  config.mask = problem.mask;
  config.heads = {problem.group_size(), heads.query.begin, heads.kv.begin};
  config.batch = problem.batch;
  config.query_heads = heads.query.size();
  config.kv_heads = heads.kv.size();
  config.head_dim = problem.head_dim;
  config.max_query_tokens = max_query_tokens;
  config.max_kv_tokens = max_kv_tokens;
  backend_ = plan.options.backend(config);
  const int64_t most = plan.most_head_pieces(InputBytes(problem, heads.query.size(), max_query_tokens));
  for (const HeadShare& piece : CutHeads(heads, problem.group_size(), most)) {
    pieces_.push_back({piece.kv.begin - heads.kv.begin, piece.kv.end - heads.kv.begin});
  }
}

void KernelRunner::Accumulate(RunParts parts, AttentionStep step, const std::vector<RequestSet*>& under_way) {
  if (!backend_ || !parts.compute) return;
  Poller poller(under_way);
  if (poll_progress_ && !poller.PollNow()) step.progress = {&Poller::Poll, &poller};
  backend_->Accumulate(step);
}

void KernelRunner::AccumulateArriving(RunParts parts, const AttentionStep& step, RequestSet& arriving,
                                      RequestSet& leaving, const char* operation, int64_t number) {
  const AttentionStep here = step.OfShard(0), next = step.OfShard(1);
  const auto accumulate = [&](AttentionStep part, const IndexRange& kv_heads) {
    part.kv_heads = {kv_heads.begin, kv_heads.end};
    Accumulate(parts, part, {&arriving, &leaving});
  };
  const auto has_arrived = [&] { return poll_progress_ ? arriving.Poll() : arriving.is_empty(); };
  size_t alone = 0;
  for (; alone < pieces_.size() && !has_arrived(); ++alone) accumulate(here, pieces_[alone]);
  if (alone < pieces_.size()) {
    accumulate(step, {pieces_[alone].begin, pieces_.back().end});
  }
  arriving.Wait(operation, number);
  if (alone > 0) accumulate(next, {0, pieces_[alone - 1].end});
}

}  // namespace attention
