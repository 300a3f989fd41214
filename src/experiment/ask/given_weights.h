// Weights that the user gives: a Hugging Face checkpoint with its config.json, checked before anything runs.
#ifndef SRC_EXPERIMENT_ASK_GIVEN_WEIGHTS_H_
#define SRC_EXPERIMENT_ASK_GIVEN_WEIGHTS_H_

#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "src/mpi/communicator.h"
#include "src/qwen3/checkpoint/checkpoint.h"
#include "src/qwen3/checkpoint/config.h"
#include "src/qwen3/checkpoint/model_shapes.h"
#include "src/qwen3/checkpoint/model_tensors.h"
#include "src/qwen3/checkpoint/tensor_source.h"

namespace attention {

struct GivenWeights {
  std::string path;  // as the user wrote it
  Qwen3Config config;
  // Of the published model that has these sizes, or called after its own numbers ("h4kv2d16n48l2").
  ModelShape shape;
  std::shared_ptr<const Checkpoint> checkpoint;
  std::shared_ptr<const TensorSource> source;
  // SHA-256, set by SetFingerprint: what is computed with, the numbers of the config and every byte of every
  // tensor that is read. How tensors lie in files does not matter.
  std::string fingerprint;
  int64_t fingerprint_bytes = 0;  // of weights that went into it
};

// Opens and maps the weights; config.json lies beside them. Throws Error (bad usage), one line naming file,
// tensor and expectation, if something is not as it should be, or if a tensor of the model would go unread.
// Tensors that are read are checked by CheckTensors.
std::shared_ptr<GivenWeights> OpenWeights(const std::string& path);

// Collective: each rank reads a share of the tensors that `extent` reads, which CheckTensors has found.
void SetFingerprint(GivenWeights& weights, WeightExtent extent, const Communicator& communicator);

// Throws Error (bad usage) naming the first number that differs unless `asked`, the model that the user named
// as well, is the one in the weights.
void RequireShape(const GivenWeights& weights, const ModelShape& asked);

// For the manifest: path, fingerprint and of what it is, sizes, tensors, types.
nlohmann::json DescribeWeights(const GivenWeights& weights);

}  // namespace attention

#endif  // SRC_EXPERIMENT_ASK_GIVEN_WEIGHTS_H_
