#include "src/experiment/commands/command_line.h"

#include <algorithm>
#include <boost/program_options.hpp>
#include <initializer_list>
#include <map>
#include <nlohmann/json.hpp>

#include "src/base/error.h"
#include "src/experiment/ask/axes.h"
#include "src/experiment/ask/experiment_file.h"
#include "src/experiment/ask/yaml_reader.h"
#include "src/experiment/commands/option_tables.h"
#include "src/experiment/text/spelling.h"
#include "src/experiment/text/utf8.h"
#include "src/simd/isa.h"

namespace attention {
namespace {

namespace po = boost::program_options;
using Values = std::map<std::string, std::string>;

Values ParseOptions(const std::vector<std::string>& arguments) {
  const po::options_description all = AllOptions();
  // Said here, because the library's own complaints about these are less of a help.
  const std::vector<std::string> names = OptionNames(all);
  for (size_t i = 0; i < arguments.size(); ++i) {
    const std::string name = arguments[i].substr(0, arguments[i].find('='));
    if (name.rfind("--", 0) == 0 && std::find(names.begin(), names.end(), name) == names.end()) {
      FailUsage("unknown option '", name.substr(0, 60), "'", DidYouMean(name, names), " (see --help)");
    }
  }
  namespace style = po::command_line_style;
  const int kStyle = style::allow_long | style::long_allow_adjacent | style::long_allow_next;
  Values values;
  try {
    const po::parsed_options parsed = po::command_line_parser(arguments)
                                          .options(all)
                                          .positional(po::positional_options_description())
                                          .style(kStyle)
                                          .run();
    for (const auto& option : parsed.options) {
      if (values.count(option.string_key) > 0) FailUsage("--", option.string_key, " is given twice");
      values[option.string_key] = option.value.empty() ? "" : option.value.front();
    }
  } catch (const po::too_many_positional_options_error&) {
    FailUsage("every argument is an option, such as --experiment FILE; found one without '--' (see --help)");
  } catch (const po::error& error) {
    FailUsage(error.what(), " (see --help)");
  }
  return values;
}

// Runs a conversion and puts the option's name in front of its complaint.
template <typename Function>
auto ForOption(const std::string& option, Function function) {
  try {
    return function();
  } catch (const Error& error) {
    throw error.WithContext("--" + option);
  }
}

int64_t IntegerOption(const Values& values, const std::string& option, int64_t minimum, int64_t maximum,
                      int64_t default_value) {
  const auto found = values.find(option);
  if (found == values.end()) return default_value;
  const std::optional<int64_t> value = ParseInteger(found->second);
  if (!value || *value < minimum || *value > maximum) {
    FailUsage("--", option, ": a whole number from ", minimum, " to ", maximum, " is expected; found '",
              found->second.substr(0, 60), "'");
  }
  return *value;
}

std::string PathOption(const Values& values, const std::string& option) {
  const auto found = values.find(option);
  if (found == values.end()) return "";
  if (found->second.empty()) FailUsage("--", option, " needs a path");
  return found->second;
}

ModelShape HeadsOption(const Values& values) {
  if (values.count("model") > 0)
    FailUsage("--model and --heads are two ways to say the same; give one of them");
  for (const char* option : {"heads", "kv-heads", "head-dim"}) {
    if (values.count(option) == 0)
      FailUsage("--", option, " is missing; --heads, --kv-heads and --head-dim go together");
  }
  ModelShape shape;
  shape.query_heads = IntegerOption(values, "heads", 1, 4096, 0);
  shape.kv_heads = IntegerOption(values, "kv-heads", 1, 4096, 0);
  shape.head_dim = IntegerOption(values, "head-dim", 1, 256, 0);
  if (shape.query_heads % shape.kv_heads != 0) {
    FailUsage("--kv-heads: ", shape.kv_heads, " does not divide --heads ", shape.query_heads);
  }
  shape.name = internal::Concatenate("h", shape.query_heads, "kv", shape.kv_heads, "d", shape.head_dim);
  return shape;
}

std::string_view StrategyWord(const VariantSpec& variant) {
  return variant.is_auto ? "auto" : Name(variant.strategy);
}

VariantSpec VariantOption(Values& values, std::vector<std::string>& notes) {
  VariantSpec variant;
  const auto deprecated = values.find("attention");
  if (deprecated != values.end()) {
    if (values.count("parallel-strategy") > 0 || values.count("attention-algo") > 0) {
      FailUsage(
          "--attention is the old spelling of --parallel-strategy and --attention-algo; give only the new "
          "ones");
    }
    const std::string& kind = deprecated->second;
    const std::vector<std::string> kinds = {"streaming", "standard"};
    if (std::find(kinds.begin(), kinds.end(), kind) == kinds.end()) {
      FailUsage("--attention: unknown value '", kind.substr(0, 60), "', allowed are ", Join(kinds),
                DidYouMean(kind, kinds));
    }
    values["parallel-strategy"] = "headwise";
    values["attention-algo"] = kind == "streaming" ? "online_softmax" : "standard";
    notes.push_back("note: --attention " + kind +
                    " is deprecated; it means --parallel-strategy headwise --attention-algo " +
                    values["attention-algo"]);
  }
  const auto read = [&](const char* option, auto convert, auto& target) {
    const auto found = values.find(option);
    if (found != values.end()) target = ForOption(option, [&] { return convert(found->second); });
  };
  std::optional<ParallelStrategy> strategy = variant.strategy;  // none: auto
  read("parallel-strategy", StrategyOrAutoFromText, strategy);
  variant.is_auto = !strategy;
  if (strategy) variant.strategy = *strategy;
  for (const char* option : {"exchange", "sharding", "grid"}) {
    if (variant.is_auto && values.count(option) > 0) {
      FailUsage("--", option, ": --parallel-strategy auto chooses it; leave it out, or name a strategy");
    }
  }
  read("attention-algo", AlgorithmFromText, variant.algorithm);
  read("exchange", ExchangeFromText, variant.exchange);
  read("sharding", ShardingFromText, variant.sharding);
  read("grid", GridFromText, variant.grid);
  const std::string grid = values.count("grid") > 0 ? "(grid=" + values.at("grid") + ")" : "";
  variant.label = internal::Concatenate(StrategyWord(variant), grid, "+", Name(variant.algorithm));
  return variant;
}

// The file that would do the same: so that one-off runs, too, say in their manifest what they were.
std::string ToYaml(const ExperimentSpec& spec, const VariantSpec& variant) {
  std::string text = "name: one_off\n";
  if (!spec.weights_path.empty()) text += "weights: " + nlohmann::json(spec.weights_path).dump() + "\n";
  if (const auto model = spec.axes.find("model"); model != spec.axes.end()) {
    const ModelShape& shape = spec.models.at(model->second.front().text);
    text += shape.hidden_size > 0
                ? "model: " + shape.name + "\n"
                : internal::Concatenate("model: {heads: ", shape.query_heads, ", kv_heads: ", shape.kv_heads,
                                        ", head_dim: ", shape.head_dim, "}\n");
  }
  text +=
      internal::Concatenate("grid:\n  variant: [{name: ", variant.label,
                            ", strategy: ", StrategyWord(variant), ", algorithm: ", Name(variant.algorithm));
  if (variant.exchange) text += internal::Concatenate(", exchange: ", Name(*variant.exchange));
  if (variant.sharding) text += internal::Concatenate(", sharding: ", Name(*variant.sharding));
  if (variant.grid.is_set()) {
    text += internal::Concatenate(", grid: {headwise: ", variant.grid.headwise,
                                  ", sequence: ", variant.grid.sequence, "}");
  }
  text += "}]\n";
  for (const auto& [axis, axis_values] : spec.axes) {
    if (axis != "variant" && axis != "model") text += "  " + axis + ": [" + axis_values.front().text + "]\n";
  }
  text += "measure: {warmup: " + std::to_string(spec.measure.warmup) + ", rounds: " +
          (spec.measure.rounds > 0 ? std::to_string(spec.measure.rounds) : std::string("auto")) +
          ", seed: " + std::to_string(spec.measure.seed) + "}\n";
  return text;
}

ExperimentSpec OneOff(Values& values, int default_threads, int ranks, std::vector<std::string>& notes) {
  ExperimentSpec spec;
  spec.name = "one_off";
  spec.title = "one-off run";
  const VariantSpec variant = VariantOption(values, notes);
  spec.variants[variant.label] = variant;
  spec.axes["variant"] = {{variant.label, "--parallel-strategy, --exchange, --attention-algo, --grid"}};
  spec.weights_path = PathOption(values, "weights");
  if (FirstNoUtf8(spec.weights_path)) {
    FailUsage("--weights: the path is no text in UTF-8, as which the manifest keeps it; name it by a link");
  }
  if (values.count("heads") + values.count("kv-heads") + values.count("head-dim") > 0) {
    if (!spec.weights_path.empty())
      FailUsage("--heads and --weights: the weights give the shape; leave --heads out");
    const ModelShape shape = HeadsOption(values);
    spec.models[shape.name] = shape;
    spec.axes["model"] = {{shape.name, "--heads"}};
  }
  for (const AxisOption& option : AxisOptions()) {
    const auto found = values.find(option.option);
    if (found == values.end()) continue;
    const std::string text =
        ForOption(option.option, [&] { return CanonicalAxisValue(option.name, found->second); });
    std::vector<AxisValue>& axis_values = spec.axes[FindAxis(option.name)->name];
    if (!axis_values.empty())
      FailUsage("--", option.option, " and ", axis_values.front().where, " say the same; give one of them");
    axis_values = {{text, "--" + option.option}};
    if (option.name == "model") spec.models[text] = *FindQwen3Shape(text);
  }
  spec.axes["ranks"] = {{std::to_string(ranks), "mpirun -np"}};
  if (spec.axes.count("threads") == 0)
    spec.axes["threads"] = {{std::to_string(default_threads), "--threads"}};
  spec.measure.rounds = values.count("rounds") > 0 && values["rounds"] == "auto"
                            ? 0
                            : static_cast<int>(IntegerOption(values, "rounds", 1, 100000, 10));
  spec.measure.warmup = static_cast<int>(IntegerOption(values, "warmup", 0, 1000, 1));
  spec.measure.seed = static_cast<uint64_t>(IntegerOption(values, "seed", 0, INT64_MAX - 1, 1));
  FillDefaultAxes(spec);
  spec.config_text = ToYaml(spec, variant);
  return spec;
}

void RefuseBeside(const Values& values, std::string_view command,
                  const std::vector<std::string_view>& allowed) {
  for (const auto& [option, value] : values) {
    if (option == command || std::find(allowed.begin(), allowed.end(), option) != allowed.end()) continue;
    FailUsage("--", option, " means nothing with --", command);
  }
}

// What --verify runs: whatever is not named runs in every valid form.
VerifyRequest VerifyOptions(const Values& values, int default_threads) {
  RefuseBeside(values, "verify",
               {"parallel-strategy", "exchange", "sharding", "attention-algo", "isa", "threads"});
  VerifyRequest request;
  const auto read = [&](const char* option, auto convert, auto& target) {
    const auto found = values.find(option);
    if (found != values.end()) target = ForOption(option, [&] { return convert(found->second); });
  };
  read("parallel-strategy", StrategyFromText, request.strategy);
  read("exchange", ExchangeFromText, request.exchange);
  read("sharding", ShardingFromText, request.sharding);
  read("attention-algo", AlgorithmFromText, request.algorithm);
  const auto isa = values.find("isa");
  if (isa != values.end()) {
    const std::string text = ForOption("isa", [&] { return CanonicalAxisValue("isa", isa->second); });
    request.isas = {text == "auto" ? BestIsa() : *ParseIsa(text)};
  }
  request.threads = static_cast<int>(IntegerOption(values, "threads", 1, 4096, default_threads));
  return request;
}

// Token ids with commas between them.
std::vector<int64_t> IdsOption(const std::string& option, const std::string& text) {
  constexpr size_t kMaximumIds = 1 << 20;
  std::vector<int64_t> ids;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find(',', begin), text.size());
    const std::optional<int64_t> id = ParseInteger(text.substr(begin, end - begin));
    if (!id || *id < 0 || ids.size() == kMaximumIds) {
      FailUsage("--", option, ": token ids with commas between them are expected, as in 1,2,3; found '",
                text.substr(begin, end - begin).substr(0, 60), "'");
    }
    ids.push_back(*id);
    begin = end + 1;
  }
  return ids;
}

