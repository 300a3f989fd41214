// mpirun -np RANKS message_order_real: the messages of real runs.
#include <mpi.h>

#include <cstdio>

#include "src/attention/reference_backend.h"
#include "src/base/error.h"
#include "src/mpi/environment.h"
#include "src/simulate/testing/message_order.h"

int main(int argc, char** argv) {
  attention::MpiEnvironment environment(&argc, &argv);
  attention::Communicator world(MPI_COMM_WORLD);
  try {
    const std::string text = attention::MessageOrder(world, attention::MakeReferenceBackend);
    if (world.rank() == 0) std::fputs(text.c_str(), stdout);
  } catch (const attention::Error& error) {
    if (world.rank() == 0) std::fprintf(stderr, "message_order_real: %s\n", error.what());
    return 1;
  }
}
