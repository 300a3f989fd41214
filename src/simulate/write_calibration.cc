// Measures what kernels cost on this machine and prints the file that simulate_attention takes
// (calibration.h), for one kind of core: give one ISA, type and number of threads.
//
//   taskset -c 0 write_calibration --isa avx512 >avx512.csv
#include <algorithm>
#include <boost/program_options.hpp>
#include <chrono>
#include <cstdio>
#include <functional>
#include <sstream>
#include <string>
#include <vector>

#include "src/attention/attention_state.h"
#include "src/base/aligned_buffer.h"
#include "src/base/counter_random.h"
#include "src/base/error.h"
#include "src/experiment/ask/variant_spec.h"
#include "src/experiment/ask/yaml_reader.h"
#include "src/kernels/attention_kernel.h"
#include "src/machine/machine_info.h"
#include "src/mpi/copy_block.h"
#include "src/qwen3/decoder/key_value_cache.h"
#include "src/qwen3/decoder/rank_order.h"
#include "src/qwen3/decoder/row_work.h"
#include "src/qwen3/linear/linear.h"
#include "src/qwen3/linear/packed_matrix.h"
#include "src/qwen3/linear/rotary.h"
#include "src/simulate/calibration.h"

namespace attention {
namespace {

namespace po = boost::program_options;

struct Request {
  std::vector<AttentionAlgorithm> algorithms;
  KernelKind kind;                     // of all but the algorithm
  std::vector<int64_t> groups;         // query heads of a KV head
  std::vector<int64_t> queries, keys;  // lengths of steps; diagonals take those of queries
  std::vector<int64_t> inputs;         // of products, whose rows are those of queries
  int64_t weight_bytes = 0;            // of a product
  std::vector<int64_t> bytes;          // of copies, states and a decoder's rows
  double seconds = 0;                  // for each point, at least three runs
};

// The median of as many runs as `request` has time for, after one that counts for nothing.
double MedianSeconds(const Request& request, const std::function<void()>& run) {
  using Clock = std::chrono::steady_clock;
  const auto since = [](Clock::time_point begin) {
    return std::chrono::duration<double>(Clock::now() - begin).count();
  };
  run();
  std::vector<double> times;
  const Clock::time_point begin = Clock::now();
  while (times.size() < 3 || since(begin) < request.seconds) {
    const Clock::time_point one = Clock::now();
    run();
    times.push_back(since(one));
  }
  std::nth_element(times.begin(), times.begin() + static_cast<std::ptrdiff_t>(times.size() / 2), times.end());
  return times[times.size() / 2];
}

// Standard normal numbers, with a period that is longer than any row.
AlignedBuffer Filled(TensorShape shape, DataType type, uint64_t stream) {
  AlignedBuffer buffer(static_cast<size_t>(shape.elements()) * SizeOf(type));
  for (int64_t i = 0; i < shape.elements(); ++i) {
    const auto value = static_cast<float>(RandomGaussian(1, stream, static_cast<uint64_t>(i % 99991)));
    if (type == DataType::kFloat32) {
      buffer.As<float>()[static_cast<size_t>(i)] = value;
    } else {
      buffer.As<Bfloat16>()[static_cast<size_t>(i)] = Bfloat16::FromFloat(value);
    }
  }
  return buffer;
}

// A step over as many KV heads as there are threads, so that all have work, or of few queries over several;
// seconds of one.
double StepSeconds(const Request& request, const KernelKind& kind, StepWork work, int64_t queries,
                   int64_t keys) {
  BackendConfig config;
  config.algorithm = kind.algorithm;
  config.isa = kind.isa;
  config.data_type = kind.data_type;
  config.threads = kind.threads;
  config.heads.group_size = kind.group_size;
  const bool is_decoding = queries <= kDecodedQueries && work != StepWork::kDiagonal;
  config.kv_heads =
      is_decoding ? (kDecodedHeads + kind.threads - 1) / kind.threads * kind.threads : kind.threads;
  config.query_heads = config.kv_heads * kind.group_size;
  config.head_dim = kind.head_dim;
  config.mask = work == StepWork::kDiagonal ? Mask::Causal() : Mask::Full();
  config.max_query_tokens = queries;
  config.max_kv_tokens = keys;
  const std::unique_ptr<AttentionBackend> backend = MakeAttentionKernel(config);
  const TensorShape query_shape = {1, config.query_heads, queries, kind.head_dim};
  const TensorShape key_shape = {1, config.kv_heads, keys, kind.head_dim};
  const AlignedBuffer q = Filled(query_shape, kind.data_type, 1), k = Filled(key_shape, kind.data_type, 2),
                      v = Filled(key_shape, kind.data_type, 3);
  AlignedBuffer output(static_cast<size_t>(query_shape.elements()) * sizeof(float));
  const AttentionStateBuffer state(1, config.query_heads, queries, kind.head_dim);
  const TokenSegment query_tokens = {0, 0, queries}, key_tokens = {0, 0, keys};
  const KeyValueShard shard = {HeadMajorView(k.data(), kind.data_type, key_shape),
                               HeadMajorView(v.data(), kind.data_type, key_shape),
                               {&key_tokens, 1}};
  AttentionStep step{.query = {HeadMajorView(q.data(), kind.data_type, query_shape), {&query_tokens, 1}},
                     .key_values = {&shard, 1},
                     .state = state.view(),
                     .output = HeadMajorView(output.data(), DataType::kFloat32, query_shape)};
  step.first = step.last = work != StepWork::kCarried;
  return MedianSeconds(request, [&] { backend->Accumulate(step); }) / static_cast<double>(config.kv_heads);
}

double MemorySeconds(const Request& request, MemoryWork work, int64_t bytes) {
  const int64_t head_dim = request.kind.head_dim;
  const int64_t row = (head_dim + 2) * static_cast<int64_t>(sizeof(float));
  const int64_t rows = std::max<int64_t>(1, bytes / row);
  const TensorShape shape = {1, 1, rows, head_dim};
  AttentionStateBuffer state(1, 1, rows, head_dim), other(1, 1, rows, head_dim);
  for (const AttentionStateView& view : {state.view(), other.view()}) {
    std::fill_n(view.m, rows, 0.0f);
    std::fill_n(view.l, rows, 1.0f);
  }
  AlignedBuffer output(static_cast<size_t>(shape.elements()) * sizeof(float));
  const TensorView output_view = HeadMajorView(output.data(), DataType::kFloat32, shape);
  // A copy has no m and l.
  const double scale = work == MemoryWork::kCopy ? static_cast<double>(head_dim + 2) / head_dim : 1.0;
  const double seconds = MedianSeconds(request, [&] {
    if (work == MemoryWork::kCopy) return CopyBlock(state.view().o, output_view);
    if (work == MemoryWork::kMerge) return MergeState(state.view(), other.view());
    FinishState(state.view(), output_view);
  });
  return seconds * scale * static_cast<double>(bytes) / static_cast<double>(rows * row);
}

// Of a product whose weights do not stay in a cache, seconds of one output.
double ProductSeconds(const Request& request, int64_t rows, int64_t inputs) {
  const DataType type = request.kind.data_type;
  const int64_t row_bytes = StoredInputs(inputs, type) * static_cast<int64_t>(SizeOf(type));
  const int64_t outputs = PanelCount(request.weight_bytes / row_bytes + 1) * kPanelOutputs;
  const PackedMatrix weights(outputs, inputs, type);
  const AlignedBuffer x = Filled({1, 1, rows, inputs}, DataType::kFloat32, 1);
  AlignedBuffer y(static_cast<size_t>(rows * outputs) * sizeof(float));
  Linear linear(request.kind.isa, request.kind.threads, rows, inputs, type);
  const double seconds = MedianSeconds(request, [&] {
    linear.Run({x.As<float>().data(), rows, inputs}, weights.view(), Store::kOverwrite,
               {y.As<float>().data(), rows, outputs});
  });
  return seconds / static_cast<double>(outputs);
}

// Of a decoder's work on rows of about so many bytes, on one thread; seconds of exactly so many.
double RowSeconds(const Request& request, MemoryWork work, int64_t bytes) {
  Qwen3Config config;
  config.head_dim = request.kind.head_dim;
  const DataType type = request.kind.data_type;
  const bool is_bfloat16 = type == DataType::kBfloat16;
  // Of a row: heads, and groups of gates and ups. Of a sum: three parts, the third being the sum.
  const int64_t width = 6 * config.head_dim * kPanelOutputs;
  const int64_t rows = std::max<int64_t>(1, bytes / (width * static_cast<int64_t>(sizeof(float))));
  const int64_t tokens = rows * kPanelOutputs * 3;  // of two heads each
  const RotaryTable rotary(tokens, config.head_dim, config.rope_theta);
  const RowWork row_work(config, request.kind.isa, 1, rotary);
  AlignedBuffer x = Filled({1, 1, rows, width}, DataType::kFloat32, 1);
  AlignedBuffer y(x.size_bytes()), rounded(x.size_bytes() / 2);
  const std::vector<float> weight(static_cast<size_t>(width), 1.0f);
  AttentionWeights weights;
  weights.q_norm = weights.k_norm = {weight.data(), static_cast<size_t>(config.head_dim)};
  KeyValueCache cache(1, 1, tokens, config.head_dim, type);
  const TokenSegments segments = {{0, 0, tokens}};
  float* from = x.As<float>().data();
  float* to = y.As<float>().data();
  ProjectedRows heads{from, 1, &segments, 0, 0, 2 * config.head_dim, nullptr};
  if (work == MemoryWork::kRotate) heads.query_heads = 2;
  if (work == MemoryWork::kRotate && is_bfloat16) heads.rounded_queries = rounded.As<Bfloat16>().data();
  if (work == MemoryWork::kKeep) heads.kv_heads = 1;
  const KeptTokens kept{work == MemoryWork::kKeep ? &cache : nullptr, nullptr, 0};
  const double seconds = MedianSeconds(request, [&] {
    if (work == MemoryWork::kNorm) return row_work.Norm(from, weight, rows, to);
    if (work == MemoryWork::kActivate) {
      return row_work.Activate({from, rows, width}, width / kPanelOutputs, {to, rows, width});
    }
    if (work == MemoryWork::kAdd) return AddInRankOrder(0, 2, from, 0, rows * width / 3, to);
    row_work.NormAndRotate(weights, heads, kept);
  });
  return seconds * static_cast<double>(bytes) / static_cast<double>(x.size_bytes());
}

void WriteProducts(const Request& request) {
  for (int64_t rows : request.queries) {
    for (int64_t inputs : request.inputs) {
      std::printf("product,,%s,%s,%d,,,%lld,%lld,,%.6e\n", std::string(Name(request.kind.isa)).c_str(),
                  Name(request.kind.data_type), request.kind.threads, static_cast<long long>(rows),
                  static_cast<long long>(inputs), ProductSeconds(request, rows, inputs));
      std::fflush(stdout);
    }
  }
}

void WriteSteps(const Request& request, const KernelKind& kind) {
  const auto write = [&](StepWork work, int64_t queries, int64_t keys) {
    std::printf("%s,%s,%s,%s,%d,%lld,%lld,%lld,%lld,,%.6e\n", std::string(Name(work)).c_str(),
                std::string(Name(kind.algorithm)).c_str(), std::string(Name(kind.isa)).c_str(),
                Name(kind.data_type), kind.threads, static_cast<long long>(kind.head_dim),
                static_cast<long long>(kind.group_size), static_cast<long long>(queries),
                static_cast<long long>(keys), StepSeconds(request, kind, work, queries, keys));
    std::fflush(stdout);
  };
  for (int64_t queries : request.queries) {
    for (int64_t keys : request.keys) {
      write(StepWork::kFull, queries, keys);
      if (RowOf(kind.algorithm).carries_state) write(StepWork::kCarried, queries, keys);
    }
    write(StepWork::kDiagonal, queries, queries);
  }
}

void Write(const Request& request) {
  std::printf("# %s; median of runs for %g s a point\n%s\n", CpuModelName().c_str(), request.seconds,
              std::string(Calibration::kHeader).c_str());
  for (AttentionAlgorithm algorithm : request.algorithms) {
    for (int64_t group : request.groups) {
      KernelKind kind = request.kind;
      kind.algorithm = algorithm;
      kind.group_size = group;
      WriteSteps(request, kind);
    }
  }
  WriteProducts(request);
  for (MemoryWork work : kAllMemoryWork) {
    for (int64_t bytes : request.bytes) {
      std::printf(
          "%s,,,,,,,,,%lld,%.6e\n", std::string(Name(work)).c_str(), static_cast<long long>(bytes),
          work < kFirstDecoderWork ? MemorySeconds(request, work, bytes) : RowSeconds(request, work, bytes));
    }
  }
}

po::options_description Options() {
  const auto text = [](const char* value) { return po::value<std::string>()->default_value(value); };
  po::options_description options("write_calibration");
  options.add_options()("isa", text("auto"), "auto: the widest of this CPU")(
      "dtype", text("fp32"), "or bf16")("threads", text("1"), "of a rank")(
      "head-dim", text("128"), "elements of a head")("groups", text("1,2,4"), "query heads of a KV head")(
      "algorithms", text("online_softmax,row_blocked,standard"), "which to measure")(
      "queries", text("1,16,64,256,1024,4096"), "query rows of a step")(
      "keys", text("16,64,256,1024,4096,16384"), "keys of a step")(
      "inputs", text("1024,4096"), "of a linear layer; its rows are those of --queries")(
      "weight-bytes", text("67108864"), "of a linear layer: more than stay in a cache, as in a whole model")(
      "bytes", text("4096,65536,1048576,16777216"), "of copies, of states, of a decoder's rows")(
      "seconds", text("0.2"), "for each point")("help", "print this");
  return options;
}

class Arguments {
 public:
  explicit Arguments(const po::variables_map& given) : given_(given) {}

