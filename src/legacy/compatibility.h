// The names of an earlier study (songxxzp/streaming-attention), forwarding to today's. Both of its functions
// divided heads among ranks; "streaming" is what is called online softmax here.
#ifndef SRC_LEGACY_COMPATIBILITY_H_
#define SRC_LEGACY_COMPATIBILITY_H_

#include <mpi.h>

#include "src/parallel/attention_api.h"

namespace attention {

enum class MPIAttentionType {
  STANDARD [[deprecated("use AttentionAlgorithm::kStandard")]],
  STREAMING [[deprecated("use AttentionAlgorithm::kOnlineSoftmax")]],
};

[[deprecated("use attention_headwise_standard")]] inline void self_attention_mpi_omp(
    const float* q, const float* k, const float* v, float* output, const AttentionShape& shape,
    MPI_Comm communicator, const AttentionOptions& options = {}) {
  attention_headwise_standard(q, k, v, output, shape, communicator, options);
}

[[deprecated("use attention_headwise_online_softmax")]] inline void self_attention_mpi_streaming_omp(
    const float* q, const float* k, const float* v, float* output, const AttentionShape& shape,
    MPI_Comm communicator, const AttentionOptions& options = {}) {
  attention_headwise_online_softmax(q, k, v, output, shape, communicator, options);
}

}  // namespace attention

#endif  // SRC_LEGACY_COMPATIBILITY_H_
