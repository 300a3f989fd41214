#include "src/experiment/commands/option_tables.h"

#include <algorithm>
#include <sstream>

#include "src/experiment/ask/axes.h"

namespace attention {
namespace {

namespace po = boost::program_options;

po::options_description ExperimentOptions() {
  po::options_description options("An experiment file");
  options.add_options()("experiment", po::value<std::string>(), "YAML file; see experiments/ and README")(
      "profile", po::value<std::string>(), "with --experiment: a variant that the file has under `profiles`")(
      "output", po::value<std::string>(), "run directory, made new (default results/NAME/TIME)")(
      "resume", po::value<std::string>(), "go on with an interrupted run directory")(
      "launch", po::value<std::string>(), "which launch this is, from 0 (several go into one directory)")(
      "launches", po::value<std::string>(),
      "how many launches there are to be at most (default: what the file says)")(
      "cells", po::value<std::string>(), "file with ids of cells, one a line: measure only those")(
      "order-seed", po::value<std::string>(),
      "draw the orders of cells, making and rounds from this number (default: the file's, or drawn anew and "
      "kept)")("dry-run", "print the plan: cells, FLOPs, bytes, memory, estimated time; run nothing")(
      "explain",
      "print what auto chooses from in each cell, with predicted times and bytes, fastest first: "
      "probes the machine, measures nothing")(
      "print-geometry",
      "print name, ranks, threads and launches the file asks for, a line each; run nothing");
  return options;
}

po::options_description OneModelOptions() {
  po::options_description options("A model at work");
  options.add_options()(
      "generate", po::value<std::string>(),
      "this many greedy tokens of the model after a prompt, with tokens/s; with --weights or "
      "--model, --parallel-strategy, --attention-algo, --exchange, --sharding, --isa, --dtype, "
      "--activations, --kv-cache, "
      "--threads, --placement")("prompt-ids", po::value<std::string>(),
                                "token ids of the prompt, 1,2,3 (default: --seq-len seeded ones)")(
      "prompt-file", po::value<std::string>(), "a file of the prompt's token ids, as --perplexity reads it")(
      "stop-ids", po::value<std::string>(),
      "--generate ends with the first of these token ids, 1,2,3 (default: none)")(
      "perplexity", po::value<std::string>(),
      "how well the model predicts the token ids in this file, in windows of --seq-len tokens (default 512) "
      "that overlap by half; with the options of --generate")(
      "each-token", "what of --perplexity each token scored, too: a line of its place, id and nats")(
      "embed", po::value<std::string>(),
      "a vector of length 1 for each text, a line of token ids in this file; with the options of --generate")(
      "pooling", po::value<std::string>(),
      "what of --embed stands for a text: last (default), its last token, or mean, all of them");
  return options;
}

po::options_description OtherOptions() {
  po::options_description options("Other");
  options.add_options()("verify", po::value<std::string>(),
                        "check an attention block or layer against a safetensors file made elsewhere: every "
                        "variant and ISA, or those named by --parallel-strategy, --exchange, --sharding, "
                        "--attention-algo, --isa; with --threads")(
      "list", "ISAs of this machine, models, valid combinations")(
      "list-columns", "columns of samples.csv and cases.csv, as JSON")("version", "")("help", "");
  return options;
}

}  // namespace

std::vector<AxisOption> AxisOptions() {
  std::vector<AxisOption> options;
  for (const Axis& axis : Axes()) {
    if (axis.help.empty()) continue;
    std::string option = axis.name;
    std::replace(option.begin(), option.end(), '_', '-');
    options.push_back({option, axis.name, OptionHelp(axis)});
    const OlderName& older = axis.older_name;
    if (!older.name.empty()) options.push_back({older.name, older.name, older.help});
  }
  return options;
}

po::options_description OneOffOptions() {
  po::options_description options("A one-off run");
  options.add_options()(
      "parallel-strategy", po::value<std::string>(),
      "headwise (a rank owns heads; default), sequence (a rank owns tokens), or auto: with exchange "
      "and sharding, what is predicted to be fastest here")(
      "attention-algo", po::value<std::string>(), "standard, row_blocked or online_softmax (default)")(
      "exchange", po::value<std::string>(),
      "headwise: allgather, none, all_to_all, shared; sequence: ring, allgather, merge, mesh, shared; its "
      "decode: "
      "merge, tree, all_to_all (default: by strategy)")(
      "sharding", po::value<std::string>(),
      "contiguous, zigzag or balanced (default: of a prefill zigzag if causal, "
      "balanced if documents are packed)")(
      "grid", po::value<std::string>(),
      "2x4: 2-D, with --parallel-strategy sequence: 2 ranks share heads, 4 groups of them share tokens");
  for (const AxisOption& option : AxisOptions()) {
    options.add_options()(option.option.c_str(), po::value<std::string>(), option.help.c_str());
  }
  options.add_options()("heads", po::value<std::string>(),
                        "query heads, with --kv-heads and --head-dim instead of --model")(
      "kv-heads", po::value<std::string>(), "key/value heads; divides --heads")(
      "head-dim", po::value<std::string>(), "1 to 256")("rounds", po::value<std::string>(),
                                                        "samples (default 10), or auto: chosen by a pilot")(
      "warmup", po::value<std::string>(), "runs before each sample (default 1)")(
      "seed", po::value<std::string>(), "of the data and of the order of runs (default 1)")(
      "attention", po::value<std::string>(), "deprecated: streaming or standard; use the two options above")(
      "weights", po::value<std::string>(),
      "Hugging Face safetensors, a file or a directory, with config.json, which gives the shape; for --scope "
      "block, layer or model (default: seeded weights)");
  return options;
}

po::options_description AllOptions() {
  po::options_description options;
  options.add(ExperimentOptions()).add(OneOffOptions()).add(OneModelOptions()).add(OtherOptions());
  return options;
}

std::vector<std::string> OptionNames(const po::options_description& options) {
  std::vector<std::string> names;
  for (const auto& option : options.options()) names.push_back("--" + option->long_name());
  return names;
}

std::string HelpText() {
  std::ostringstream text;
  text << "Measures attention on CPUs, distributed over MPI ranks, and checks every result against "
          "float64.\n\n"
          "  mpirun -np 2 benchmark_qwen3 --parallel-strategy sequence --attention-algo online_softmax\n"
          "  mpirun -np 2 benchmark_qwen3 --experiment experiments/smoke.yaml\n"
          "  benchmark_qwen3 --experiment experiments/ordering.yaml --dry-run\n"
          "  mpirun -np 2 benchmark_qwen3 --verify block.safetensors\n"
          "  mpirun -np 2 benchmark_qwen3 --generate 64 --weights Qwen3-0.6B --prompt-ids 151644,872,198\n"
          "  mpirun -np 2 benchmark_qwen3 --perplexity ids.txt --weights Qwen3-0.6B\n"
          "  mpirun -np 2 benchmark_qwen3 --embed texts.txt --weights Qwen3-Embedding-0.6B\n"
          "  benchmark_qwen3 --list\n\n"
       << ExperimentOptions() << "\n"
       << OneOffOptions() << "\n"
       << OneModelOptions() << "\n"
       << OtherOptions()
       << "\nExit status: 0 every case ran and is accurate; 1 some case failed; 2 bad usage or bad file, "
          "nothing\n"
          "was run, or standard output cannot be written; 3 interrupted, --resume goes on.\n";
  return text.str();
}

}  // namespace attention
