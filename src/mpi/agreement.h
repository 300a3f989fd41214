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

// The same around all of a program, whose function does communicate: then the others may be waiting for a
// rank that threw, in any exchange. If they have not come after patience_seconds, that rank prints "PROGRAM:
// rank R: its error" and ends the job on every rank. `communicator` must be used for nothing else.
void AgreeOnErrorsOrEndJob(const Communicator& communicator, const std::string& program,
                           double patience_seconds, const std::function<void()>& function);

// Collective. Throws on every rank, naming the first that differs, unless all pass the same text. `what` says
// what the text is ("plan").
void AgreeOnText(const Communicator& communicator, const std::string& text, const std::string& what);

}  // namespace attention

#endif  // SRC_MPI_AGREEMENT_H_
