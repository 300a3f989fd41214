#include "src/mpi/request_set.h"

#include <gtest/gtest.h>

#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "src/base/error.h"
#include "src/mpi/block_type.h"

namespace attention {
namespace {

constexpr TensorShape kShape = {2, 3, 5, 4};
const int64_t kOwnMessageBytes = ExchangeSettings().own_message_bytes;

// Values that say where they come from.
std::vector<float> Numbered(int64_t count, float first) {
  std::vector<float> values(static_cast<size_t>(count));
  std::iota(values.begin(), values.end(), first);
  return values;
}

// Sends a strided block around a ring of all ranks and receives it in another layout.
void ExchangeAround(const Communicator& world) {
  if (world.size() == 1) return;
  const int next = (world.rank() + 1) % world.size(),
            previous = (world.rank() + world.size() - 1) % world.size();
  // Odd sub-block of a head-major tensor: batches 0-1, heads 1-2, tokens 1-3.
  std::vector<float> source = Numbered(kShape.elements(), 1000.0f * static_cast<float>(world.rank()));
  const ConstTensorView block = ConstTensorView(HeadMajorView(source.data(), DataType::kFloat32, kShape))
                                    .SliceHeads(1, 2)
                                    .SliceTokens(1, 3);
  std::vector<float> target(static_cast<size_t>(kShape.elements()), -1.0f);
  const TensorView place =
      TokenMajorView(target.data(), DataType::kFloat32, kShape).SliceHeads(0, 2).SliceTokens(2, 3);
  const int64_t bytes_before = world.traffic().bytes_sent;
  RequestSet requests(world);
  requests.Receive({place}, previous);
  requests.Send({block}, next);
  requests.Wait("test", 0);
  EXPECT_TRUE(requests.Poll());
  EXPECT_EQ(world.traffic().bytes_sent - bytes_before, 2 * 2 * 3 * 4 * 4);

  const std::vector<float> sent = Numbered(kShape.elements(), 1000.0f * static_cast<float>(previous));
  const ConstTensorView expected = ConstTensorView(HeadMajorView(sent.data(), DataType::kFloat32, kShape))
                                       .SliceHeads(1, 2)
                                       .SliceTokens(1, 3);
  int64_t written = 0;
  for (float value : target) written += value != -1.0f;
  EXPECT_EQ(written, 2 * 2 * 3 * 4);
  for (int64_t b = 0; b < 2; ++b) {
    for (int64_t h = 0; h < 2; ++h) {
      for (int64_t t = 0; t < 3; ++t) {
        for (int64_t d = 0; d < 4; ++d)
          EXPECT_EQ(place.Row<float>(b, h, t)[d], expected.Row<float>(b, h, t)[d]);
      }
    }
  }
}

TEST(RequestSetTest, BlocksArriveInPlaceAcrossLayouts) { ExchangeAround(Communicator(MPI_COMM_WORLD)); }

// The path that counts beyond 2^31 take, with a limit of 5 rows, 2 rows, and less than a row.
TEST(RequestSetTest, LargeBlocksTravelInChunks) {
  for (int64_t limit : {80, 32, 1}) {
    const Communicator world(MPI_COMM_WORLD);
    world.settings().max_message_bytes = limit;
    ExchangeAround(world);
    if (world.size() > 1) {
      EXPECT_GT(world.traffic().messages_sent, 2);
    }
  }
}

TEST(RequestSetTest, ChunksKeepOrderAndLimit) {
  std::vector<float> data = Numbered(kShape.elements(), 0);
  const ConstTensorView view = HeadMajorView(data.data(), DataType::kFloat32, kShape);
  for (int64_t max_bytes : {1, 16, 40, 100, 1000, 100000}) {
    float next = 0;
    ForEachChunk({&view, 1}, {max_bytes, kOwnMessageBytes}, [&](std::span<const ConstTensorView> chunk) {
      const ConstTensorView& piece = chunk[0];
      EXPECT_TRUE(ByteCount(piece) <= max_bytes || RowCount(piece) == 1);
      EXPECT_EQ(*piece.Row<float>(0, 0, 0), next);
      next += static_cast<float>(piece.shape.elements());
    });
    EXPECT_EQ(next, static_cast<float>(kShape.elements()));
  }
}

// Long runs of tokens travel head by head, short ones together, whatever the strides.
TEST(RequestSetTest, LongRunsTravelAlone) {
  const auto messages = [](int64_t tokens) {
    std::vector<float> data(static_cast<size_t>(2 * 3 * tokens * 128));
    const ConstTensorView view = TokenMajorView(data.data(), DataType::kFloat32, {2, 3, tokens, 128});
    int64_t count = 0;
    ForEachChunk({&view, 1}, {int64_t{1} << 30, kOwnMessageBytes},
                 [&](std::span<const ConstTensorView>) { ++count; });
    return count;
  };
  EXPECT_EQ(messages(kOwnMessageBytes / 512 - 1), 1);
  EXPECT_EQ(messages(kOwnMessageBytes / 512), 2 * 3);
}

// A view that claims 2^33 elements: it is cut into messages whose counts MPI can hold, without touching
// memory.
TEST(RequestSetTest, CountsBeyondIntAreCut) {
  std::byte* nowhere = nullptr;
  const ConstTensorView huge =
      HeadMajorView(static_cast<const void*>(nowhere), DataType::kFloat32, {1, 64, int64_t{1} << 20, 128});
  int64_t bytes = 0, pieces = 0;
  ForEachChunk({&huge, 1}, {ExchangeSettings().max_message_bytes, kOwnMessageBytes},
               [&](std::span<const ConstTensorView> chunk) {
                 bytes += ByteCount(chunk[0]);
                 ++pieces;
                 EXPECT_LE(ByteCount(chunk[0]), ExchangeSettings().max_message_bytes);
               });
  EXPECT_EQ(bytes, int64_t{1} << 35);
  EXPECT_EQ(pieces, 64);  // one per head; each head is 512 MB
}

TEST(RequestSetTest, SeveralViewsAreOneMessage) {
  const Communicator world(MPI_COMM_WORLD);
  if (world.size() == 1) return;
  std::vector<float> o = Numbered(8, 10), m = Numbered(2, 50), o_in(8), m_in(2);
  const auto wide = [](float* data) { return HeadMajorView(data, DataType::kFloat32, {1, 2, 1, 4}); };
  const auto narrow = [](float* data) { return HeadMajorView(data, DataType::kFloat32, {1, 2, 1, 1}); };
  RequestSet requests(world);
  requests.Receive({wide(o_in.data()), narrow(m_in.data())},
                   (world.rank() + world.size() - 1) % world.size());
  requests.Send({wide(o.data()), narrow(m.data())}, (world.rank() + 1) % world.size());
  requests.Wait("test", 0);
  EXPECT_EQ(world.traffic().messages_sent, 1);
  EXPECT_EQ(o_in, o);
  EXPECT_EQ(m_in, m);
}

// In the order of the calls, one for each message that a block becomes by its heads.
TEST(RequestSetTest, EveryMessageIsTold) {
  const Communicator world(MPI_COMM_WORLD);
  if (world.size() == 1) return;
  const int next = (world.rank() + 1) % world.size(),
            previous = (world.rank() + world.size() - 1) % world.size();
  std::string told;
  world.settings().on_message = [&](const MessageStarted& message) {
    EXPECT_EQ(message.peer, message.is_send ? next : previous);
    told += (message.is_send ? " send " : " receive ") + std::to_string(message.bytes);
  };
  std::vector<float> from = Numbered(24, 0), to(24);
  const TensorShape shape = {1, 2, 3, 4};
  for (const auto& [own_message_bytes, expected] :
       {std::pair<int64_t, std::string>{48, " receive 48 receive 48 send 48 send 48"},
        {49, " receive 96 send 96"}}) {
    world.settings().own_message_bytes = own_message_bytes;
    told.clear();
    RequestSet requests(world);
    requests.Receive({HeadMajorView(to.data(), DataType::kFloat32, shape)}, previous);
    requests.Send({HeadMajorView(from.data(), DataType::kFloat32, shape)}, next);
    requests.Wait("test", 0);
    EXPECT_EQ(told, expected);
    EXPECT_EQ(to, from);
  }
}

TEST(RequestSetTest, EmptyBlocksMakeNoMessage) {
  const Communicator world(MPI_COMM_WORLD);
  if (world.size() == 1) return;
  float value = 0;
  RequestSet requests(world);
  requests.Send({HeadMajorView(&value, DataType::kFloat32, {2, 3, 0, 4})}, (world.rank() + 1) % world.size());
  EXPECT_TRUE(requests.Poll());
  EXPECT_EQ(world.traffic().messages_sent, 0);
}

TEST(RequestSetTest, RefusesToMeetItself) {
  const Communicator world(MPI_COMM_WORLD);
  float value = 0;
  RequestSet requests(world);
  EXPECT_THROW(requests.Send({HeadMajorView(&value, DataType::kFloat32, {1, 1, 1, 1})}, world.rank()), Error);
}

// Rank 0 waits for a message that rank 1 sends only after the watchdog has spoken.
TEST(RequestSetTest, WatchdogSaysWhoWaitsForWhat) {
  const Communicator world(MPI_COMM_WORLD);
  if (world.size() == 1) return;
  std::vector<std::string> lines;
  float value = 0, signal = 0;
  const TensorView payload = HeadMajorView(&value, DataType::kFloat32, {1, 1, 1, 1});
  const TensorView go = HeadMajorView(&signal, DataType::kFloat32, {1, 1, 1, 1});
  if (world.rank() == 0) {
    world.settings().watchdog_seconds = 0.05;
    world.settings().watchdog_expired = [&](const std::string& line) {
      lines.push_back(line);
      RequestSet(world).Send({go}, 1);  // eager: four bytes leave without a wait
      world.settings().watchdog_seconds = 60;
    };
    RequestSet requests(world);
    requests.Receive({payload}, 1);
    requests.Wait("ring", 3);
    ASSERT_GE(lines.size(), 1u);
    EXPECT_NE(lines[0].find("rank 0 of"), std::string::npos) << lines[0];
    EXPECT_NE(lines[0].find("it waits in step 3 of ring, for rank 1's 4 bytes"), std::string::npos)
        << lines[0];
  } else if (world.rank() == 1) {
    RequestSet requests(world);
    requests.Receive({go}, 0);
    requests.Wait("test", 0);
    requests.Send({payload}, 0);
    requests.Wait("test", 1);
  }
}

}  // namespace
}  // namespace attention
