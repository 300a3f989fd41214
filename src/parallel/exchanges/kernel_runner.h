// The computing side of a strategy: one rank's backend, polling the exchange while it works.
#ifndef SRC_PARALLEL_EXCHANGES_KERNEL_RUNNER_H_
#define SRC_PARALLEL_EXCHANGES_KERNEL_RUNNER_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "src/attention/attention_backend.h"
#include "src/mpi/request_set.h"
#include "src/parallel/partition/attention_plan.h"

namespace attention {

// Which parts of a run are done; all of them in one that counts. RequestSet leaves out what does not move,
// and KernelRunner what is not computed.
struct RunParts {
  bool exchange = true;
  bool compute = true;
};

class KernelRunner {
 public:
  // Bounds are over all steps, both shards of one that has two. A rank without query rows makes no backend
  // and computes nothing.
  KernelRunner(const AttentionPlan& plan, const HeadShare& heads, int64_t max_query_tokens,
               int64_t max_kv_tokens);

  // One step, unless `parts` leaves computing out; everything in `under_way` is polled from the kernel's
  // progress callback if the options say so.
  void Accumulate(RunParts parts, AttentionStep step, const std::vector<RequestSet*>& under_way);

  // The last two shards of a strategy whose keys come in turns, of an algorithm with a state: `step` has two,
  // the first of which is there, while `arriving` brings the second. KV heads are taken in pieces. A piece
  // that is begun before the second shard is there takes the first alone, and the second at the end; the rest
  // take both in one pass, which spares their queries and state a second one (1 to 1.5 % of the time at 2048
  // rows and keys a rank). Which piece is taken when changes no bit of the result. Waits for `arriving`, and
  // polls `leaving`, the rank's own sends, too. `operation` and `number`: as in RequestSet::Wait.
  void AccumulateArriving(RunParts parts, const AttentionStep& step, RequestSet& arriving,
                          RequestSet& leaving, const char* operation, int64_t number);

  size_t workspace_bytes() const { return backend_ ? backend_->workspace_bytes() : 0; }
  TileSizes tiles() const { return backend_ ? backend_->tiles() : requested_tiles_; }

 private:
  std::unique_ptr<AttentionBackend> backend_;
  TileSizes requested_tiles_;
  std::vector<IndexRange> pieces_;  // KV heads of this rank's tensors
  bool poll_progress_;
};

}  // namespace attention

#endif  // SRC_PARALLEL_EXCHANGES_KERNEL_RUNNER_H_
