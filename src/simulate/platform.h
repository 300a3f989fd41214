// A machine to simulate, read from a short YAML file.
#ifndef SRC_SIMULATE_PLATFORM_H_
#define SRC_SIMULATE_PLATFORM_H_

#include <cstdint>
#include <string>
#include <vector>

#include "src/simd/isa.h"

namespace attention {

// What messages of ranks of one node, or of two, travel on.
struct LinkSpeed {
  double bytes_per_second = 0;  // payload
  double latency_seconds = 0;
};

// How well a machine is known: standard deviations of the logarithms of its figures, each drawn by itself.
// Where a file says nothing these are assumed. Errors of the model itself are not among them.
struct Uncertainty {
  double cores = 0.05;      // of their speed over the calibrated core's
  double kernels = 0.03;    // of what each kind of step of a kernel costs on a core
  double bandwidths = 0.1;  // of each link's, and the memory's
  double latencies = 0.3;   // of each link's
};

// Links between two levels of a fat tree, from the nodes up.
struct FatTreeLevel {
  int down = 1;   // to each element of this level
  int up = 1;     // switches of this level that an element below is linked to
  int links = 1;  // between two that are linked
};

//   name: home                   # letters, digits, _ and -
//   about: where the figures are from
//   nodes: 16
//   cores_per_node: 4
//   isa: avx2                    # of its cores, what isa: auto means
//   core_speed: 1.0              # over the calibrated core's
//   memory_gb_per_s: 40          # of a node, its ranks share it; left out: no limit
//   within_node: {gb_per_s: 4, latency_us: 1}    # between ranks of a node, which share it
//   network: {gb_per_s: 0.117, latency_us: 30}   # a node's NIC, each way; its ranks share it
//   fat_tree: {down: [16, 4], up: [1, 4], links: [1, 1]}   # else one switch that never is the limit
//   uncertainty: {core_speed: 0.05, kernels: 0.03, gb_per_s: 0.1, latency_us: 0.3}   # see Uncertainty
struct Platform {
  std::string name;
  std::string about;
  std::string sha256;  // of the file
  int nodes = 1;
  int cores_per_node = 1;
  Isa isa = Isa::kScalar;
  double core_speed = 1;
  double memory_bytes_per_second = 0;  // 0: no limit
  LinkSpeed within_node;
  LinkSpeed network;
  std::vector<FatTreeLevel> fat_tree;  // empty: a star
  Uncertainty uncertainty;

  int cores() const { return nodes * cores_per_node; }
  // What it may be as well: cores, bandwidths and latencies drawn around it. The same for the same draw (from
  // 1 on); 0 is the platform itself.
  Platform Drawn(int draw) const;

  // Throws Error (bad usage) "file:line:column: key: what is wrong, what is allowed".
  static Platform Parse(const std::string& text, const std::string& file_name);
};

}  // namespace attention

#endif  // SRC_SIMULATE_PLATFORM_H_
