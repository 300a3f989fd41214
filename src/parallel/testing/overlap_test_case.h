// What overlap tests check: messages are handed to MPI before the kernel is called, and polled to their end
// while it computes.
#ifndef SRC_PARALLEL_TESTING_OVERLAP_TEST_CASE_H_
#define SRC_PARALLEL_TESTING_OVERLAP_TEST_CASE_H_

#include <cstddef>
#include <cstdint>

#include "src/parallel/contracts/distributed_attention.h"

namespace attention {

// Blocks of each exchange are at least 64 KiB: more than MPI sends without the receiver's help.
constexpr int64_t kOverlapTokensPerRank = 512;
constexpr int64_t kOverlapQueryHeads = 16;
constexpr int64_t kOverlapKvHeads = 8;
constexpr int64_t kOverlapHeadDim = 32;
constexpr int64_t kOverlapRowBytes = kOverlapHeadDim * 4;

struct OverlapCase {
  ParallelStrategy strategy;
  Exchange exchange;
  Sharding sharding;
  AttentionAlgorithm algorithm;
  Contract contract;
  // Of the kernel. Keys that are there before a call are attended to in it, which saves others: as many or
  // this many.
  size_t calls;
  size_t fewest_calls;
  // Bytes sent before the first call of the kernel, and after the last: in between they hide.
  int64_t bytes_first;
  int64_t bytes_last;
};

// Runs it on all ranks of MPI_COMM_WORLD with a kernel that computes nothing, but offers to poll until all
// messages under way are through; fails the test that calls it where they are not, or where a figure differs.
void CheckOverlap(const OverlapCase& overlap_case);

}  // namespace attention

#endif  // SRC_PARALLEL_TESTING_OVERLAP_TEST_CASE_H_
