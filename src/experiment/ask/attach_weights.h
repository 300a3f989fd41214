// Ties an experiment to the weights it names.
#ifndef SRC_EXPERIMENT_ASK_ATTACH_WEIGHTS_H_
#define SRC_EXPERIMENT_ASK_ATTACH_WEIGHTS_H_

#include "src/experiment/ask/experiment_spec.h"
#include "src/mpi/communicator.h"

namespace attention {

// Collective. Opens spec.weights_path, if there is one, and takes the model from it. Throws the same Error
// (bad usage), one line, on every rank if a tensor that some scope of the experiment needs is missing or
// misshaped, if one would go unread, if the experiment names another model too, or if it has a scope without
// weights.
void AttachWeights(ExperimentSpec& spec, const Communicator& communicator);

}  // namespace attention

#endif  // SRC_EXPERIMENT_ASK_ATTACH_WEIGHTS_H_
