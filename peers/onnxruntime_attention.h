// ONNX Runtime's ways of computing attention, each as a model of its own.
#ifndef PEERS_ONNXRUNTIME_ATTENTION_H_
#define PEERS_ONNXRUNTIME_ATTENTION_H_

#include <functional>
#include <string>

#include "peers/contestant.h"
#include "peers/onnxruntime_library.h"
#include "peers/workload.h"

namespace attention::peers {

// Every operation that can do the workload, with every query block worth trying. An operation that the
// library refuses is left out, and `report` is told why. problem and library outlive the result.
//   Attention             ai.onnx opset 23, head-major, KV heads shared
//   MultiHeadAttention    com.microsoft; K and V repeated for every query head beforehand, untimed
//   GroupQueryAttention   com.microsoft; causal and decode only. Prefill copies K and V into the cache (its
//                         contract); in decode the cache is in place and one new key is appended
//   MatMul-Softmax-MatMul the decomposed graph, heads of a group as rows; causal only in blocks of queries
// q_block: the operation is called on blocks of queries, one after another.
Contestants MakeOnnxRuntimeAttentions(const OnnxRuntimeLibrary& library, const Problem& problem,
                                      const std::function<void(const std::string&)>& report);

}  // namespace attention::peers

#endif  // PEERS_ONNXRUNTIME_ATTENTION_H_
