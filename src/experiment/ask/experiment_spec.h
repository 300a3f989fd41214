// An experiment file, read and checked: axes with canonical values, how to measure, what is expected.
#ifndef SRC_EXPERIMENT_ASK_EXPERIMENT_SPEC_H_
#define SRC_EXPERIMENT_ASK_EXPERIMENT_SPEC_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "src/experiment/ask/given_weights.h"
#include "src/experiment/ask/variant_spec.h"
#include "src/qwen3/checkpoint/model_shapes.h"

namespace attention {

// A value in its canonical spelling, and where it was written ("file:line:column: key"), for complaints that
// can only be made later (invalid combinations, more ranks than there are).
struct AxisValue {
  std::string text;
  std::string where;
};

using AxisValues = std::map<std::string, std::vector<AxisValue>>;  // by name of the axis

struct MeasureOptions {
  int warmup = 1;                  // runs before each sample (cache: warm), and before the first
  int rounds = 30;                 // 0 = auto: chosen by the pilot
  int pilot_rounds = 10;           // with rounds: auto; not used in any verdict. 0: by seconds_per_cell alone
  int min_rounds = 15;             // with rounds: auto
  int max_rounds = 200;            // with rounds: auto
  double seconds_per_cell = 0;     // with rounds: auto; caps the chosen number before the test. 0 = no cap
  double detectable_ratio = 1.05;  // with rounds: auto; a true ratio of this size is to be found
  uint64_t seed = 1;               // of the data
  std::optional<uint64_t> order_seed;  // of the orders of cells, of making and of rounds; none: drawn anew
  bool limits_each_round = true;       // the hardware's limits beside every round, or once in a launch
  double max_seconds_per_cell = 300;
  bool measure_parts = true;  // compute alone and exchange alone beside each sample
};

// An expected relation, as written before the run.
struct Claim {
  std::string name;
  std::string metric = "time_s";
  std::string over;                // axis
  std::vector<std::string> order;  // canonical values of `over`, best (fastest, smallest) first
  struct Ratio {
    std::string slow;
    std::string fast;
    std::optional<double> minimum;  // of metric(slow) / metric(fast)
    std::optional<double> maximum;
  };
  std::optional<Ratio> ratio;  // either order or ratio
  std::map<std::string, std::vector<std::string>> where;
  std::vector<std::string>
      regime;  // axes whose values make a regime: it is judged as a whole, before its cells
};

// A second copy of a variant, made and measured like any other: what the two differ by is the instrument.
struct Control {
  std::string duplicate;  // label of the variant
  int every = 4;          // in every so many cells
};

struct ExperimentSpec {
  std::string name;
  std::string title;
  std::string config_text;  // the file, byte for byte; "" for a one-off run
  // Numbers of launches after which the run is judged, rising. What is decided drops out; the last one is the
  // most there are. A file with claims about several ranks that names none gets 16, 32, 64 and 128.
  std::vector<int> looks = {1};
  double margin = 0.02;  // an interval of a ratio within 1 / (1 + margin) to 1 + margin is called equal
  std::optional<Control> control;  // none: no copies
  AxisValues axes;  // every axis is present; of `model` only if there are no weights, until they are attached
  std::string weights_path;                     // of a checkpoint; "" = seeded weights
  std::shared_ptr<const GivenWeights> weights;  // what lies there, see attach_weights.h
  // Grid points left out: those that match every axis of an entry.
  std::vector<std::map<std::string, std::vector<std::string>>> exclude;
  std::map<std::string, ModelShape> models;     // by the text of the axis `model`
  std::map<std::string, VariantSpec> variants;  // by the text of the axis `variant`
  MeasureOptions measure;
  int reference_rows = 64;  // per head, compared with float64
  std::vector<Claim> claims;

  int launches() const { return looks.back(); }
};

}  // namespace attention

#endif  // SRC_EXPERIMENT_ASK_EXPERIMENT_SPEC_H_
