// Writes small ONNX models as bytes: one graph of a few nodes, no weights.
//
// Field numbers are those of onnx.proto (github.com/onnx/onnx); the format is protobuf's wire format. By hand
// because Debian's python3-onnx is older than the Attention operator of opset 23.
#ifndef PEERS_ONNX_MODEL_H_
#define PEERS_ONNX_MODEL_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace attention::peers {

enum class OnnxType : int { kFloat = 1, kInt32 = 6 };

inline constexpr int64_t kAnySize = -1;  // a size that differs from call to call

struct OnnxValue {
  std::string name;
  OnnxType type = OnnxType::kFloat;
  std::vector<int64_t> shape;  // empty: a scalar; in a graph's inputs and outputs, sizes may be kAnySize
};

struct OnnxNode {
  std::string operation;
  std::string domain;               // empty: ai.onnx
  std::vector<std::string> inputs;  // an empty name: an optional input left out
  std::vector<std::string> outputs;
  std::vector<std::pair<std::string, int64_t>> integers;  // attributes
  std::vector<std::pair<std::string, float>> floats;
};

struct OnnxGraph {
  std::vector<OnnxNode> nodes;
  std::vector<OnnxValue> inputs;
  std::vector<OnnxValue> outputs;
};

// A ModelProto with opset 23 of ai.onnx and version 1 of com.microsoft.
std::string SerializeModel(const OnnxGraph& graph);

}  // namespace attention::peers

#endif  // PEERS_ONNX_MODEL_H_
