#include "src/simulate/simulated_cell.h"

#include <cstdio>
#include <limits>
#include <sstream>

#include "src/base/error.h"
#include "src/experiment/measure/sample_summary.h"
#include "src/mpi/communicator.h"
#include "src/parallel/attention_run.h"
#include "src/simulate/isolated_process.h"
#include "src/simulate/model_prediction.h"
#include "src/simulate/simulated_backend.h"
#include "src/simulate/simulated_job.h"
#include "src/simulate/simulated_layer.h"

namespace attention {
namespace {

// What a simulation answers, over all ranks.
struct Outcome {
  double time_s = 0, time_min_rank_s = 0;
  double compute_s = kNotMeasured, comm_total_s = kNotMeasured;
  int64_t bytes_per_rank = 0, workspace_bytes = 0, q_block = 0, kv_block = 0;

  // As text and back, for the way between processes.
  std::string Text() const {
    char text[256];
    std::snprintf(text, sizeof(text), "%.17g %.17g %.17g %.17g %lld %lld %lld %lld", time_s, time_min_rank_s,
                  compute_s, comm_total_s, static_cast<long long>(bytes_per_rank),
                  static_cast<long long>(workspace_bytes), static_cast<long long>(q_block),
                  static_cast<long long>(kv_block));
    return text;
  }
  static Outcome Of(const std::string& text) {
    Outcome outcome;
    long long integers[4] = {};
    const int fields = std::sscanf(text.c_str(), "%lf %lf %lf %lf %lld %lld %lld %lld", &outcome.time_s,
                                   &outcome.time_min_rank_s, &outcome.compute_s, &outcome.comm_total_s,
                                   &integers[0], &integers[1], &integers[2], &integers[3]);
    Require(fields == 8, "a simulation answered '", text, "'");
    outcome.bytes_per_rank = integers[0];
    outcome.workspace_bytes = integers[1];
    outcome.q_block = integers[2];
    outcome.kv_block = integers[3];
    return outcome;
  }
};

struct SimulatedSpan {
  double max_s = 0, min_s = 0;
};

// Over all ranks, which begin at one moment: a second after the last of them is ready, when nothing of the
// agreement on it is on its way any more.
template <typename Run>
SimulatedSpan TimeOnce(const Communicator& world, Run run) {
  const double begin = world.Max(MPI_Wtime()) + 1;
  SleepUntil(begin);
  run();
  const double seconds = MPI_Wtime() - begin;
  return {world.Max(seconds), world.Min(seconds)};
}

// A layer's parts are not timed alone, nor has it a formula for its bytes: as in a real run.
Outcome RunLayer(Communicator& world, const Cell& cell, const Case& made, const ExecutionOptions& execution) {
  SimulatedLayer layer(world, cell, made.variant, execution);
  Outcome outcome;
  const int64_t sent_before = world.traffic().bytes_sent;
  const SimulatedSpan span = TimeOnce(world, [&] { layer.Run(); });
  outcome.bytes_per_rank = world.Max(world.traffic().bytes_sent - sent_before);
  outcome.time_s = span.max_s;
  outcome.time_min_rank_s = span.min_s;
  outcome.workspace_bytes = world.Max(layer.workspace_bytes());
  outcome.q_block = world.Max(layer.tiles().q_block);
  outcome.kv_block = world.Max(layer.tiles().kv_block);
  return outcome;
}

Outcome RunCase(Communicator& world, const Cell& cell, const Case& made, const SimulationOptions& options) {
  if (options.joins_heads) world.settings().own_message_bytes = std::numeric_limits<int64_t>::max();
  ExecutionOptions execution;
  execution.isa = cell.isa;
  execution.threads = cell.threads;
  execution.backend = &MakeSimulatedBackend;
  if (cell.scope != Scope::kAttention) return RunLayer(world, cell, made, execution);
  AttentionRun run(world, cell.problem, made.variant, cell.contract, execution);
  Outcome outcome;
  const int64_t sent_before = world.traffic().bytes_sent;
  const SimulatedSpan span = TimeOnce(world, [&] { run.Run(); });
  const int64_t sent = world.traffic().bytes_sent - sent_before;
  outcome.time_s = span.max_s;
  outcome.time_min_rank_s = span.min_s;
  if (options.parts && world.size() > 1) {
    outcome.compute_s = TimeOnce(world, [&] { run.RunComputeOnly(); }).max_s;
    outcome.comm_total_s = TimeOnce(world, [&] { run.RunExchangeOnly(); }).max_s;
  }
  outcome.bytes_per_rank = world.Max(sent);
  const bool as_formula = sent == run.attention().comm_bytes_formula();
  if (world.Min(int64_t{as_formula}) == 0) Fail("ranks sent other numbers of bytes than the formula says");
  outcome.workspace_bytes = world.Max(static_cast<int64_t>(run.attention().workspace_bytes()));
  outcome.q_block = world.Max(run.attention().tiles().q_block);
  outcome.kv_block = world.Max(run.attention().tiles().kv_block);
  return outcome;
}

SampleRow SampleOf(const Cell& cell, const Case& made, int draw, const Outcome& outcome) {
  SampleRow sample;
  sample.round = draw;
  sample.cell = cell.id;
  sample.case_id = made.id;
  sample.variant = made.label;
  sample.time_s = outcome.time_s;
  sample.time_min_rank_s = outcome.time_min_rank_s;
  sample.compute_s = cell.ranks == 1 ? outcome.time_s : outcome.compute_s;
  sample.comm_total_s = cell.ranks == 1 ? 0 : outcome.comm_total_s;
  sample.comm_exposed_s = cell.ranks == 1 ? 0 : sample.time_s - sample.compute_s;
  return sample;
}

SimulatedCase SimulateOne(const Cell& cell, const Case& made, const Platform& platform,
                          const Calibration& calibration, const JobShape& shape,
                          const SimulationOptions& options) {
  SimulatedCase result;
  CaseRow& row = result.row;
  row.cell = &cell;
  row.made = &made;
  row.backend = "simulated";
  row.nodes = NodesUsed(platform, shape);
  row.message = internal::Concatenate("platform ", platform.name, " ", platform.sha256.substr(0, 12));
  try {
    for (int draw = 0; draw <= options.draws; ++draw) {
      const Platform drawn = platform.Drawn(draw);
      const Calibration kernels = calibration.Drawn(platform.uncertainty.kernels, draw);
      SimulationOptions asked = options;
      asked.parts = options.parts && draw == 0;
      const Outcome outcome = Outcome::Of(RunIsolated([&] {
        std::string text;
        RunSimulatedJob(drawn, kernels, shape, [&](Communicator& world) {
          const Outcome mine = RunCase(world, cell, made, asked);
          if (world.rank() == 0) text = mine.Text();
        });
        return text;
      }));
      result.samples.push_back(SampleOf(cell, made, draw, outcome));
      row.tiles = {outcome.q_block, outcome.kv_block};
      row.comm_bytes_per_rank = outcome.bytes_per_rank;
      row.workspace_bytes = outcome.workspace_bytes;
    }
    // What a row says is of the platform itself.
    SummarizeSamples({result.samples.data(), 1}, cell.flops, row);
    row.rounds = static_cast<int>(result.samples.size());
    if (cell.scope == Scope::kAttention && cell.ranks > 1 && cell.ranks <= kMostRanksPriced) {
      result.prediction = PredictOn(platform, calibration, cell, made.variant);
    }
  } catch (const Error& error) {
    if (error.status() == ExitStatus::kBadUsage) throw;
    result.samples.clear();
    row.status = CaseStatus::kFailed;
    row.message += internal::Concatenate(": ", error.what());
  }
  return result;
}

// A decoder's work is calibrated on one thread, for one type of weights and activations, and for keys that
// are read as they are.
void CheckDecoder(const Cell& cell) {
  if (cell.threads != 1) {
    FailUsage("threads ", cell.threads, " of scope ", Name(cell.scope),
              " cannot be simulated; valid threads: 1");
  }
  if (cell.precision.activations != cell.problem.data_type) {
    FailUsage("activations ", Name(cell.precision.activations), " on weights of ",
              Name(cell.problem.data_type), " cannot be simulated; valid are activations like the weights");
  }
  if (cell.precision.kv_cache == DataType::kInt8) {
    FailUsage("kv_cache int8 cannot be simulated; valid are fp32 and bf16");
  }
}

JobShape ShapeOf(const Cell& cell) { return {cell.ranks, cell.threads, cell.placement}; }

}  // namespace

void CheckCanSimulate(const Cell& cell, const Platform& platform, const Calibration& calibration) {
  const bool is_attention = cell.scope == Scope::kAttention;
  if (cell.scope == Scope::kModel) {
    FailUsage("scope ", Name(cell.scope), " cannot be simulated; valid scopes: attention, block, layer");
  }
  if (!is_attention) CheckDecoder(cell);
  NodesUsed(platform, ShapeOf(cell));
  for (const Case& made : cell.cases) {
    if (made.is_auto)
      FailUsage("variant ", made.label, " is chosen on the machine it runs on; a simulation needs one");
    const DataType type = is_attention ? cell.problem.data_type : cell.precision.queries();
    calibration.RequireKind({made.variant.algorithm, cell.isa, type, cell.threads, cell.problem.head_dim,
                             cell.problem.group_size()});
    if (!is_attention) calibration.RequireDecoder({cell.isa, cell.problem.data_type, cell.threads});
  }
}

std::vector<SimulatedCase> SimulateCell(const Cell& cell, const Platform& platform,
                                        const Calibration& calibration, const SimulationOptions& options) {
  CheckCanSimulate(cell, platform, calibration);
  const JobShape shape = ShapeOf(cell);
  std::vector<SimulatedCase> results;
  for (const Case& made : cell.cases) {
    results.push_back(SimulateOne(cell, made, platform, calibration, shape, options));
  }
  return results;
}

}  // namespace attention
