// One way of doing a workload: a library, one of its operations, one tile size.
#ifndef PEERS_CONTESTANT_H_
#define PEERS_CONTESTANT_H_

#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace attention::peers {

class Contestant {
 public:
  // name: the library, as in the files ("onednn"); way: operation and tile ("q_block=128").
  Contestant(std::string name, std::string way) : name_(std::move(name)), way_(std::move(way)) {}
  virtual ~Contestant() = default;
  Contestant(const Contestant&) = delete;
  Contestant& operator=(const Contestant&) = delete;

  const std::string& name() const { return name_; }
  const std::string& way() const { return way_; }

  // One pass over the workload, everything allocated beforehand; wall time in seconds.
  virtual double Run() = 0;
  // The result of the last Run, head-major [query_heads, query_tokens, head_dim].
  virtual void ReadOutput(std::span<float> output) = 0;

 private:
  std::string name_;
  std::string way_;
};

using Contestants = std::vector<std::unique_ptr<Contestant>>;

}  // namespace attention::peers

#endif  // PEERS_CONTESTANT_H_
