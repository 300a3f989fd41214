// Ties an experiment to the weights it names.
#ifndef SRC_EXPERIMENT_ASK_ATTACH_WEIGHTS_H_
#define SRC_EXPERIMENT_ASK_ATTACH_WEIGHTS_H_

#include "src/experiment/ask/experiment_spec.h"

namespace attention {

// Opens spec.weights_path, if there is one, and takes the model from it. Throws Error (bad usage), one line,
// if a tensor that some scope of the experiment needs is missing or misshaped, if the experiment names
// another model too, or if it has a scope without weights.
void AttachWeights(ExperimentSpec& spec);

}  // namespace attention

#endif  // SRC_EXPERIMENT_ASK_ATTACH_WEIGHTS_H_
