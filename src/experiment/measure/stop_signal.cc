#include "src/experiment/measure/stop_signal.h"

#include <csignal>
#include <initializer_list>

namespace attention {
namespace {

// A signal handler can reach nothing but a global.
volatile std::sig_atomic_t requested_stop = 0;

extern "C" void HandleStopSignal(int signal) {
  const int request = static_cast<int>(signal == SIGUSR1 ? StopRequest::kAfterRound : StopRequest::kNow);
  if (request > requested_stop) requested_stop = request;
  if (signal != SIGUSR1) std::signal(signal, SIG_DFL);
}

}  // namespace

void CatchStopSignals() {
  for (int signal : {SIGTERM, SIGINT, SIGUSR1}) std::signal(signal, HandleStopSignal);
}

StopRequest RequestedStop() { return static_cast<StopRequest>(static_cast<int>(requested_stop)); }

}  // namespace attention
