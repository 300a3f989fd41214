// What a plan costs beside computing: the rows of strategy/exchange.h, applied to one rank of a plan.
#ifndef SRC_PARALLEL_PARTITION_COMMUNICATION_H_
#define SRC_PARALLEL_PARTITION_COMMUNICATION_H_

#include <cstdint>

#include "src/parallel/partition/attention_plan.h"

namespace attention {

// Payload bytes that the plan's rank sends to other ranks in one run. Equals what the communicator counts, in
// a test.
int64_t BytesSent(const AttentionPlan& plan);
// The same for estimates, which are made on rank 0: what the rank sends that sends most, as far as tokens
// and the mask tell ranks apart; heads are the plan's rank's.
int64_t MostBytesSent(const AttentionPlan& plan);
// Bytes of the exchange's buffers and states on the plan's rank; the kernel's workspace comes on top. Equals
// what is allocated, in a test.
int64_t ExchangeBufferBytes(const AttentionPlan& plan);
// Likewise.
int64_t MostExchangeBufferBytes(const AttentionPlan& plan);

// Bytes of Q, K, V and output as the plan's rank is given them and leaves them. Equals its shards, in a test.
int64_t TensorBytes(const AttentionPlan& plan);
// Likewise; where tokens are dealt by the mask, of the rank that has the most.
int64_t MostTensorBytes(const AttentionPlan& plan);
// Query rows that a rank computes for one head, the most of any rank.
int64_t MostQueryTokens(const AttentionPlan& plan);

}  // namespace attention

#endif  // SRC_PARALLEL_PARTITION_COMMUNICATION_H_
