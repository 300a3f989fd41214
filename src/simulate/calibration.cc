#include "src/simulate/calibration.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <numbers>
#include <optional>
#include <set>
#include <sstream>

#include "src/base/counter_random.h"
#include "src/base/error.h"
#include "src/experiment/ask/yaml_reader.h"
#include "src/experiment/record/results.h"

namespace attention {
namespace {

constexpr std::string_view kStepWords[] = {"full", "carried", "diagonal"};
constexpr std::string_view kMemoryWords[] = {"copy",   "merge", "finish",   "norm",
                                             "rotate", "keep",  "activate", "add"};
constexpr std::string_view kProduct = "product";

template <typename Work, size_t count>
std::optional<Work> WorkOf(const Work (&all)[count], std::string_view name) {
  for (Work work : all) {
    if (Name(work) == name) return work;
  }
  return std::nullopt;
}

// One line of the file; every complaint has its place.
class Line {
 public:
  Line(std::string where, const std::string& text) : where_(std::move(where)), fields_(SplitCsv(text)) {
    const size_t columns = SplitCsv(std::string(Calibration::kHeader)).size();
    if (fields_.size() != columns) FailUsage(where_, ": ", fields_.size(), " fields, expected are ", columns);
  }

  const std::string& Text(size_t column) const { return fields_[column]; }
  int64_t Count(size_t column, int64_t maximum) const {
    const std::optional<int64_t> value = ParseInteger(Text(column));
    if (!value || *value < 1 || *value > maximum) {
      Complain(column, internal::Concatenate("a whole number from 1 to ", maximum));
    }
    return *value;
  }
  double Seconds(size_t column) const {
    const std::optional<double> value = ParseNumber(Text(column));
    if (!value || !(*value > 0) || !std::isfinite(*value)) Complain(column, "a number above 0");
    return *value;
  }
  KernelKind Kind() const {
    KernelKind kind;
    const std::optional<AttentionAlgorithm> algorithm = ParseAlgorithm(Text(1));
    if (!algorithm) Complain(1, "an algorithm");
    kind.algorithm = *algorithm;
    const ProductKind cores = Product();
    kind.isa = cores.isa;
    kind.data_type = cores.data_type;
    kind.threads = cores.threads;
    kind.head_dim = Count(5, kMaxHeadDim);
    kind.group_size = Count(6, 4096);
    return kind;
  }
  ProductKind Product() const {
    const std::optional<Isa> isa = ParseIsa(Text(2));
    if (!isa) Complain(2, "an instruction set");
    if (Text(3) != Name(DataType::kFloat32) && Text(3) != Name(DataType::kBfloat16)) {
      Complain(3, "fp32 or bf16");
    }
    const DataType type = Text(3) == Name(DataType::kBfloat16) ? DataType::kBfloat16 : DataType::kFloat32;
    return {*isa, type, static_cast<int>(Count(4, 4096))};
  }
  [[noreturn]] void Complain(size_t column, const std::string& expected) const {
    FailUsage(where_, ": '", Text(column).substr(0, 40), "' in column ", column + 1, ", expected is ",
              expected);
  }

