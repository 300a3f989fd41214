#include "peers/onnxruntime_attention.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <list>

#include "src/base/aligned_buffer.h"
#include "src/base/error.h"

namespace attention::peers {
namespace {

constexpr char kMicrosoft[] = "com.microsoft";

// A model, its calls in order, the memory they work on, and where the result is.
struct Program {
  std::string way;
  OnnxGraph graph;
  std::vector<OnnxCall> calls;
  std::list<AlignedBuffer> buffers;  // addresses of elements stay
  std::list<int32_t> integers;
  bool output_token_major = false;
  const float* output = nullptr;

  float* Allocate(int64_t elements) {
    return buffers.emplace_back(static_cast<size_t>(elements) * sizeof(float)).As<float>().data();
  }
  // The graph's inputs and outputs are those of the first call; a size in which calls differ is any size.
  void TakeSignatureFromCalls() {
    const auto common = [&](std::vector<OnnxTensor> OnnxCall::*side) {
      std::vector<OnnxValue> values;
      for (const OnnxTensor& tensor : calls.front().*side) values.push_back(tensor.value);
      for (const OnnxCall& call : calls) {
        for (size_t i = 0; i < values.size(); ++i) {
          for (size_t axis = 0; axis < values[i].shape.size(); ++axis) {
            int64_t& size = values[i].shape[axis];
            if (size != (call.*side)[i].value.shape[axis]) size = kAnySize;
          }
        }
      }
      return values;
    };
    graph.inputs = common(&OnnxCall::inputs);
    graph.outputs = common(&OnnxCall::outputs);
  }
};

OnnxTensor Tensor(const std::string& name, std::vector<int64_t> shape, const float* data) {
  // ONNX Runtime takes inputs as mutable pointers and does not write to them.
  return {{name, OnnxType::kFloat, std::move(shape)}, const_cast<float*>(data)};
}

float Scale(const Workload& w) { return 1.0f / std::sqrt(static_cast<float>(w.head_dim)); }

std::string BlockName(const std::string& operation, int64_t q_block, const Workload& w) {
  return operation + ";q_block=" + (q_block == w.query_tokens ? std::string("all") : std::to_string(q_block));
}

// K or V with every KV head repeated for the query heads that read it.
float* RepeatHeads(Program& program, const float* source, const Workload& w) {
  const int64_t head_elements = w.kv_tokens * w.head_dim;
  float* repeated = program.Allocate(w.query_heads * head_elements);
  for (int64_t head = 0; head < w.query_heads; ++head) {
    std::copy_n(source + head / w.group_size() * head_elements, head_elements,
                repeated + head * head_elements);
  }
  return repeated;
}

float* TokenMajor(Program& program, const float* source, int64_t heads, int64_t tokens, int64_t head_dim) {
  float* copy = program.Allocate(heads * tokens * head_dim);
  HeadMajorToTokenMajor(source, heads, tokens, head_dim, copy);
  return copy;
}

Program Attention23(const Problem& problem) {
  const Workload& w = problem.workload();
  Program program;
  program.way = "Attention-23";
  float* output = program.Allocate(problem.query_shape().elements());
  program.output = output;
  const std::vector<int64_t> q_shape = {1, w.query_heads, w.query_tokens, w.head_dim};
  const std::vector<int64_t> kv_shape = {1, w.kv_heads, w.kv_tokens, w.head_dim};
  program.calls.push_back({{Tensor("q", q_shape, problem.q()), Tensor("k", kv_shape, problem.k()),
                            Tensor("v", kv_shape, problem.v())},
                           {Tensor("o", q_shape, output)}});
  program.graph.nodes.push_back(
      {"Attention", "", {"q", "k", "v"}, {"o"}, {{"is_causal", w.causal ? 1 : 0}}, {{"scale", Scale(w)}}});
  return program;
}

// Blocks of queries are rows of the token-major Q and output, so no copies are needed.
Program MultiHead(const Problem& problem, int64_t q_block) {
  const Workload& w = problem.workload();
  Program program;
  program.way = BlockName("MultiHeadAttention", q_block, w);
  program.output_token_major = true;
  const int64_t hidden = w.query_heads * w.head_dim;
  const float* q = TokenMajor(program, problem.q(), w.query_heads, w.query_tokens, w.head_dim);
  const float* k = RepeatHeads(program, problem.k(), w);
  const float* v = RepeatHeads(program, problem.v(), w);
  float* output = program.Allocate(problem.query_shape().elements());
  program.output = output;
  const std::vector<int64_t> kv_shape = {1, w.query_heads, w.kv_tokens, w.head_dim};
  for (int64_t token = 0; token < w.query_tokens; token += q_block) {
    program.calls.push_back({{Tensor("q", {1, q_block, hidden}, q + token * hidden), Tensor("k", kv_shape, k),
                              Tensor("v", kv_shape, v)},
                             {Tensor("o", {1, q_block, hidden}, output + token * hidden)}});
  }
  program.graph.nodes.push_back({"MultiHeadAttention",
                                 kMicrosoft,
                                 {"q", "k", "v"},
                                 {"o"},
                                 {{"num_heads", w.query_heads}, {"unidirectional", w.causal ? 1 : 0}},
                                 {{"scale", Scale(w)}}});
  return program;
}

// Token-major throughout: K and V of the block are appended to a head-major cache shared between calls.
Program GroupQuery(const Problem& problem, int64_t q_block) {
  const Workload& w = problem.workload();
  Program program;
  program.way = BlockName("GroupQueryAttention", q_block, w);
  program.output_token_major = true;
  const int64_t hidden = w.query_heads * w.head_dim;
  const int64_t kv_hidden = w.kv_heads * w.head_dim;
  const float* q = TokenMajor(program, problem.q(), w.query_heads, w.query_tokens, w.head_dim);
  const float* k = TokenMajor(program, problem.k(), w.kv_heads, w.kv_tokens, w.head_dim);
  const float* v = TokenMajor(program, problem.v(), w.kv_heads, w.kv_tokens, w.head_dim);
  float* cache_k = program.Allocate(problem.kv_shape().elements());
  float* cache_v = program.Allocate(problem.kv_shape().elements());
  std::copy_n(problem.k(), problem.kv_shape().elements(), cache_k);
  std::copy_n(problem.v(), problem.kv_shape().elements(), cache_v);
  float* output = program.Allocate(problem.query_shape().elements());
  program.output = output;
  const std::vector<int64_t> cache_shape = {1, w.kv_heads, w.kv_tokens, w.head_dim};
  const int64_t first_position = w.kv_tokens - w.query_tokens;
  for (int64_t token = 0; token < w.query_tokens; token += q_block) {
    const int64_t position = first_position + token;
    int32_t* total = &program.integers.emplace_back(static_cast<int32_t>(position + q_block));
    int32_t* last = &program.integers.emplace_back(static_cast<int32_t>(position + q_block - 1));
    program.calls.push_back(
        {{Tensor("q", {1, q_block, hidden}, q + token * hidden),
          Tensor("k", {1, q_block, kv_hidden}, k + position * kv_hidden),
          Tensor("v", {1, q_block, kv_hidden}, v + position * kv_hidden),
          Tensor("past_k", cache_shape, cache_k),
          Tensor("past_v", cache_shape, cache_v),
          {{"seqlens_k", OnnxType::kInt32, {1}}, last},
          {{"total_length", OnnxType::kInt32, {}}, total}},
         {Tensor("o", {1, q_block, hidden}, output + token * hidden),
          Tensor("present_k", cache_shape, cache_k), Tensor("present_v", cache_shape, cache_v)}});
  }
  program.graph.nodes.push_back({"GroupQueryAttention",
                                 kMicrosoft,
                                 {"q", "k", "v", "past_k", "past_v", "seqlens_k", "total_length"},
                                 {"o", "present_k", "present_v"},
                                 {{"num_heads", w.query_heads}, {"kv_num_heads", w.kv_heads}},
                                 {{"scale", Scale(w)}}});
  return program;
}

// The heads of a group are rows against one K: [KV, group * tokens, D] x [KV, keys, D]^T.
Program Decomposed(const Problem& problem) {
  const Workload& w = problem.workload();
  Program program;
  program.way = "MatMul-Softmax-MatMul";
  float* output = program.Allocate(problem.query_shape().elements());
  program.output = output;
  const std::vector<int64_t> q_shape = {w.kv_heads, w.group_size() * w.query_tokens, w.head_dim};
  const std::vector<int64_t> kv_shape = {w.kv_heads, w.kv_tokens, w.head_dim};
  program.calls.push_back({{Tensor("q", q_shape, problem.q()), Tensor("k", kv_shape, problem.k()),
                            Tensor("v", kv_shape, problem.v())},
                           {Tensor("o", q_shape, output)}});
  program.graph.nodes = {
      {"FusedMatMul", kMicrosoft, {"q", "k"}, {"s"}, {{"transB", 1}}, {{"alpha", Scale(w)}}},
      {"Softmax", "", {"s"}, {"p"}, {{"axis", -1}}, {}},
      {"MatMul", "", {"p", "v"}, {"o"}, {}, {}},
  };
  return program;
}

// The decomposed graph on blocks of queries of one KV head, so that the scores stay in cache. Causal: keys up
// to the block's last query, the rest masked by adding -1e30 (the weight underflows to 0).
Program DecomposedBlocks(const Problem& problem, int64_t q_block) {
  const Workload& w = problem.workload();
  Program program;
  program.way = BlockName("MatMul-Softmax-MatMul", q_block, w);
  float* output = program.Allocate(problem.query_shape().elements());
  program.output = output;
  const int64_t heads_together = w.causal ? 1 : w.group_size();
  const int64_t rows = heads_together * w.query_tokens;
  std::vector<float*> masks;
  for (int64_t row = 0; w.causal && row < rows; row += q_block) {
    const int64_t keys = row + q_block;
    masks.push_back(program.Allocate(q_block * keys));
    for (int64_t i = 0; i < q_block; ++i) {
      std::fill(masks.back() + i * keys + row + i + 1, masks.back() + (i + 1) * keys, -1e30f);
    }
  }
  for (int64_t head = 0; head < w.query_heads; head += heads_together) {
    const int64_t kv_offset = head / w.group_size() * w.kv_tokens * w.head_dim;
    for (int64_t row = 0; row < rows; row += q_block) {
      const int64_t keys = w.causal ? row + q_block : w.kv_tokens;
      const int64_t offset = (head * w.query_tokens + row) * w.head_dim;
      OnnxCall call{{Tensor("q", {q_block, w.head_dim}, problem.q() + offset),
                     Tensor("k", {keys, w.head_dim}, problem.k() + kv_offset),
                     Tensor("v", {keys, w.head_dim}, problem.v() + kv_offset)},
                    {Tensor("o", {q_block, w.head_dim}, output + offset)}};
      if (w.causal) {
        call.inputs.push_back(Tensor("mask", {q_block, keys}, masks[static_cast<size_t>(row / q_block)]));
      }
      program.calls.push_back(std::move(call));
    }
  }
  const std::string logits = w.causal ? "masked" : "s";
  program.graph.nodes.push_back(
      {"FusedMatMul", kMicrosoft, {"q", "k"}, {"s"}, {{"transB", 1}}, {{"alpha", Scale(w)}}});
  if (w.causal) program.graph.nodes.push_back({"Add", "", {"s", "mask"}, {"masked"}, {}, {}});
  program.graph.nodes.push_back({"Softmax", "", {logits}, {"p"}, {{"axis", -1}}, {}});
  program.graph.nodes.push_back({"MatMul", "", {"p", "v"}, {"o"}, {}, {}});
  return program;
}

class OnnxRuntimeAttention : public Contestant {
 public:
  OnnxRuntimeAttention(const OnnxRuntimeLibrary& library, Program program, const Problem& problem)
      : Contestant("onnxruntime", program.way), program_(std::move(program)), workload_(problem.workload()) {
    program_.TakeSignatureFromCalls();
    session_ = library.MakeSession(SerializeModel(program_.graph));
    for (const OnnxCall& call : program_.calls) session_->AddCall(call);
  }