// Options of what runs one model; `command` and its own options come on top.
void RefuseBesideModel(const Values& values, std::string_view command,
                       std::initializer_list<std::string_view> own) {
  static constexpr std::string_view kAllowed[] = {
      "parallel-strategy", "exchange", "sharding", "attention-algo", "attention",   "isa",
      "threads",           "model",    "weights",  "dtype",          "activations", "kv-cache",
      "seq-len",           "seed",     "placement"};
  std::vector<std::string_view> allowed(std::begin(kAllowed), std::end(kAllowed));
  allowed.insert(allowed.end(), own.begin(), own.end());
  RefuseBeside(values, command, allowed);
}

PerplexityRequest PerplexityOptions(Values& values, int default_threads, int ranks,
                                    std::vector<std::string>& notes) {
  RefuseBesideModel(values, "perplexity", {"each-token"});
  PerplexityRequest request;
  request.each_token = values.count("each-token") > 0;
  request.ids_file = PathOption(values, "perplexity");
  values["scope"] = "model";
  values["seq-len"] = std::to_string(IntegerOption(values, "seq-len", 2, 1 << 20, 512));
  request.spec = OneOff(values, default_threads, ranks, notes);
  return request;
}

EmbedRequest EmbedOptions(Values& values, int default_threads, int ranks, std::vector<std::string>& notes) {
  RefuseBesideModel(values, "embed", {"pooling"});
  if (values.count("seq-len") > 0)
    FailUsage("--seq-len means nothing with --embed: texts have their own length");
  EmbedRequest request;
  request.ids_file = PathOption(values, "embed");
  if (values.count("pooling") > 0) {
    const std::string& pooling = values["pooling"];
    const std::vector<std::string> poolings = {"last", "mean"};
    if (std::find(poolings.begin(), poolings.end(), pooling) == poolings.end()) {
      FailUsage("--pooling: unknown value '", pooling.substr(0, 60), "', allowed are ", Join(poolings),
                DidYouMean(pooling, poolings));
    }
    request.averages = pooling == "mean";
  }
  values["scope"] = "model";
  request.spec = OneOff(values, default_threads, ranks, notes);
  return request;
}

