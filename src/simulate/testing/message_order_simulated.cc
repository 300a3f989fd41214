// message_order_simulated RANKS PLATFORM CALIBRATION: the messages of simulated runs.
#include <cstdio>
#include <cstdlib>
#include <string>

#include "src/base/error.h"
#include "src/base/regular_file.h"
#include "src/simulate/simulated_backend.h"
#include "src/simulate/simulated_job.h"
#include "src/simulate/testing/message_order.h"

int main(int argc, char** argv) {
  using namespace attention;
  try {
    Require(argc == 4, "usage: message_order_simulated RANKS PLATFORM CALIBRATION");
    constexpr int64_t kMostBytes = 1 << 20;
    const Platform platform = Platform::Parse(ReadWholeFile(argv[2], kMostBytes), argv[2]);
    const Calibration calibration = Calibration::Parse(ReadWholeFile(argv[3], kMostBytes), argv[3]);
    std::string text;
    JobShape shape;
    shape.ranks = std::atoi(argv[1]);
    RunSimulatedJob(platform, calibration, shape, [&](Communicator& world) {
      const std::string mine = MessageOrder(world, MakeSimulatedBackend);
      if (world.rank() == 0) text = mine;
    });
    std::fputs(text.c_str(), stdout);
  } catch (const Error& error) {
    std::fprintf(stderr, "message_order_simulated: %s\n", error.what());
    return 1;
  }
}
