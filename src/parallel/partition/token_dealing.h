// Every rank's tokens: by number (contiguous, zigzag), or by what they cost under the mask (balanced).
#ifndef SRC_PARALLEL_PARTITION_TOKEN_DEALING_H_
#define SRC_PARALLEL_PARTITION_TOKEN_DEALING_H_

#include <cstdint>
#include <vector>

#include "src/attention/mask.h"
#include "src/parallel/partition/partition.h"

namespace attention {

// By rank, each token once. contiguous and zigzag do not look at the mask (partition.h).
std::vector<TokenSegments> DealTokens(const Mask& mask, int64_t tokens, Sharding sharding, int64_t ranks);

// The fullest rank has at most so many times the mean: of pairs, and of tokens.
inline constexpr double kDealtBalance = 1.05;

// As many visible (query, key) pairs for every rank as for any other, and as many tokens: zigzag, which does
// so under a causal mask, generalised to every mask. Ranks stand in the order of their first tokens, those
// without any last. A function of its arguments alone, so every rank deals alike.
//
// 1. Whole documents, where that keeps the balance: those with the most pairs first, each to the rank that
//    has the fewest pairs so far (longest processing time first, Graham 1969). Taken if the fullest rank has
//    at most kDealtBalance times the mean, of pairs and of tokens. Nobody's keys are seen elsewhere then, and
//    nothing travels. Only for so few documents that no rank has many runs of tokens: at most 64, or 2P - 1.
// 2. Otherwise a necklace (Alon 1987): the sequence, seen as a circle, is cut into an arc for half of the
//    ranks and the rest for the other half, and so on; of an odd number of ranks one is served first. An arc
//    has its ranks' part of the tokens to the token, so every rank has as many as any other, or one more. Of
//    all arcs of a length those that begin at its multiples, all the way round, have the mean's pairs on
//    average, so between two neighbours of which one has too few and one too many lies one that has just
//    enough (Stromquist and Woodall 1985), and it is found by halving. Arcs that begin or end at a border of
//    documents, or at an earlier cut, are preferred while they are off by at most 4 % over all levels, and
//    among them the one that cuts the fewest keys from their queries.
//
//    The fullest rank has at most 1.041 times the mean, and 3 L pairs more, L being the most keys that one
//    query sees: each choice is off by half a row, and a token's rounding. There are at most 2P - 1 runs of
//    tokens in all, and 2P - 2 documents are cut, however many there are.
//
// Under `causal` that is zigzag: an arc across the end of the sequence is an early and a late chunk. Under
// `full` it is contiguous, under `window` too but for the first W tokens, which see less. One document is
// `causal`. Time: P log P searches, each by the logarithms of tokens and documents. Memory: the result.
std::vector<TokenSegments> DealBalanced(const Mask& mask, int64_t tokens, int64_t ranks);

}  // namespace attention

#endif  // SRC_PARALLEL_PARTITION_TOKEN_DEALING_H_