GenerateRequest GenerateOptions(Values& values, int default_threads, int ranks,
                                std::vector<std::string>& notes) {
  RefuseBesideModel(values, "generate", {"prompt-ids", "prompt-file", "stop-ids"});
  GenerateRequest request;
  request.count = IntegerOption(values, "generate", 1, 1 << 20, 1);
  int64_t prompt = IntegerOption(values, "seq-len", 1, 1 << 20, 128);
  if (values.count("prompt-ids") + values.count("prompt-file") + values.count("seq-len") > 1) {
    FailUsage("--prompt-ids, --prompt-file and --seq-len exclude each other");
  }
  if (values.count("prompt-ids") > 0) {
    request.prompt = IdsOption("prompt-ids", values["prompt-ids"]);
    prompt = static_cast<int64_t>(request.prompt.size());
  }
  request.prompt_file = PathOption(values, "prompt-file");
  if (values.count("stop-ids") > 0) request.stop_ids = IdsOption("stop-ids", values["stop-ids"]);
  values["scope"] = "model";
  values["seq-len"] = std::to_string(prompt);
  request.spec = OneOff(values, default_threads, ranks, notes);
  return request;
}

void RefuseWithFile(const Values& values) {
  const std::vector<std::string> names = OptionNames(OneOffOptions());
  for (const auto& [option, value] : values) {
    if (std::find(names.begin(), names.end(), "--" + option) != names.end()) {
      FailUsage("--", option, " is for one-off runs; with --experiment or --resume the file says it");
    }
  }
}

}  // namespace

