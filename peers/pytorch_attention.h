// PyTorch's scaled_dot_product_attention in a Python process of its own (pytorch_worker.py), timed there, one
// call at a time when asked: it runs in turn with the contestants of this process and never beside them.
#ifndef PEERS_PYTORCH_ATTENTION_H_
#define PEERS_PYTORCH_ATTENTION_H_

#include <functional>
#include <string>

#include "peers/contestant.h"
#include "peers/workload.h"

namespace attention::peers {

struct PyTorchPlace {
  std::string python = "/usr/bin/python3";
  std::string worker;  // path of pytorch_worker.py
};

// Starts the worker on the problem; it inherits this thread's affinity and ends with the last contestant.
// Throws Error if it does not start (no PyTorch). report is told the worker's versions.
Contestants MakePyTorchAttentions(const PyTorchPlace& place, const Problem& problem,
                                  const std::function<void(const std::string&)>& report);

}  // namespace attention::peers

#endif  // PEERS_PYTORCH_ATTENTION_H_
