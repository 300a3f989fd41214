#include "src/mpi/request_set.h"

#include <cstring>

#include "src/base/error.h"
#include "src/mpi/block_type.h"

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
  ForEachChunk(blocks, communicator_->settings().max_message_bytes,
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

void CopyBlock(const ConstTensorView& source, const TensorView& destination) {
  Require(source.shape == destination.shape && source.data_type == destination.data_type,
          "CopyBlock: blocks of different shape or type");
  const TensorShape& shape = source.shape;
  const int64_t element = static_cast<int64_t>(SizeOf(source.data_type));
  const int64_t row_bytes = shape.head_dim * element;
  const bool dense = source.token_stride == shape.head_dim && destination.token_stride == shape.head_dim;
  for (int64_t b = 0; b < shape.batch; ++b) {
    for (int64_t h = 0; h < shape.heads; ++h) {
      const std::byte* from = source.data + (b * source.batch_stride + h * source.head_stride) * element;
      std::byte* to =
          destination.data + (b * destination.batch_stride + h * destination.head_stride) * element;
      if (dense) {
        if (shape.tokens > 0) std::memcpy(to, from, static_cast<size_t>(shape.tokens * row_bytes));
        continue;
      }
      for (int64_t t = 0; t < shape.tokens; ++t) {
        std::memcpy(to + t * destination.token_stride * element, from + t * source.token_stride * element,
                    static_cast<size_t>(row_bytes));
      }
    }
  }
}

}  // namespace attention
