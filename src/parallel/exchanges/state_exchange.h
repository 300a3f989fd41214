// Softmax states between ranks: o, m and l of the same rows, as one message.
#ifndef SRC_PARALLEL_EXCHANGES_STATE_EXCHANGE_H_
#define SRC_PARALLEL_EXCHANGES_STATE_EXCHANGE_H_

#include <cstdint>

#include "src/attention/attention_types.h"
#include "src/mpi/request_set.h"

namespace attention {

// One message per state (several if it passes the message limit; then pieces are whole rows with their m and
// l).
void SendState(RequestSet& requests, const AttentionStateView& state, int destination);
void ReceiveState(RequestSet& requests, const AttentionStateView& state, int source);
// Heads [head_begin, head_begin + heads) of a state; ReceiveState takes them as a state of so many heads.
void SendHeadsOfState(RequestSet& requests, const AttentionStateView& state, int64_t head_begin,
                      int64_t heads, int destination);
// The same on one rank.
void CopyHeadsOfState(RequestSet& requests, const AttentionStateView& state, int64_t head_begin,
                      const AttentionStateView& into);

}  // namespace attention

#endif  // SRC_PARALLEL_EXCHANGES_STATE_EXCHANGE_H_
