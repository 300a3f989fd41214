// Texts as vectors: `benchmark_qwen3 --embed FILE`, what Qwen3-Embedding is for.
//
// A text's vector is the hidden state behind the final norm of its last token (Qwen3-Embedding's pooling; the
// caller's tokenizer puts the end-of-text token there), or the mean over its tokens, divided by its Euclidean
// norm. So the product of two vectors is the cosine of the angle between them.
#ifndef SRC_EXPERIMENT_COMMANDS_EMBEDDING_H_
#define SRC_EXPERIMENT_COMMANDS_EMBEDDING_H_

#include <functional>
#include <span>
#include <string>

#include "src/attention/attention_backend.h"
#include "src/experiment/commands/embed_request.h"
#include "src/mpi/communicator.h"

namespace attention {

// Collective over `world`, all of which take part; spec.weights are attached, for hidden states. On rank 0
// `progress` (may be empty) gets lines, and `print` what ran, a line of a text's vector as soon as it is
// known, and tokens per second. Throws the same Error on every rank.
void EmbedTexts(const Communicator& world, EmbedRequest request, BackendFactory backend,
                const std::function<void(const std::string&)>& progress,
                const std::function<void(const std::string&)>& print);

// "embedding 0.25,-0.5,...\n", of length 1, with the digits that tell floats apart. Throws Error if a value
// is not finite or all are zero.
std::string EmbeddingLine(std::span<const float> hidden);

}  // namespace attention

#endif  // SRC_EXPERIMENT_COMMANDS_EMBEDDING_H_
