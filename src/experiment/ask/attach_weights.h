// Ties an experiment to the weights it names.
#ifndef SRC_EXPERIMENT_ASK_ATTACH_WEIGHTS_H_
#define SRC_EXPERIMENT_ASK_ATTACH_WEIGHTS_H_

#include "src/experiment/ask/experiment_spec.h"
#include "src/mpi/communicator.h"

namespace attention {

// What is asked of a model: its predictions, for which it needs an LM head and causal attention; its hidden
// states alone, then config.has_lm_head is false, whatever the file has, and no head is loaded; or its cost,
// for which every layer has the mask of its cell.
enum class ModelOutput { kLogits, kHiddenStates, kCost };

// Collective. Opens spec.weights_path, if there is one, and takes the model from it. Throws the same Error
// (bad usage), one line, on every rank if a tensor that some scope of the experiment needs is missing or
// misshaped, if one would go unread, if the experiment names another model too, or if it has a scope without
// weights, or if the model cannot give what is asked of it.
void AttachWeights(ExperimentSpec& spec, const Communicator& communicator,
                   ModelOutput output = ModelOutput::kCost);

}  // namespace attention

#endif  // SRC_EXPERIMENT_ASK_ATTACH_WEIGHTS_H_
