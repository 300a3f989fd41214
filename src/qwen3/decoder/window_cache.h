// The K/V cache of a layer that slides, while decoding: the last `window` tokens, in a ring of slots. Room is
// for the whole text, as prefill fills it; what decoding reads is the window alone.
//
// A decoded token sees its own and the window - 1 before it, and takes the place of the one that it no longer
// sees: token t lies in slot t % window. Slots are dealt in turn, s in row s / parts of part s % parts, so
// that parts differ by one token at most, however long the text grows; under headwise there is one part, a
// rank's own heads. Which row a visible key lies in does not matter, so attention reads the first rows as
// they are.
//
//   window 5, two parts     part 0, slots 0 2 4     part 1, slots 1 3
//   after 8 tokens          5 7 4                   6 3
//   and a ninth, slot 3     5 7 4                   6 8
#ifndef SRC_QWEN3_DECODER_WINDOW_CACHE_H_
#define SRC_QWEN3_DECODER_WINDOW_CACHE_H_

#include <cstdint>
#include <vector>

#include "src/mpi/communicator.h"
#include "src/parallel/partition/partition.h"
#include "src/qwen3/decoder/key_value_cache.h"

namespace attention {

// Whose cache a token goes into, and which row of it.
struct CachePlace {
  int64_t part = 0;
  int64_t row = 0;
};
inline CachePlace PlaceInWindow(int64_t token, int64_t window, int64_t parts) {
  const int64_t slot = token % window;
  return {slot % parts, slot / parts};
}

// Collective, unless there is one part. Moves the last window - 1 tokens, those that the next one sees, from
// where a prefill left them, dealt[part], to their places. `own` is this rank's part; `scratch` has room for
// so many tokens as its share has of them.
void KeepWindow(const Communicator& communicator, const std::vector<TokenSegments>& dealt, int64_t own,
                int64_t window, KeyValueCache& cache, KeyValueCache& scratch);

}  // namespace attention

#endif  // SRC_QWEN3_DECODER_WINDOW_CACHE_H_
