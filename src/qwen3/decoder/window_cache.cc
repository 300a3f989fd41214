#include "src/qwen3/decoder/window_cache.h"

#include <algorithm>

#include "src/mpi/request_set.h"

namespace attention {
namespace {

// Tokens that follow each other, in rows and in slots: of a share, all within one round of the ring. `kept`:
// how many are kept before them.
struct Run {
  int64_t token, row, count, kept;
};

std::vector<Run> KeptRuns(const TokenSegments& share, int64_t tokens, int64_t window) {
  std::vector<Run> runs;
  int64_t kept = 0;
  for (const TokenSegment& segment : share) {
    const int64_t end = segment.global_begin + segment.length;
    int64_t token = std::max(segment.global_begin, tokens - window + 1);
    while (token < end) {
      const int64_t next = std::min(end, (token / window + 1) * window);
      runs.push_back({token, segment.local_begin + token - segment.global_begin, next - token, kept});
      kept += next - token;
      token = next;
    }
  }
  return runs;
}

// Every step-th row from `row` on.
TensorView Rows(const TensorView& view, int64_t row, int64_t count, int64_t step = 1) {
  TensorView rows = view.SliceTokens(row, count);
  rows.token_stride *= step;
  return rows;
}

}  // namespace

void KeepWindow(const Communicator& communicator, const std::vector<TokenSegments>& dealt, int64_t own,
                int64_t window, KeyValueCache& cache, KeyValueCache& scratch) {
  const auto parts = static_cast<int64_t>(dealt.size());
  int64_t tokens = 0;
  for (const TokenSegments& share : dealt) tokens += TokenCount(share);
  RequestSet requests(communicator);
  // Rows arrive where others have not left yet.
  for (const Run& run : KeptRuns(dealt[static_cast<size_t>(own)], tokens, window)) {
    requests.Copy(Rows(cache.keys(), run.row, run.count), Rows(scratch.keys(), run.kept, run.count));
    requests.Copy(Rows(cache.values(), run.row, run.count), Rows(scratch.values(), run.kept, run.count));
  }
  for (int64_t source = 0; source < parts; ++source) {
    for (const Run& run : KeptRuns(dealt[static_cast<size_t>(source)], tokens, window)) {
      for (int64_t destination = 0; destination < parts; ++destination) {
        const int64_t first = (destination - run.token % window % parts + parts) % parts;
        if (first >= run.count || (source != own && destination != own)) continue;
        const int64_t count = (run.count - first + parts - 1) / parts;
        const int64_t to = PlaceInWindow(run.token + first, window, parts).row;
        const auto from = [&](const TensorView& view) { return Rows(view, run.kept + first, count, parts); };
        if (source == destination) {
          requests.Copy(from(scratch.keys()), Rows(cache.keys(), to, count));
          requests.Copy(from(scratch.values()), Rows(cache.values(), to, count));
        } else if (source == own) {
          requests.Send({from(scratch.keys()), from(scratch.values())}, static_cast<int>(destination));
        } else {
          requests.Receive({Rows(cache.keys(), to, count), Rows(cache.values(), to, count)},
                           static_cast<int>(source));
        }
      }
    }
  }
  requests.Wait("keeping a window of the K/V cache", 0);
}

}  // namespace attention
