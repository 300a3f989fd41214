// The file of `benchmark_qwen3 --verify`, read and judged: what is to be computed, and how near is right.
#ifndef SRC_QWEN3_VERIFY_CASE_H_
#define SRC_QWEN3_VERIFY_CASE_H_

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "src/attention/mask.h"
#include "src/qwen3/checkpoint/config.h"

namespace attention {

inline constexpr char kVerifyPrefix[] = "model.layers.0.";

struct VerifyCase {
  Qwen3Config config;  // one layer; no intermediate size: attention block only
  Mask mask = Mask::Causal();
  int64_t batch = 0, tokens = 0;
  std::vector<float> hidden, expected;
  double largest_logit = 0;
  double tolerance = 0;  // what rounding can make of a right answer; see verify.h
};

// Throws Error (bad usage) if the file is not what verify.h describes, holds a tensor or metadata that would
// go unread, or a value that is not finite; Error (failed) if it can decide nothing, being all zeros.
VerifyCase ReadVerifyCase(const std::string& path);

// How far a computed output is from the expected one.
struct OutputErrors {
  double max_abs = 0;
  double rel_l2 = 0;      // of the whole output
  double row_rel_l2 = 0;  // the largest of its rows, each against its own norm; see CompareOutputs
  int64_t non_finite = 0;
};

// Rows have config.hidden_size values. A row of zeros has no relative error: what is there instead must be
// within `tolerance` of the smallest row that is not zero, and does not count then.
OutputErrors CompareOutputs(const VerifyCase& problem, std::span<const float> actual);

}  // namespace attention

#endif  // SRC_QWEN3_VERIFY_CASE_H_
