// Which messages every exchange sends, in which order: the same text from a real run and a simulated one.
#ifndef SRC_SIMULATE_TESTING_MESSAGE_ORDER_H_
#define SRC_SIMULATE_TESTING_MESSAGE_ORDER_H_

#include <string>

#include "src/attention/attention_backend.h"
#include "src/mpi/communicator.h"

namespace attention {

// Collective. Runs every row of the table of exchanges, under every contract and some masks, on odd shapes
// and with messages cut small; then layers of a decoder. On every rank: a line for each case, and one for
// each of its ranks, "to3:48" for 48 bytes sent to rank 3 of the communicator they travelled in, "from3:48"
// for a receive, in order of the calls; "x2" for two alike in a row. Throws Error if a rank has not sent what
// the formula says.
std::string MessageOrder(Communicator& world, BackendFactory backend);

}  // namespace attention

#endif  // SRC_SIMULATE_TESTING_MESSAGE_ORDER_H_