 private:
  std::string where_;
  std::vector<std::string> fields_;
};

// Place of `value` among ascending ones: the index before it, and how far it is on the way to the next.
std::pair<size_t, double> PlaceIn(const std::vector<double>& ascending, double value) {
  if (ascending.size() == 1 || value <= ascending.front()) return {0, 0.0};
  if (value >= ascending.back()) return {ascending.size() - 2, 1.0};
  const size_t after =
      static_cast<size_t>(std::upper_bound(ascending.begin(), ascending.end(), value) - ascending.begin());
  return {after - 1, (value - ascending[after - 1]) / (ascending[after] - ascending[after - 1])};
}

constexpr int64_t kMostTokens = int64_t{1} << 40;
constexpr uint64_t kDrawSeed = 2;

}  // namespace

std::string_view Name(StepWork work) { return kStepWords[static_cast<size_t>(work)]; }
std::string_view Name(MemoryWork work) { return kMemoryWords[static_cast<size_t>(work)]; }

KernelKind KernelKind::Of(const BackendConfig& config) {
  return {config.algorithm, config.isa,      config.data_type,
          config.threads,   config.head_dim, config.heads.group_size};
}

std::string Name(const KernelKind& kind) {
  return internal::Concatenate(Name(kind.algorithm), " ", Name(kind.isa), " ", Name(kind.data_type),
                               " threads ", kind.threads, " head_dim ", kind.head_dim, " group ",
                               kind.group_size);
}

std::string Name(const ProductKind& kind) {
  return internal::Concatenate(Name(kind.isa), " ", Name(kind.data_type), " threads ", kind.threads);
}

double Calibration::Grid::At(double at_queries, double at_keys) const {
  const auto [q, q_part] = PlaceIn(queries, std::log2(std::max(at_queries, 1.0)));
  const auto [k, k_part] = PlaceIn(keys, std::log2(std::max(at_keys, 1.0)));
  const auto rate = [&](size_t i, size_t j) {
    return rates[std::min(i, queries.size() - 1) * keys.size() + std::min(j, keys.size() - 1)];
  };
  const double before = rate(q, k) * (1 - k_part) + rate(q, k + 1) * k_part;
  const double after = rate(q + 1, k) * (1 - k_part) + rate(q + 1, k + 1) * k_part;
  return std::exp2(before * (1 - q_part) + after * q_part);
}

Calibration::Grid Calibration::MakeGrid(const Points& points, const std::string& file_name,
                                        const std::string& what) {
  std::set<int64_t> queries, keys;
  for (const auto& [lengths, rate] : points) {
    queries.insert(lengths.first);
    keys.insert(lengths.second);
  }
  Grid grid;
  for (int64_t length : queries) grid.queries.push_back(std::log2(static_cast<double>(length)));
  for (int64_t length : keys) grid.keys.push_back(std::log2(static_cast<double>(length)));
  for (int64_t q : queries) {
    for (int64_t k : keys) {
      const auto point = points.find({q, k});
      if (point == points.end()) FailUsage(file_name, ": ", what, ": nothing for queries ", q, ", keys ", k);
      grid.rates.push_back(std::log2(point->second));
    }
  }
  return grid;
}

Calibration Calibration::Parse(const std::string& text, const std::string& file_name) {
  std::map<std::pair<KernelKind, StepWork>, Points> steps;
  std::map<ProductKind, Points> products;
  std::map<MemoryWork, Points> memory;
  std::istringstream lines(text);
  bool has_header = false;
  int number = 0;
  for (std::string line; std::getline(lines, line);) {
    ++number;
    if (line.empty() || line[0] == '#') continue;
    const std::string where = file_name + ":" + std::to_string(number);
    if (!has_header) {
      if (line != kHeader) FailUsage(where, ": no calibration: its columns are not ", kHeader);
      has_header = true;
      continue;
    }
    const Line fields(where, line);
    const double seconds = fields.Seconds(10);
    if (const auto work = WorkOf(kAllStepWork, fields.Text(0))) {
      const KernelKind kind = fields.Kind();
      const int64_t queries = fields.Count(7, kMostTokens), keys = fields.Count(8, kMostTokens);
      const auto q = static_cast<double>(queries), k = static_cast<double>(keys);
      // A triangle's rates depend on one length.
      if (*work == StepWork::kDiagonal && queries != keys) fields.Complain(8, "as many keys as queries");
      const double pairs = *work == StepWork::kDiagonal ? q * (q + 1) / 2 : q * k;
      const std::pair lengths{queries, *work == StepWork::kDiagonal ? int64_t{1} : keys};
      steps[{kind, *work}][lengths] = seconds / (pairs * static_cast<double>(kind.group_size));
    } else if (fields.Text(0) == kProduct) {
      const int64_t rows = fields.Count(7, kMostTokens), inputs = fields.Count(8, kMostTokens);
      products[fields.Product()][{rows, inputs}] =
          seconds / (static_cast<double>(rows) * static_cast<double>(inputs));
    } else if (const auto move = WorkOf(kAllMemoryWork, fields.Text(0))) {
      const int64_t bytes = fields.Count(9, kMostTokens);
      memory[*move][{bytes, 1}] = seconds / static_cast<double>(bytes);
    } else {
      fields.Complain(
          0, "full, carried, diagonal, product, copy, merge, finish, norm, rotate, keep, activate or add");
    }
  }
  Calibration calibration;
  for (const auto& [key, points] : steps) {
    calibration.steps_[key] =
        MakeGrid(points, file_name, internal::Concatenate(Name(key.second), " steps of ", Name(key.first)));
  }
  for (const auto& [kind, points] : products) {
    calibration.products_[kind] =
        MakeGrid(points, file_name, internal::Concatenate("products of ", Name(kind)));
  }
  for (MemoryWork work : kAllMemoryWork) {
    if (memory.count(work) == 0 && work >= kFirstDecoderWork) continue;
    if (memory.count(work) == 0) FailUsage(file_name, ": nothing for ", Name(work));
    calibration.memory_[work] = MakeGrid(memory[work], file_name, std::string(Name(work)));
  }
  return calibration;
}

Calibration Calibration::Drawn(double deviation, int draw) const {
  Calibration drawn = *this;
  if (draw == 0) return drawn;
  const auto shift = [&](Grid& grid, size_t stream) {
    const double by =
        deviation * std::numbers::log2e * RandomGaussian(kDrawSeed, stream, static_cast<uint64_t>(draw));
    for (double& rate : grid.rates) rate += by;
  };
  // By what they are, not by place: other kinds in the file must not change the factors of these.
  constexpr size_t kSteps = std::size(kAllStepWork), kAlgorithms = std::size(kAllAlgorithms);
  for (auto& [key, grid] : drawn.steps_) {
    shift(grid, static_cast<size_t>(key.first.algorithm) * kSteps + static_cast<size_t>(key.second));
  }
  for (auto& [work, grid] : drawn.memory_) shift(grid, kAlgorithms * kSteps + static_cast<size_t>(work));
  constexpr size_t kProducts = kAlgorithms * kSteps + std::size(kAllMemoryWork);
  for (auto& [kind, grid] : drawn.products_) shift(grid, kProducts);
  return drawn;
}

void Calibration::RequireKind(const KernelKind& kind) const {
  const bool carries = RowOf(kind.algorithm).carries_state;
  for (StepWork work : kAllStepWork) {
    if (steps_.count({kind, work}) > 0 || (work == StepWork::kCarried && !carries)) continue;
    std::set<std::string> known;
    for (const auto& [key, grid] : steps_) known.insert(Name(key.first));
    std::string list;
    for (const std::string& name : known) list += (list.empty() ? "" : "; ") + name;
    FailUsage("the calibration has no ", Name(work), " steps of ", Name(kind), "; it has ", list);
  }
}

void Calibration::RequireDecoder(const ProductKind& kind) const {
  for (MemoryWork work : kAllMemoryWork) {
    if (memory_.count(work) == 0) FailUsage("the calibration has nothing for ", Name(work));
  }
  if (products_.count(kind) > 0) return;
  std::string list;
  for (const auto& [known, grid] : products_) list += (list.empty() ? "" : "; ") + Name(known);
  FailUsage("the calibration has no products of ", Name(kind), "; it has ", list.empty() ? "none" : list);
}

double Calibration::SecondsOfProduct(const ProductKind& kind, int64_t rows, int64_t inputs,
                                     int64_t outputs) const {
  if (rows <= 0 || inputs <= 0 || outputs <= 0) return 0;
  const auto m = static_cast<double>(rows), k = static_cast<double>(inputs), n = static_cast<double>(outputs);
  return products_.at(kind).At(m, k) * m * k * n;
}

double Calibration::SecondsPerPair(const KernelKind& kind, StepWork work, double queries, double keys) const {
  const Grid& grid = steps_.at({kind, work});
  const double longest = std::exp2(grid.queries.back());
  if (work != StepWork::kDiagonal || queries <= longest) return grid.At(queries, keys);
  // n / m triangles of length m on the diagonal have m / n of its pairs, about; beside them are rectangles.
  const double share = longest / queries;
  return share * grid.At(longest, 1) +
         (1 - share) * steps_.at({kind, StepWork::kFull}).At(longest, std::numeric_limits<double>::max());
}

double Calibration::SecondsOf(MemoryWork work, int64_t bytes) const {
  if (bytes <= 0) return 0;
  const auto size = static_cast<double>(bytes);
  return memory_.at(work).At(size, 1) * size;
}

}  // namespace attention
