#include "src/mpi/request_set.h"

#include "src/base/error.h"
#include "src/mpi/block_type.h"
#include "src/mpi/copy_block.h"

namespace attention {
namespace {

constexpr int kTag = 1;  // one is enough: messages between two ranks keep their order

}  // namespace

void RequestSet::Send(std::initializer_list<ConstTensorView> blocks, int destination) {
  Start(std::vector<ConstTensorView>(blocks), destination, /*is_send=*/true);
}

void RequestSet::Receive(std::initializer_list<TensorView> blocks, int source) {
  Start(std::vector<ConstTensorView>(blocks.begin(), blocks.end()), source, /*is_send=*/false);
}

void RequestSet::Copy(const ConstTensorView& source, const TensorView& destination) {
  if (moves_) CopyBlock(source, destination);
}

void RequestSet::Start(const std::vector<ConstTensorView>& blocks, int peer, bool is_send) {
  if (!moves_) return;
  Require(peer != communicator_->rank(), "RequestSet: rank ", peer, " exchanges with itself; use CopyBlock");
  const ExchangeSettings& settings = communicator_->settings();
  ForEachChunk(blocks, {settings.max_message_bytes, settings.own_message_bytes},
               [&](std::span<const ConstTensorView> chunk) {
                 const BlockType type(chunk);
                 int64_t bytes = 0;
                 for (const ConstTensorView& view : chunk) bytes += ByteCount(view);
                 MPI_Request request = MPI_REQUEST_NULL;
                 // MPI takes non-const buffers in both directions; a send only reads.
                 void* data = const_cast<std::byte*>(chunk[0].data);
                 if (is_send) {
                   MPI_Isend(data, 1, type.get(), peer, kTag, communicator_->handle(), &request);
                   communicator_->traffic().bytes_sent += bytes;
                   communicator_->traffic().messages_sent += 1;
                 } else {
                   MPI_Irecv(data, 1, type.get(), peer, kTag, communicator_->handle(), &request);
                 }
                 if (settings.on_message) settings.on_message({is_send, peer, bytes});
                 requests_.push_back(request);
                 messages_.push_back({is_send, peer, bytes});
                 ++under_way_;
                 ++communicator_->traffic().under_way;
               });
}

int RequestSet::CompleteSome() {
  completed_.resize(requests_.size());
  int count = 0;
  MPI_Testsome(static_cast<int>(requests_.size()), requests_.data(), &count, completed_.data(),
               MPI_STATUSES_IGNORE);
  if (count == MPI_UNDEFINED) count = 0;
  Completed(static_cast<size_t>(count));
  return count;
}

void RequestSet::Completed(size_t count) {
  under_way_ -= count;
  communicator_->traffic().under_way -= static_cast<int64_t>(count);
  if (under_way_ > 0) return;
  requests_.clear();
  messages_.clear();
}

bool RequestSet::Poll() {
  if (under_way_ > 0) CompleteSome();
  return under_way_ == 0;
}

void RequestSet::Wait(const char* operation, int64_t step) {
  if (under_way_ == 0) return;
  const double begin = MPI_Wtime();
  if (communicator_->settings().watchdog_seconds == 0) {
    MPI_Waitall(static_cast<int>(requests_.size()), requests_.data(), MPI_STATUSES_IGNORE);
    Completed(under_way_);
  }
  for (double last_progress = begin; under_way_ > 0;) {
    if (CompleteSome() > 0) {
      last_progress = MPI_Wtime();
    } else if (MPI_Wtime() - last_progress > communicator_->settings().watchdog_seconds) {
      communicator_->WatchdogExpired(communicator_->settings().watchdog_seconds, Pending(operation, step));
      last_progress = MPI_Wtime();
    }
  }
  communicator_->traffic().wait_seconds += MPI_Wtime() - begin;
}

std::string RequestSet::Pending(const char* operation, int64_t step) const {
  std::string line = internal::Concatenate("in step ", step, " of ", operation);
  for (size_t i = 0; i < requests_.size(); ++i) {
    if (requests_[i] == MPI_REQUEST_NULL) continue;
    const Message& message = messages_[i];
    line += internal::Concatenate(message.is_send ? ", to hand rank " : ", for rank ", message.peer,
                                  message.is_send ? " " : "'s ", message.bytes, " bytes");
  }
  return line;
}

}  // namespace attention
