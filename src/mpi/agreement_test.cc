#include "src/mpi/agreement.h"

#include <gtest/gtest.h>

#include <stdexcept>
#include <string>

#include "src/base/error.h"

namespace attention {
namespace {

std::string MessageOf(const Communicator& world, const std::function<void()>& function, ExitStatus* status) {
  try {
    AgreeOnErrors(world, function);
  } catch (const Error& error) {
    *status = error.status();
    return error.what();
  }
  return "";
}

TEST(AgreementTest, NoErrorPasses) {
  const Communicator world(MPI_COMM_WORLD);
  AgreeOnErrors(world, [] {});
}

TEST(AgreementTest, OneRanksErrorIsEveryRanksError) {
  const Communicator world(MPI_COMM_WORLD);
  const int last = world.size() - 1;
  ExitStatus status = ExitStatus::kOk;
  const std::string message = MessageOf(
      world,
      [&] {
        if (world.rank() == last) FailUsage("no file 'x'\nat all");
      },
      &status);
  const std::string where = last == 0 ? "" : "rank " + std::to_string(last) + ": ";
  EXPECT_EQ(message, where + "no file 'x' at all");
  EXPECT_EQ(status, ExitStatus::kBadUsage);
}

TEST(AgreementTest, EveryRanksErrorNamesNoRank) {
  const Communicator world(MPI_COMM_WORLD);
  ExitStatus status = ExitStatus::kOk;
  EXPECT_EQ(MessageOf(
                world, [] { throw std::runtime_error("plain"); }, &status),
            "plain");
  EXPECT_EQ(status, ExitStatus::kCaseFailed);
}

TEST(AgreementTest, ForeignExceptionsAreAgreedOnToo) {
  const Communicator world(MPI_COMM_WORLD);
  ExitStatus status = ExitStatus::kOk;
  const std::string message = MessageOf(
      world,
      [&] {
        if (world.rank() == 0) throw 7;
      },
      &status);
  EXPECT_EQ(message, world.size() == 1 ? "unknown exception" : "rank 0: unknown exception");
}

TEST(AgreementTest, DifferingTextNamesTheRank) {
  const Communicator world(MPI_COMM_WORLD);
  AgreeOnText(world, "same", "plan");
  if (world.size() == 1) return;
  const std::string mine = world.rank() == 1 ? "seq_len=12" : "seq_len=10";
  try {
    AgreeOnText(world, mine, "plan");
    ADD_FAILURE() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(std::string(error.what()).find("rank 1: its plan differs from rank 0's: here '2', there '0'"),
              0u)
        << error.what();
    EXPECT_EQ(error.status(), ExitStatus::kBadUsage);
  }
}

}  // namespace
}  // namespace attention
