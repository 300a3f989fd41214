#include "src/machine/placement.h"

#include <omp.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <tuple>
#include <utility>

#include "src/base/error.h"
#include "src/machine/cgroup_limits.h"
#include "src/mpi/agreement.h"

namespace attention {
namespace {

int ReadTopologyNumber(int cpu, const char* name) {
  std::ifstream file(internal::Concatenate("/sys/devices/system/cpu/cpu", cpu, "/topology/", name));
  int value = -1;
  return file >> value ? value : -1;
}

std::vector<int> ParseNumbers(const std::string& text) {
  std::istringstream stream(text);
  std::vector<int> numbers;
  for (int number; stream >> number;) numbers.push_back(number);
  return numbers;
}

std::string HostName() {
  char name[256] = {};
  if (gethostname(name, sizeof(name) - 1) != 0) return "unknown";
  return name;
}

// The ranks of a cell, in its communicator's order.
std::vector<std::pair<int, int>> ChooseRanks(const Topology& topology, int ranks, Placement placement) {
  std::vector<std::pair<int, int>> chosen;  // (node, world rank)
  if (placement == Placement::kPacked) {
    for (size_t n = 0; n < topology.nodes.size(); ++n) {
      for (int rank : topology.nodes[n].ranks) chosen.emplace_back(n, rank);
    }
  } else {
    size_t most = 0;
    for (const Node& node : topology.nodes) most = std::max(most, node.ranks.size());
    for (size_t i = 0; i < most; ++i) {
      for (size_t n = 0; n < topology.nodes.size(); ++n) {
        if (i < topology.nodes[n].ranks.size()) chosen.emplace_back(n, topology.nodes[n].ranks[i]);
      }
    }
  }
  Require(static_cast<int>(chosen.size()) >= ranks, ranks, " ranks asked, ", chosen.size(), " are there");
  chosen.resize(ranks);
  return chosen;
}

// What cannot be set right is a complaint (CheckTeam).
void OverrideSiteDefaults() {
  omp_set_dynamic(0);
  if (omp_get_max_active_levels() < 1) omp_set_max_active_levels(1);
}

void CheckTeam(int asked, int team) {
  if (team == asked) return;
  FailUsage(asked, " threads per rank are asked for, the OpenMP runtime gives ", team,
            " (OMP_THREAD_LIMIT is ", omp_get_thread_limit(), "); raise the limit, or ask for fewer threads");
}

}  // namespace

std::string_view Name(Placement placement) { return placement == Placement::kPacked ? "packed" : "spread"; }

std::vector<int> CurrentCpus() {
  std::vector<int> cpus;
  // Machines have more CPUs than cpu_set_t's 1024 only rarely; grow until the kernel is content.
  for (int capacity = CPU_SETSIZE; capacity <= (1 << 20); capacity *= 4) {
    cpu_set_t* set = CPU_ALLOC(capacity);
    const size_t bytes = CPU_ALLOC_SIZE(capacity);
    const bool known = sched_getaffinity(0, bytes, set) == 0;
    for (int cpu = 0; known && cpu < capacity; ++cpu) {
      if (CPU_ISSET_S(cpu, bytes, set)) cpus.push_back(cpu);
    }
    CPU_FREE(set);
    if (known) break;
  }
  return cpus;
}

std::string FormatCpuList(const std::vector<int>& cpus) {
  std::string text;
  for (size_t i = 0; i < cpus.size();) {
    size_t j = i;
    while (j + 1 < cpus.size() && cpus[j + 1] == cpus[j] + 1) ++j;
    if (!text.empty()) text += ",";
    text += std::to_string(cpus[i]);
    if (j > i) text += "-" + std::to_string(cpus[j]);
    i = j + 1;
  }
  return text;
}

std::string CurrentAffinity() { return FormatCpuList(CurrentCpus()); }

std::vector<int> OrderCpus(std::vector<int> cpus) {
  std::map<std::pair<int, int>, int> used;  // (package, core) -> CPUs of it so far
  std::vector<std::tuple<int, int, int, int>> keyed;
  std::sort(cpus.begin(), cpus.end());
  for (int cpu : cpus) {
    const int package = ReadTopologyNumber(cpu, "physical_package_id");
    const int core = ReadTopologyNumber(cpu, "core_id");
    const int sibling = core < 0 ? 0 : used[{package, core}]++;
    keyed.emplace_back(sibling, package, core, cpu);
  }
  std::sort(keyed.begin(), keyed.end());
  for (size_t i = 0; i < cpus.size(); ++i) cpus[i] = std::get<3>(keyed[i]);
  return cpus;
}

Topology DiscoverTopology(const Communicator& world) {
  MPI_Comm node_handle;
  MPI_Comm_split_type(world.handle(), MPI_COMM_TYPE_SHARED, world.rank(), MPI_INFO_NULL, &node_handle);
  int leader = world.rank();
  MPI_Bcast(&leader, 1, MPI_INT, 0, node_handle);
  MPI_Comm_free(&node_handle);
  std::string cpu_text;
  for (int cpu : CurrentCpus()) cpu_text += std::to_string(cpu) + " ";
  Topology topology;
  std::map<int, std::set<int>> cpus_of_leader;
  std::map<int, size_t> node_of_leader;
  for (int rank = 0; rank < world.size(); ++rank) {
    const std::string line =
        world.Broadcast(internal::Concatenate(leader, " ", HostName(), "\n", cpu_text), rank);
    const size_t newline = line.find('\n');
    const size_t space = line.find(' ');
    const int its_leader = std::stoi(line.substr(0, space));
    const std::vector<int> cpus = ParseNumbers(line.substr(newline + 1));
    if (node_of_leader.emplace(its_leader, topology.nodes.size()).second) {
      topology.nodes.push_back({line.substr(space + 1, newline - space - 1), {}, {}});
    }
    topology.nodes[node_of_leader[its_leader]].ranks.push_back(rank);
    cpus_of_leader[its_leader].insert(cpus.begin(), cpus.end());
    topology.affinities.push_back(FormatCpuList(cpus));
  }
  // /sys of another node cannot be read here: each leader orders its own CPUs and tells the others.
  for (auto& [its_leader, node] : node_of_leader) {
    std::string ordered;
    if (world.rank() == its_leader) {
      const std::set<int>& mine = cpus_of_leader[its_leader];
      for (int cpu : OrderCpus({mine.begin(), mine.end()})) ordered += std::to_string(cpu) + " ";
    }
    topology.nodes[node].cpus = ParseNumbers(world.Broadcast(ordered, its_leader));
    const std::string granted = world.Broadcast(std::to_string(ReadCgroupLimits().cpus), its_leader);
    topology.nodes[node].granted_cpus = std::stod(granted);
  }
  return topology;
}

Assignment AssignRanks(const Topology& topology, int ranks, int threads, Placement placement) {
  const std::vector<std::pair<int, int>> chosen = ChooseRanks(topology, ranks, placement);
  std::vector<int> members_on(topology.nodes.size(), 0), next(topology.nodes.size(), 0);
  for (const auto& [node, rank] : chosen) ++members_on[node];
  Assignment assignment;
  assignment.nodes = static_cast<int>(
      std::count_if(members_on.begin(), members_on.end(), [](int count) { return count > 0; }));
  for (const auto& [node, rank] : chosen) {
    const std::vector<int>& cpus = topology.nodes[node].cpus;
    Require(!cpus.empty(), "no CPU is known on ", topology.nodes[node].host);
    const int available = static_cast<int>(cpus.size());
    const int wanted = members_on[node] * threads;
    if (wanted > available || wanted > topology.nodes[node].granted_cpus + 1e-6)
      assignment.oversubscribed = true;
    const int stride = placement == Placement::kSpread ? std::max(1, available / wanted) : 1;
    Assignment::Member member{rank, node, {}};
    for (int thread = 0; thread < threads; ++thread) {
      member.cpus.push_back(cpus[static_cast<size_t>(next[node]++) * stride % available]);
    }
    assignment.members.push_back(member);
  }
  return assignment;
}

void RequireTeam(int threads) {
  OverrideSiteDefaults();
  int team = 0;
#pragma omp parallel num_threads(threads)
  {
#pragma omp single
    team = omp_get_num_threads();
  }
  CheckTeam(threads, team);
}

std::string PinThreads(const std::vector<int>& cpus) {
  const int threads = static_cast<int>(cpus.size());
  OverrideSiteDefaults();
  int team = 0;
  std::vector<std::string> got(cpus.size());
#pragma omp parallel num_threads(threads)
  {
#pragma omp single
    team = omp_get_num_threads();
    const int thread = omp_get_thread_num();
    cpu_set_t* set = CPU_ALLOC(cpus[thread] + 1);
    const size_t bytes = CPU_ALLOC_SIZE(cpus[thread] + 1);
    CPU_ZERO_S(bytes, set);
    CPU_SET_S(cpus[thread], bytes, set);
    (void)sched_setaffinity(0, bytes, set);  // what came of it is read back
    CPU_FREE(set);
    got[thread] = CurrentAffinity();
  }
  CheckTeam(threads, team);
  std::string text;
  for (const std::string& affinity : got) text += (text.empty() ? "" : ";") + affinity;
  return text;
}

std::optional<Place> TakePlace(const Communicator& world, const Assignment& assignment, int threads) {
  const auto mine = std::find_if(assignment.members.begin(), assignment.members.end(),
                                 [&](const auto& member) { return member.world_rank == world.rank(); });
  const bool takes_part = mine != assignment.members.end();
  std::optional<Communicator> group =
      world.Split(takes_part ? 0 : -1, static_cast<int>(mine - assignment.members.begin()));
  if (!takes_part) return std::nullopt;
  Require(mine->cpus.size() == static_cast<size_t>(threads), "a place has a CPU for each thread");
  Place place{std::move(*group), "", mine->cpus};
  ReturnTo(place);
  return place;
}

void ReturnTo(Place& place) {
  omp_set_num_threads(static_cast<int>(place.cpus.size()));
  AgreeOnErrors(place.group, [&] { place.pinned = PinThreads(place.cpus); });
}

}  // namespace attention
