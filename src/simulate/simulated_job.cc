#include "src/simulate/simulated_job.h"

#include <mpi.h>

#include <algorithm>
#include <exception>
#include <simgrid/s4u.hpp>
#include <string>
#include <utility>
#include <vector>

#include "src/base/error.h"
#include "src/simulate/simulated_time.h"

namespace attention {
namespace {

namespace s4u = simgrid::s4u;

constexpr const char* kJob = "job";

void Configure() {
  for (const char* setting : {// What is not a kernel, a copy or a message takes no time.
                              "smpi/simulate-computation:no", "smpi/wtime:0", "smpi/test:0", "smpi/iprobe:0",
                              // Latency and bandwidth are those of the platform, for messages of every size;
                              // what is sent one way does not slow what comes the other.
                              "network/model:CM02", "network/crosstraffic:0",
                              // Nor does a window of TCP limit it.
                              "network/TCP-gamma:0", "debug/verbose-exit:0"}) {
    s4u::Engine::set_config(setting);
  }
}

class SimulatedMachine {
 public:
  explicit SimulatedMachine(const Platform& platform) : platform_(platform) {
    if (platform.fat_tree.empty()) {
      MakeStar();
    } else {
      MakeFatTree();
    }
  }
  const std::vector<s4u::Host*>& hosts() const { return hosts_; }

 private:
  s4u::Host* MakeHost(s4u::NetZone* zone) {
    const std::string name = "node" + std::to_string(hosts_.size());
    s4u::Host* host = zone->create_host(name, kCoreSpeed * platform_.core_speed);
    host->set_core_count(platform_.cores_per_node);
    if (platform_.memory_bytes_per_second > 0) {
      const double bandwidth = platform_.memory_bytes_per_second;
      host->create_disk(name + "_memory", bandwidth, bandwidth)->seal();
    }
    host->seal();
    hosts_.push_back(host);
    return host;
  }
  s4u::Link* MakeWithin(s4u::NetZone* zone, const std::string& node) {
    s4u::Link* link = zone->create_link(node + "_within", platform_.within_node.bytes_per_second);
    return link->set_latency(platform_.within_node.latency_seconds)->seal();
  }

  void MakeStar() {
    s4u::NetZone* zone = s4u::create_star_zone("network");
    for (int i = 0; i < platform_.nodes; ++i) {
      s4u::Host* host = MakeHost(zone);
      // Half of the way is on the other node's link.
      s4u::SplitDuplexLink* nic =
          zone->create_split_duplex_link(host->get_name() + "_nic", platform_.network.bytes_per_second);
      nic->set_latency(platform_.network.latency_seconds / 2);
      nic->seal();
      s4u::Link* within = MakeWithin(zone, host->get_name());
      zone->add_route(host->get_netpoint(), nullptr, nullptr, nullptr,
                      {{nic, s4u::LinkInRoute::Direction::UP}}, true);
      zone->add_route(host->get_netpoint(), host->get_netpoint(), nullptr, nullptr,
                      std::vector<s4u::LinkInRoute>{s4u::LinkInRoute(within)}, true);
    }
    zone->seal();
  }

  void MakeFatTree() {
    std::vector<unsigned int> down, up, links;
    for (const FatTreeLevel& level : platform_.fat_tree) {
      down.push_back(static_cast<unsigned int>(level.down));
      up.push_back(static_cast<unsigned int>(level.up));
      links.push_back(static_cast<unsigned int>(level.links));
    }
    const auto levels = static_cast<unsigned int>(platform_.fat_tree.size());
    const s4u::ClusterCallbacks callbacks(
        [this](s4u::NetZone* zone, const std::vector<unsigned long>&, unsigned long) {
          return std::make_pair(MakeHost(zone)->get_netpoint(),
                                static_cast<simgrid::kernel::routing::NetPoint*>(nullptr));
        },
        [this](s4u::NetZone* zone, const std::vector<unsigned long>&, unsigned long id) {
          return MakeWithin(zone, "node" + std::to_string(id));
        },
        nullptr);
    // A message between neighbours takes two links, one up and one down.
    s4u::create_fatTree_zone("network", nullptr, s4u::FatTreeParams(levels, down, up, links), callbacks,
                             platform_.network.bytes_per_second, platform_.network.latency_seconds / 2,
                             s4u::Link::SharingPolicy::SPLITDUPLEX)
        ->seal();
  }

  const Platform& platform_;
  std::vector<s4u::Host*> hosts_;
};

}  // namespace

int RanksPerNode(const Platform& platform, const JobShape& shape) {
  const int fit = platform.cores_per_node / shape.threads;
  const int needed = fit == 0 ? 0 : (shape.ranks + fit - 1) / fit;
  if (fit == 0 || needed > platform.nodes) {
    FailUsage(shape.ranks, " ranks of ", shape.threads, " threads do not fit on platform ", platform.name,
              ": ", platform.nodes, " nodes of ", platform.cores_per_node, " cores");
  }
  if (shape.placement == Placement::kPacked) return fit;
  return (shape.ranks + platform.nodes - 1) / platform.nodes;
}

int NodesUsed(const Platform& platform, const JobShape& shape) {
  const int per_node = RanksPerNode(platform, shape);
  return (shape.ranks + per_node - 1) / per_node;
}

void RunSimulatedJob(const Platform& platform, const Calibration& calibration, const JobShape& shape,
                     const std::function<void(Communicator& world)>& rank) {
  const int per_node = RanksPerNode(platform, shape);
  std::string program = "simulation", quiet = "--log=root.thres:error";
  char* arguments[] = {program.data(), quiet.data(), nullptr};
  int count = 2;
  s4u::Engine engine(&count, arguments);
  Configure();
  SMPI_init();
  const SimulatedMachine machine(platform);
  HostCosts costs = {&calibration, &calibration};
  for (s4u::Host* host : machine.hosts()) host->set_data(&costs);
  SMPI_app_instance_register(kJob, nullptr, shape.ranks);
  std::exception_ptr failure;
  int ended = 0;
  const auto run = [&] {
    int provided = 0;
    MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &provided);
    {
      Communicator world(MPI_COMM_WORLD);
      world.settings().watchdog_seconds = 0;
      try {
        rank(world);
      } catch (const std::exception&) {  // not what SimGrid throws to end a rank
        if (!failure) failure = std::current_exception();
      }
    }
    MPI_Finalize();
    ++ended;
  };
  for (int r = 0; r < shape.ranks; ++r) {
    s4u::ActorPtr actor =
        s4u::Actor::init("rank" + std::to_string(r), machine.hosts()[static_cast<size_t>(r / per_node)]);
    actor->set_property("instance_id", kJob);
    actor->set_property("rank", std::to_string(r));
    actor->start(run);
  }
  engine.run();
  // What a rank said that gave up is why the others waited for it.
  if (failure) std::rethrow_exception(failure);
  // SimGrid ends them then.
  if (ended < shape.ranks) Fail("ranks wait for each other, and will for ever");
  SMPI_finalize();
}

}  // namespace attention
