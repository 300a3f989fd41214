// Cells measured by turns, round by round, so that what a claim compares is measured in the same minutes.
#ifndef SRC_EXPERIMENT_MEASURE_TURNS_H_
#define SRC_EXPERIMENT_MEASURE_TURNS_H_

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "src/experiment/measure/cell_runner.h"
#include "src/experiment/plan/plan.h"
#include "src/machine/placement.h"
#include "src/mpi/communicator.h"

namespace attention {

// Indices of a plan's cells: each bundle together where its first cell stands, every other cell alone.
std::vector<std::vector<size_t>> CellTurns(const std::vector<Cell>& cells);

struct TurnMember {
  const Cell* cell = nullptr;
  CellOptions options;
};

struct TurnResult {
  std::vector<CellResult> cells;    // one per member; complete on rank 0 of the world
  std::vector<std::string> pinned;  // per member: where its ranks' threads are, on rank 0 of the world
  bool stopped = false;             // by a signal, on every rank
};

// Collective over `world`. Takes a place for each member and measures them: one after another in every round,
// in an order drawn from order_seed; all have as many rounds as the one that asks for most. Ranks without a
// part sleep meanwhile. nodes, oversubscribed and bundle of the options are filled in; `on_begin` is called
// on every rank before a member is set up. Throws the same Error on every rank.
TurnResult RunTurn(const Communicator& world, const Topology& topology, std::vector<TurnMember> members,
                   const std::function<void(size_t member)>& on_begin);

}  // namespace attention

#endif  // SRC_EXPERIMENT_MEASURE_TURNS_H_
