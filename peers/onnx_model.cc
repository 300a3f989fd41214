#include "peers/onnx_model.h"

#include <bit>

namespace attention::peers {
namespace {

// Appends protobuf fields to a string.
class Message {
 public:
  void Varint(int field, uint64_t value) {
    Tag(field, 0);
    Raw(value);
  }
  void Float(int field, float value) {
    Tag(field, 5);
    const uint32_t bits = std::bit_cast<uint32_t>(value);
    for (int byte = 0; byte < 4; ++byte) bytes_.push_back(static_cast<char>(bits >> (8 * byte)));
  }
  void Bytes(int field, const std::string& value) {
    Tag(field, 2);
    Raw(value.size());
    bytes_ += value;
  }
  const std::string& bytes() const { return bytes_; }

 private:
  void Tag(int field, int wire_type) {
    Raw(static_cast<uint64_t>(field) << 3 | static_cast<uint64_t>(wire_type));
  }
  void Raw(uint64_t value) {
    for (; value >= 0x80; value >>= 7) bytes_.push_back(static_cast<char>(value | 0x80));
    bytes_.push_back(static_cast<char>(value));
  }

  std::string bytes_;
};

std::string ValueInfo(const OnnxValue& value) {
  Message shape;  // TensorShapeProto
  for (const int64_t size : value.shape) {
    Message dimension;
    if (size != kAnySize) dimension.Varint(1, static_cast<uint64_t>(size));
    shape.Bytes(1, dimension.bytes());
  }
  Message tensor_type;
  tensor_type.Varint(1, static_cast<uint64_t>(value.type));
  tensor_type.Bytes(2, shape.bytes());
  Message type;
  type.Bytes(1, tensor_type.bytes());
  Message info;
  info.Bytes(1, value.name);
  info.Bytes(2, type.bytes());
  return info.bytes();
}

std::string Node(const OnnxNode& node) {
  Message message;
  for (const std::string& input : node.inputs) message.Bytes(1, input);
  for (const std::string& output : node.outputs) message.Bytes(2, output);
  message.Bytes(3, node.operation + "_" + node.outputs.front());
  message.Bytes(4, node.operation);
  for (const auto& [name, value] : node.integers) {
    Message attribute;
    attribute.Bytes(1, name);
    attribute.Varint(3, static_cast<uint64_t>(value));
    attribute.Varint(20, 2);  // AttributeProto.INT
    message.Bytes(5, attribute.bytes());
  }
  for (const auto& [name, value] : node.floats) {
    Message attribute;
    attribute.Bytes(1, name);
    attribute.Float(2, value);
    attribute.Varint(20, 1);  // AttributeProto.FLOAT
    message.Bytes(5, attribute.bytes());
  }
  if (!node.domain.empty()) message.Bytes(7, node.domain);
  return message.bytes();
}

std::string OperatorSet(const std::string& domain, uint64_t version) {
  Message message;
  message.Bytes(1, domain);
  message.Varint(2, version);
  return message.bytes();
}

}  // namespace

std::string SerializeModel(const OnnxGraph& graph) {
  Message graph_message;
  for (const OnnxNode& node : graph.nodes) graph_message.Bytes(1, Node(node));
  graph_message.Bytes(2, "attention");
  for (const OnnxValue& input : graph.inputs) graph_message.Bytes(11, ValueInfo(input));
  for (const OnnxValue& output : graph.outputs) graph_message.Bytes(12, ValueInfo(output));

  Message model;
  model.Varint(1, 10);  // ir_version of ONNX 1.16 and later
  model.Bytes(7, graph_message.bytes());
  model.Bytes(8, OperatorSet("", 23));
  model.Bytes(8, OperatorSet("com.microsoft", 1));
  return model.bytes();
}

}  // namespace attention::peers
