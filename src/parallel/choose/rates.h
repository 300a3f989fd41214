// How fast a machine is, as far as the choice of a strategy needs to know: what the probe measures (probe.h),
// a simulator assumes and a test plants. A value, the same on every rank.
#ifndef SRC_PARALLEL_CHOOSE_RATES_H_
#define SRC_PARALLEL_CHOOSE_RATES_H_

#include <cstdint>
#include <vector>

#include "src/attention/algorithm.h"

namespace attention {

// A message of n bytes takes latency_s + n / bytes_per_second (Hockney 1994), while as much comes back.
struct LinkRate {
  double latency_s = 0;
  double bytes_per_second = 1e9;
  // Of the time of a transfer, the part that computing beside it becomes longer by: the copies and the polls
  // that the computing rank itself does for MPI. 1 where nothing hides; a network card alone would give 0.
  double unhidden = 1;

  bool operator==(const LinkRate&) const = default;
};

// How fast one rank's kernel with all its threads does a step of some shape, while all other ranks do the
// like.
struct KernelRate {
  AttentionAlgorithm algorithm = AttentionAlgorithm::kOnlineSoftmax;
  double rows = 1;     // query tokens of the step
  double keys = 1;     // its keys
  double density = 1;  // visible pairs / (rows x keys)
  double heads_per_kv_head = 1;
  double pairs_per_second = 1e8;  // (query, visible key) pairs, over batch and query heads

  bool operator==(const KernelRate&) const = default;
};

struct Rates {
  // Between ranks of one node, of one rank while all of the node send.
  LinkRate within_node;
  // Between nodes, of all ranks of a node together.
  LinkRate across_nodes;
  // At least one of each algorithm that is asked for; a step takes the rate of the shape most like its own.
  std::vector<KernelRate> kernels;
  double kernel_call_s = 0;  // of a step, however small
  // Of partial states that are merged into another (MergeState), and of blocks that stay and are copied.
  double memory_bytes_per_second = 1e10;

  bool operator==(const Rates&) const = default;
};

}  // namespace attention

#endif  // SRC_PARALLEL_CHOOSE_RATES_H_