CommandLine ParseCommandLine(const std::vector<std::string>& arguments, int default_threads, int ranks) {
  Values values = ParseOptions(arguments);
  const auto given = [&](const char* option) { return values.count(option) > 0; };
  const auto path = [&](const char* option) { return PathOption(values, option); };
  CommandLine line;
  using Mode = CommandLine::Mode;
  for (const auto& [option, mode] :
       {std::pair("help", Mode::kHelp), std::pair("version", Mode::kVersion), std::pair("list", Mode::kList),
        std::pair("list-columns", Mode::kListColumns)}) {
    if (!given(option)) continue;
    line.mode = mode;
    return line;
  }
  if (given("verify")) {
    line.mode = CommandLine::Mode::kVerify;
    line.verify = path("verify");
    line.verify_request = VerifyOptions(values, default_threads);
    return line;
  }
  if (given("generate")) {
    line.mode = CommandLine::Mode::kGenerate;
    line.generate = GenerateOptions(values, default_threads, ranks, line.notes);
    return line;
  }
  if (given("perplexity")) {
    line.mode = CommandLine::Mode::kPerplexity;
    line.perplexity = PerplexityOptions(values, default_threads, ranks, line.notes);
    return line;
  }
  if (given("embed")) {
    line.mode = CommandLine::Mode::kEmbed;
    line.embed = EmbedOptions(values, default_threads, ranks, line.notes);
    return line;
  }
  if (given("pooling")) FailUsage("--pooling is for --embed");
  if (given("each-token")) FailUsage("--each-token is for --perplexity");
  for (const char* option : {"prompt-ids", "prompt-file", "stop-ids"}) {
    if (given(option)) FailUsage("--", option, " is for --generate");
  }
  line.experiment = path("experiment");
  line.profile = given("profile") ? values["profile"] : "";
  if (given("profile") && line.profile.empty())
    FailUsage("--profile needs the name of a profile of the file");
  if (given("profile") && line.experiment.empty()) {
    FailUsage("--profile is for --experiment: it chooses a profile of that file");
  }
  line.output = path("output");
  line.resume = path("resume");
  line.launch = static_cast<int>(IntegerOption(values, "launch", 0, 999, 0));
  line.launches = static_cast<int>(IntegerOption(values, "launches", 1, 999, 0));
  line.cells = path("cells");
  if (given("order-seed")) {
    line.order_seed =
        static_cast<uint64_t>(IntegerOption(values, "order-seed", 0, (int64_t{1} << 53) - 1, 0));
  }
  if (given("dry-run")) line.mode = CommandLine::Mode::kDryRun;
  if (given("explain")) line.mode = CommandLine::Mode::kExplain;
  if (given("print-geometry")) line.mode = CommandLine::Mode::kPrintGeometry;
  if (!line.output.empty() && !line.resume.empty()) {
    FailUsage("--output and --resume exclude each other; --resume names the directory already");
  }
  if (line.experiment.empty() && line.resume.empty() && !line.cells.empty()) {
    FailUsage("--cells is for --experiment and --resume; a one-off run has one cell");
  }
  if (!line.experiment.empty() || !line.resume.empty()) {
    RefuseWithFile(values);
  } else {
    line.one_off = OneOff(values, default_threads, ranks, line.notes);
  }
  return line;
}

}  // namespace attention