  std::string Text(const char* name) const { return given_[name].as<std::string>(); }
  std::vector<std::string> List(const char* name) const {
    std::vector<std::string> items;
    std::istringstream text(Text(name));
    for (std::string item; std::getline(text, item, ',');) items.push_back(item);
    return items;
  }
  std::vector<int64_t> Counts(const char* name) const {
    std::vector<int64_t> counts;
    for (const std::string& item : List(name)) {
      const std::optional<int64_t> count = ParseInteger(item);
      if (!count || *count < 1 || *count > (int64_t{1} << 40)) Refuse(name, item, "whole numbers from 1");
      counts.push_back(*count);
    }
    return counts;
  }
  int64_t Count(const char* name, int64_t maximum) const {
    const std::optional<int64_t> count = ParseInteger(Text(name));
    if (!count || *count < 1 || *count > maximum) {
      Refuse(name, Text(name), internal::Concatenate("a whole number from 1 to ", maximum));
    }
    return *count;
  }
  [[noreturn]] void Refuse(const char* name, const std::string& text, const std::string& allowed) const {
    FailUsage("--", name, ": '", text, "'; allowed: ", allowed);
  }

 private:
  const po::variables_map& given_;
};

Request RequestOf(const po::variables_map& given) {
  const Arguments arguments(given);
  Request request;
  for (const std::string& name : arguments.List("algorithms")) {
    request.algorithms.push_back(AlgorithmFromText(name));
  }
  const std::string isa = arguments.Text("isa");
  if (isa != "auto" && !ParseIsa(isa)) arguments.Refuse("isa", isa, "auto, scalar, sse4, avx2, avx512");
  request.kind.isa = isa == "auto" ? BestIsa() : *ParseIsa(isa);
  const std::string type = arguments.Text("dtype");
  if (type != "fp32" && type != "bf16") arguments.Refuse("dtype", type, "fp32, bf16");
  request.kind.data_type = type == "bf16" ? DataType::kBfloat16 : DataType::kFloat32;
  request.kind.threads = static_cast<int>(arguments.Count("threads", 4096));
  request.kind.head_dim = arguments.Count("head-dim", kMaxHeadDim);
  request.groups = arguments.Counts("groups");
  request.queries = arguments.Counts("queries");
  request.keys = arguments.Counts("keys");
  request.inputs = arguments.Counts("inputs");
  request.weight_bytes = arguments.Count("weight-bytes", int64_t{1} << 34);
  request.bytes = arguments.Counts("bytes");
  const std::optional<double> seconds = ParseNumber(arguments.Text("seconds"));
  if (!seconds || *seconds < 0) arguments.Refuse("seconds", arguments.Text("seconds"), "a number from 0");
  request.seconds = *seconds;
  return request;
}

}  // namespace
}  // namespace attention

int main(int argc, char** argv) {
  namespace po = boost::program_options;
  try {
    const po::options_description options = attention::Options();
    po::variables_map given;
    try {
      po::store(po::command_line_parser(argc, argv)
                    .options(options)
                    .style(po::command_line_style::unix_style & ~po::command_line_style::allow_guessing)
                    .positional(po::positional_options_description())
                    .run(),
                given);
    } catch (const po::error& error) {
      attention::FailUsage(error.what(), "; see --help");
    }
    if (given.count("help") > 0) {
      std::ostringstream text;
      text << options;
      std::fputs(text.str().c_str(), stdout);
      return 0;
    }
    attention::Write(attention::RequestOf(given));
  } catch (const attention::Error& error) {
    std::fprintf(stderr, "write_calibration: %s\n", error.what());
    return static_cast<int>(error.status());
  }
}