  double Run() override {
    const auto begin = std::chrono::steady_clock::now();
    for (size_t call = 0; call < program_.calls.size(); ++call) session_->Run(call);
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  }

  void ReadOutput(std::span<float> output) override {
    const Workload& w = workload_;
    if (program_.output_token_major) {
      TokenMajorToHeadMajor(program_.output, w.query_heads, w.query_tokens, w.head_dim, output.data());
    } else {
      std::copy_n(program_.output, w.query_heads * w.query_tokens * w.head_dim, output.data());
    }
  }

 private:
  Program program_;
  Workload workload_;
  std::unique_ptr<OnnxSession> session_;
};

}  // namespace

Contestants MakeOnnxRuntimeAttentions(const OnnxRuntimeLibrary& library, const Problem& problem,
                                      const std::function<void(const std::string&)>& report) {
  const Workload& w = problem.workload();
  std::vector<int64_t> q_blocks = {w.query_tokens};
  for (const int64_t q_block : {64, 128, 256, 512, 1024}) {
    if (q_block < w.query_tokens) q_blocks.push_back(q_block);
  }
  std::vector<Program> programs;
  programs.push_back(Attention23(problem));
  if (!w.causal) programs.push_back(Decomposed(problem));
  for (const int64_t q_block : q_blocks) {
    // Its mask counts from the first query of the call, so a causal block of queries would see the wrong
    // keys.
    if (!w.causal || q_block == w.query_tokens) programs.push_back(MultiHead(problem, q_block));
    if (w.causal || w.decode()) programs.push_back(GroupQuery(problem, q_block));
    if (q_block < w.query_tokens) programs.push_back(DecomposedBlocks(problem, q_block));
  }
  Contestants all;
  for (Program& program : programs) {
    const std::string way = program.way;
    try {
      all.push_back(std::make_unique<OnnxRuntimeAttention>(library, std::move(program), problem));
    } catch (const Error& error) {
      report("onnxruntime " + way + " left out: " + error.what());
    }
  }
  return all;
}

}  // namespace attention::peers
