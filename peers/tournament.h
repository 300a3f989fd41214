// Runs the contestants of one column: correctness, choice of each one's best way, then paired rounds.
#ifndef PEERS_TOURNAMENT_H_
#define PEERS_TOURNAMENT_H_

#include <cstdint>
#include <iosfwd>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "peers/contestant.h"
#include "peers/workload.h"
#include "src/simd/isa.h"

namespace attention::peers {

struct TournamentOptions {
  int max_rounds = 31;
  int min_rounds = 11;
  // A column stops at max_rounds, or, after min_rounds, at this time (tuning not counted).
  double seconds = 60;
  Isa peak_isa = Isa::kScalar;
};

// Where the rows go; headers are written by WriteHeaders.
struct TournamentFiles {
  std::ostream& samples;
  std::ostream& ways;
};

void WriteHeaders(const TournamentFiles& files);

// One accurate way of each contestant, the fastest of three passes (a pass over a second: of one); every
// way's accuracy and time go to files.ways. Ways off from float64 are dropped and make `all_accurate` false.
Contestants ChooseBestWays(Contestants ways, const Problem& problem, const TournamentFiles& files,
                           bool& all_accurate);

// Which way each contestant of a column takes, from an earlier run's ways.csv: its fastest accurate one.
class ChosenWays {
 public:
  // Throws Error (bad usage) if the file cannot be read or is not a ways.csv.
  explicit ChosenWays(const std::string& path);
  // The ways to keep: the chosen one, or all of a contestant of whose ways the file has none.
  Contestants Filter(Contestants ways, const std::string& column) const;

 private:
  std::map<std::pair<std::string, std::string>, std::pair<double, std::string>> best_;
};

// Each round: FMA peak and read bandwidth (over as many bytes as K and V), then every contestant once, in
// random order. A sample is one untimed pass where a pass is short, then the mean of enough passes for 20 ms.
void RunRounds(const Contestants& contestants, const Problem& problem, const TournamentOptions& options,
               const TournamentFiles& files);

}  // namespace attention::peers

#endif  // PEERS_TOURNAMENT_H_
