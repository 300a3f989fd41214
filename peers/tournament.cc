#include "peers/tournament.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <fstream>
#include <limits>
#include <map>
#include <ostream>
#include <random>
#include <set>
#include <sstream>
#include <string>

#include "src/base/aligned_buffer.h"
#include "src/base/error.h"
#include "src/machine/machine_peak.h"

namespace attention::peers {
namespace {

constexpr double kSampleSeconds = 0.02;
constexpr double kPeakSeconds = 0.02;
constexpr double kBandwidthSeconds = 0.03;
// A pass this long is not disturbed by what ran before it: no untimed pass first.
constexpr double kLongPassSeconds = 0.2;
// A way whose best pass so far takes this many times the best way's is not tried further. First passes are
// slower than later ones (memory is touched), by less than this where they are long.
constexpr double kHopeless = 1.5;

constexpr char kWaysHeader[] = "column,contestant,way,best_time_s,gflops,max_abs_err,rel_l2_err,accurate";

struct Limits {
  double peak_gflops;
  double read_gb_per_s;
};

Limits MeasureLimits(Isa isa, const AlignedBuffer& footprint) {
  return {MeasurePeakGflops(isa, DataType::kFloat32, 1, kPeakSeconds),
          MeasureReadBandwidth(isa, 1, footprint.data(), footprint.size_bytes(), kBandwidthSeconds)};
}

// The best of five passes, of two if they are long; fewer for a way that is far behind anyway.
double BestOfPasses(Contestant& contestant, double first_pass, double to_beat) {
  double best = first_pass;
  const int more = first_pass > kLongPassSeconds ? 1 : 4;
  for (int pass = 0; pass < more && best < kHopeless * to_beat; ++pass)
    best = std::min(best, contestant.Run());
  return best;
}

struct Sample {
  double seconds;
  int passes;
};

Sample Measure(Contestant& contestant, double expected_seconds) {
  if (expected_seconds < kLongPassSeconds) contestant.Run();
  const int passes = static_cast<int>(std::clamp(std::ceil(kSampleSeconds / expected_seconds), 1.0, 100.0));
  double total = 0;
  for (int pass = 0; pass < passes; ++pass) total += contestant.Run();
  return {total / passes, passes};
}

}  // namespace

void WriteHeaders(const TournamentFiles& files) {
  files.samples
      << "column,round,position,contestant,way,passes,time_s,gflops,peak_gflops,pct_peak,kv_gb_per_s,"
         "read_gb_per_s,pct_read_bandwidth\n";
  files.ways << kWaysHeader << '\n';
}

Contestants ChooseBestWays(Contestants ways, const Problem& problem, const TournamentFiles& files,
                           bool& all_accurate) {
  const Workload& w = problem.workload();
  struct Best {
    std::unique_ptr<Contestant> contestant;
    double seconds = std::numeric_limits<double>::infinity();
  };
  std::map<std::string, Best> best_of_name;
  AlignedBuffer output(static_cast<size_t>(problem.query_shape().elements()) * sizeof(float));
  for (std::unique_ptr<Contestant>& way : ways) {
    const double first_pass = way->Run();
    std::ranges::fill(output.As<float>(), std::numeric_limits<float>::quiet_NaN());
    way->ReadOutput(output.As<float>());
    const Accuracy accuracy = problem.Check(output.As<float>());
    Best& best = best_of_name[way->name()];
    const double seconds = BestOfPasses(*way, first_pass, std::min(first_pass, best.seconds));
    files.ways << w.name << ',' << way->name() << ',' << way->way() << ',' << seconds << ','
               << w.flops() / seconds / 1e9 << ',' << accuracy.max_abs_err << ',' << accuracy.rel_l2_err
               << ',' << accuracy.accurate() << std::endl;
    if (!accuracy.accurate()) all_accurate = false;
    if (accuracy.accurate() && seconds < best.seconds) best = {std::move(way), seconds};
    way.reset();  // some hold gigabytes
  }
  Contestants chosen;
  for (auto& [name, best] : best_of_name) {
    if (best.contestant != nullptr) chosen.push_back(std::move(best.contestant));
  }
  return chosen;
}

ChosenWays::ChosenWays(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  if (!std::getline(file, line) || line != kWaysHeader) FailUsage(path, " is not a ways.csv of this program");
  while (std::getline(file, line)) {
    std::istringstream fields(line);
    std::string column, name, way, seconds, skipped, accurate;
    for (std::string* field : {&column, &name, &way, &seconds, &skipped, &skipped, &skipped, &accurate}) {
      std::getline(fields, *field, ',');
    }
    if (accurate != "1") continue;
    const std::pair<double, std::string> candidate{std::stod(seconds), way};
    const auto [entry, first] = best_.try_emplace({column, name}, candidate);
    if (!first && candidate < entry->second) entry->second = candidate;
  }
}

Contestants ChosenWays::Filter(Contestants ways, const std::string& column) const {
  const auto is_chosen = [&](const Contestant& way) {
    const auto entry = best_.find({column, way.name()});
    return entry != best_.end() && entry->second.second == way.way();
  };
  std::set<std::string> decided;
  for (const auto& way : ways) {
    if (is_chosen(*way)) decided.insert(way->name());
  }
  Contestants kept;
  for (std::unique_ptr<Contestant>& way : ways) {
    if (is_chosen(*way) || !decided.contains(way->name())) kept.push_back(std::move(way));
  }
  return kept;
}

void RunRounds(const Contestants& contestants, const Problem& problem, const TournamentOptions& options,
               const TournamentFiles& files) {
  const Workload& w = problem.workload();
  const AlignedBuffer footprint(static_cast<size_t>(w.key_value_bytes()));
  std::vector<double> expected;
  for (const auto& contestant : contestants) expected.push_back(contestant->Run());
  std::vector<size_t> order(contestants.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::mt19937_64 generator(2026);
  const auto begin = std::chrono::steady_clock::now();
  for (int round = 0; round < options.max_rounds; ++round) {
    const double elapsed = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    if (round >= options.min_rounds && elapsed > options.seconds) break;
    const Limits limits = MeasureLimits(options.peak_isa, footprint);
    std::shuffle(order.begin(), order.end(), generator);
    for (size_t position = 0; position < order.size(); ++position) {
      Contestant& contestant = *contestants[order[position]];
      const Sample sample = Measure(contestant, expected[order[position]]);
      const double gflops = w.flops() / sample.seconds / 1e9;
      const double kv_gb_per_s = w.key_value_bytes() / sample.seconds / 1e9;
      if (gflops > 1.03 * limits.peak_gflops) {
        Fail(contestant.name(), " at ", gflops, " GFLOP/s is above the machine's ", limits.peak_gflops,
             ": one of the two is measured wrongly");
      }
      files.samples << w.name << ',' << round << ',' << position << ',' << contestant.name() << ','
                    << contestant.way() << ',' << sample.passes << ',' << sample.seconds << ',' << gflops
                    << ',' << limits.peak_gflops << ',' << 100 * gflops / limits.peak_gflops << ','
                    << kv_gb_per_s << ',' << limits.read_gb_per_s << ','
                    << 100 * kv_gb_per_s / limits.read_gb_per_s << std::endl;
    }
  }
}

}  // namespace attention::peers
