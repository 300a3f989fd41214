// Errors and plans agreed across ranks: either every rank goes on, or every rank throws the same Error.
#ifndef SRC_MPI_AGREEMENT_H_
#define SRC_MPI_AGREEMENT_H_

#include <functional>
#include <string>

#include "src/mpi/communicator.h"

namespace attention {

// Collective. Runs `function` on every rank. If it threw on any of them, every rank throws the Error of the
// lowest failing rank, as one line with "rank R: " in front (left out when all ranks failed: then the fault
// is not one rank's own). `function` itself must not communicate after a point where only some ranks throw.
void AgreeOnErrors(const Communicator& communicator, const std::function<void()>& function);

// Collective. Throws on every rank, naming the first that differs, unless all pass the same text. `what` says
// what the text is ("plan").
void AgreeOnText(const Communicator& communicator, const std::string& text, const std::string& what);

}  // namespace attention

#endif  // SRC_MPI_AGREEMENT_H_
