// Nonblocking exchange of tensor blocks, polled while kernels compute.
#ifndef SRC_MPI_REQUEST_SET_H_
#define SRC_MPI_REQUEST_SET_H_

#include <mpi.h>

#include <cstdint>
#include <initializer_list>
#include <string>
#include <vector>

#include "src/base/tensor_view.h"
#include "src/mpi/communicator.h"

namespace attention {

// Sends and receives under way. Blocks are views of the caller's memory, which must stay as it is until
// Wait() returns or Poll() says true. Empty blocks make no message (both sides know the shape). Several
// blocks of one call travel as one message; they agree in batch, heads and tokens. Messages between two ranks
// match in the order of their calls. Destroying a set with requests under way is only right while an error
// unwinds.
class RequestSet {
 public:
  // moves: false makes every call of Send, Receive and Copy do nothing, for runs that leave out the exchange.
  explicit RequestSet(const Communicator& communicator, bool moves = true)
      : communicator_(&communicator), moves_(moves) {}

  void Send(std::initializer_list<ConstTensorView> blocks, int destination);
  void Receive(std::initializer_list<TensorView> blocks, int source);
  // What stays on this rank: done when the call returns.
  void Copy(const ConstTensorView& source, const TensorView& destination);

  // Nothing is under way (or ever was).
  bool is_empty() const { return under_way_ == 0; }
  // Lets MPI work, once; true when nothing is under way (or ever was).
  bool Poll();
  // Until all are done. `operation` and `step` tell where the rank was if the watchdog has to speak.
  void Wait(const char* operation, int64_t step);

 private:
  struct Message {
    bool is_send;
    int peer;
    int64_t bytes;
  };

  void Start(const std::vector<ConstTensorView>& blocks, int peer, bool is_send);
  int CompleteSome();  // how many completed now
  void Completed(size_t count);
  std::string Pending(const char* operation, int64_t step) const;

  const Communicator* communicator_;
  bool moves_;
  std::vector<MPI_Request> requests_;
  std::vector<Message> messages_;  // what requests_ stand for, same order
  std::vector<int> completed_;     // scratch of CompleteSome
  size_t under_way_ = 0;
};

}  // namespace attention

#endif  // SRC_MPI_REQUEST_SET_H_
