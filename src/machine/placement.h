// Which ranks take part in a cell, and on which CPUs their threads run.
#ifndef SRC_MACHINE_PLACEMENT_H_
#define SRC_MACHINE_PLACEMENT_H_

#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "src/mpi/communicator.h"

namespace attention {

enum class Placement { kPacked, kSpread };
std::string_view Name(Placement placement);

// A node as seen by its ranks.
struct Node {
  std::string host;
  std::vector<int> ranks;  // of the world, ascending
  std::vector<int> cpus;   // union of its ranks' first affinity masks: cores before their hyper-threads
  // CPU time per time that its ranks together are granted (control groups).
  double granted_cpus = std::numeric_limits<double>::infinity();
};

struct Topology {
  std::vector<Node> nodes;              // ordered by first rank
  std::vector<std::string> affinities;  // "0-3,8" of every world rank, at start
};

// Collective: who is where, and what each may run on.
Topology DiscoverTopology(const Communicator& world);

// CPUs in the order threads should take them: one per core first, grouped by package, then the second
// hyper-threads. Reads /sys; CPUs it does not know keep their order.
std::vector<int> OrderCpus(std::vector<int> cpus);

// A cell's participants in rank order of its communicator (world rank 0 always first) and their CPUs.
struct Assignment {
  struct Member {
    int world_rank = 0;
    int node = 0;
    std::vector<int> cpus;  // one per thread
  };
  std::vector<Member> members;
  int nodes = 1;
  bool oversubscribed = false;  // two threads share a CPU, or there is less CPU time than threads
};

// packed: node after node, neighbouring CPUs. spread: round robin over nodes, CPUs as far apart as they go.
Assignment AssignRanks(const Topology& topology, int ranks, int threads, Placement placement);

// Binds the calling thread's OpenMP team of cpus.size() threads, thread i to cpus[i]; the caller is thread 0.
// Returns what each thread's affinity is afterwards, "0;1". Where binding is refused (a container's rule),
// threads stay where they were, which the answer shows. Throws Error (bad usage) if the runtime gives fewer
// threads.
// Throws Error (bad usage) if the OpenMP runtime makes no team of so many threads.
void RequireTeam(int threads);
std::string PinThreads(const std::vector<int>& cpus);

// This rank's part in a cell.
struct Place {
  Communicator group;  // of the cell's ranks, in the order of their places
  std::string pinned;  // as PinThreads says
  std::vector<int> cpus;
};

// Collective over `world`: makes the group of the assignment's members and binds this rank's team of
// `threads`, which is its default from now on. Nothing where this rank has no part.
std::optional<Place> TakePlace(const Communicator& world, const Assignment& assignment, int threads);

// Collective over place.group: binds the team anew, after another place was taken.
void ReturnTo(Place& place);

// "0-3,8": the CPUs the calling thread may run on.
std::string CurrentAffinity();
std::vector<int> CurrentCpus();
std::string FormatCpuList(const std::vector<int>& cpus);

}  // namespace attention

#endif  // SRC_MACHINE_PLACEMENT_H_
