#include "src/experiment/commands/report.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <set>

#include "src/base/error.h"
#include "src/experiment/ask/axes.h"
#include "src/experiment/text/spelling.h"
#include "src/experiment/text/text_table.h"
#include "src/kernels/attention_kernel.h"

namespace attention {
namespace {

// A column that is shown only if it differs between rows.
struct Column {
  std::string name;
  std::function<std::string(const Cell&)> value;
};

// Packed sequences may be many.
std::string Shortened(const std::string& text) {
  constexpr size_t kWidth = 16;
  return text.size() <= kWidth ? text : text.substr(0, kWidth - 3) + "...";
}

std::vector<Column> FactorColumns() {
  std::vector<Column> columns;
  for (const Axis& axis : Axes()) {
    if (axis.print == nullptr) continue;
    columns.push_back({axis.name, [print = axis.print](const Cell& cell) { return Shortened(print(cell)); }});
  }
  return columns;
}

// Splits the factors into those that vary (columns) and a line of those that do not.
std::vector<Column> VaryingColumns(const std::vector<const Cell*>& cells, std::string* constant) {
  std::vector<Column> varying;
  for (const Column& column : FactorColumns()) {
    const std::string first = column.value(*cells.front());
    const bool varies = std::any_of(cells.begin(), cells.end(),
                                    [&](const Cell* cell) { return column.value(*cell) != first; });
    if (varies) {
      varying.push_back(column);
    } else {
      *constant += (constant->empty() ? "" : ", ") + column.name + " " + first;
    }
  }
  return varying;
}

// Breaks a line at spaces so that none is longer than `width`.
std::string Wrap(const std::string& text, const std::string& indent, size_t width = 96) {
  std::string wrapped, line;
  if (text.empty()) return "";
  size_t begin = 0;
  while (begin < text.size()) {
    const size_t space = std::min(text.find(' ', begin), text.size());
    const std::string word = text.substr(begin, space - begin);
    if (!line.empty() && line.size() + 1 + word.size() > width) {
      wrapped += line + "\n";
      line = indent;
    }
    line += (line.empty() || line == indent ? "" : " ") + word;
    begin = space + 1;
  }
  return wrapped + line + "\n";
}

std::string Gflop(double flops) { return FormatSignificant(flops * 1e-9); }

std::string Mebibytes(int64_t bytes) { return FormatSignificant(static_cast<double>(bytes) / (1 << 20)); }

std::string MilliSeconds(double seconds) { return FormatSignificant(seconds * 1e3); }

// A difference of two times that were measured at different moments is known no better than the time is.
std::string Exposed(const CaseRow& row) {
  if (!std::isfinite(row.comm_exposed_s) || row.comm_exposed_s == 0.0)
    return MilliSeconds(row.comm_exposed_s);
  const double below = row.time_median_s - (std::isfinite(row.time_low_s) ? row.time_low_s : 0.0);
  return row.comm_exposed_s > below ? MilliSeconds(row.comm_exposed_s) : "not resolved";
}

// Which cells are measured together, if any are.
std::string TurnsLine(const Plan& plan) {
  std::set<std::string> bundles;
  size_t cells = 0;
  for (const Cell& cell : plan.cells) {
    if (cell.bundle.empty()) continue;
    bundles.insert(cell.bundle);
    ++cells;
  }
  if (bundles.empty()) return "";
  return internal::Concatenate(cells, " of the cells are measured by turns, round by round, in ",
                               bundles.size(), bundles.size() == 1 ? " group" : " groups",
                               ": those that a claim compares with each other.");
}

}  // namespace

std::string PlanReport(const ExperimentSpec& spec, const Plan& plan) {
  std::vector<const Cell*> cells;
  for (const Cell& cell : plan.cells) cells.push_back(&cell);
  std::string constant;
  const std::vector<Column> columns = VaryingColumns(cells, &constant);
  std::vector<std::string> header = {"cell"};
  for (const Column& column : columns) header.push_back(column.name);
  for (const char* name : {"GFLOP", "sent MiB", "mem MiB", "time s"}) header.push_back(name);
  TextTable table(header);
  for (const Cell* cell : cells) {
    std::vector<std::string> row = {cell->id};
    for (const Column& column : columns) row.push_back(column.value(*cell));
    int64_t sent = 0;
    for (const Case& made : cell->cases) sent = std::max(sent, made.comm_bytes_per_rank);
    row.push_back(Gflop(cell->flops));
    row.push_back(Mebibytes(sent));
    row.push_back(Mebibytes(cell->memory_bytes_per_rank));
    row.push_back(std::to_string(std::llround(std::ceil(cell->seconds_estimate))));
    table.AddRow(row);
  }
  std::vector<std::string> variants;
  for (const AxisValue& value : spec.axes.at("variant")) variants.push_back(value.text);
  std::string text = spec.name + ": " + spec.title + "\n";
  text += Wrap("compared in each cell: " + Join(variants), "  ");
  text += Wrap("same in every cell: " + constant, "  ");
  text += "\n" + table.ToString() + "\n";
  text += internal::Concatenate(plan.cells.size(), " cells, ", plan.case_count(), " cases, ", plan.max_ranks,
                                " ranks, ", spec.launches(), spec.launches() == 1 ? " launch" : " launches",
                                "; about ", FormatDuration(plan.seconds_estimate()), " a launch\n");
  text += Wrap(TurnsLine(plan), "");
  if (plan.has_automatic_cases()) {
    text += Wrap(
        "auto is chosen where it runs, before the first cell; --explain shows there what from. What is sent "
        "and kept is given for the first candidate.",
        "");
  }
  text += Wrap(
      "GFLOP: 4 x batch x heads x head_dim x visible (query, key) pairs, exact. sent: by one rank, the most "
      "of "
      "any variant. mem: on one rank, all variants together. The last three columns are estimates.",
      "");
  return text;
}

std::string ExplainReport(const Cell& cell, const Choice& choice) {
  std::string constant;
  VaryingColumns({&cell}, &constant);
  TextTable table({"", "variant", "predicted ms", "compute ms", "exchange ms", "sent MiB"});
  for (size_t i = 0; i < choice.ranking.size(); ++i) {
    const Prediction& prediction = choice.ranking[i];
    table.AddRow({std::to_string(i + 1), Name(prediction.variant), MilliSeconds(prediction.seconds),
                  MilliSeconds(prediction.compute_s), MilliSeconds(prediction.exchange_s),
                  Mebibytes(prediction.bytes)});
  }
  std::string text = Wrap(constant, "  ") + "\n" + table.ToString() + "\n";
  const auto link = [](const char* where, const LinkRate& rate) {
    return internal::Concatenate(where, " ", FormatSignificant(rate.latency_s * 1e6), " us and ",
                                 FormatSignificant(rate.bytes_per_second * 1e-9), " GB/s, of which ",
                                 FormatSignificant(100 * (1 - rate.unhidden)), " % hides");
  };
  const Rates& rates = choice.rates;
  text += "measured here: ";
  if (cell.ranks > 1) {
    text += link("links", rates.within_node);
    if (!(rates.across_nodes == rates.within_node)) text += "; " + link("between nodes", rates.across_nodes);
    text += "; ";
  }
  // Of two products of head_dim each.
  double slowest = rates.kernels.front().pairs_per_second, fastest = slowest;
  for (const KernelRate& rate : rates.kernels) {
    slowest = std::min(slowest, rate.pairs_per_second);
    fastest = std::max(fastest, rate.pairs_per_second);
  }
  const double flops = 4.0 * static_cast<double>(cell.problem.head_dim);
  return text + internal::Concatenate("kernels ", FormatSignificant(slowest * flops * 1e-9), " to ",
                                      FormatSignificant(fastest * flops * 1e-9), " GFLOP/s by shape\n");
}

std::string ResultReport(const std::vector<CaseRow>& rows) {
  if (rows.empty()) return "nothing was measured\n";
  std::vector<const Cell*> cells;
  for (const CaseRow& row : rows) cells.push_back(row.cell);
  std::string constant;
  std::vector<Column> columns = VaryingColumns(cells, &constant);
  std::vector<std::string> header;
  for (const Column& column : columns) header.push_back(column.name);
  for (const char* name : {"variant", "ms", "GFLOP/s", "% peak", "exposed ms", "rel_l2_err", "status"}) {
    header.push_back(name);
  }
  TextTable table(header);
  std::string failures;
  for (const CaseRow& row : rows) {
    std::vector<std::string> line;
    for (const Column& column : columns) line.push_back(column.value(*row.cell));
    line.push_back(row.made->is_auto ? row.made->label + ": " + Name(row.made->variant) : row.made->label);
    line.push_back(MilliSeconds(row.time_median_s));
    line.push_back(FormatSignificant(row.gflops));
    line.push_back(FormatSignificant(row.pct_peak));
    line.push_back(Exposed(row));
    line.push_back(FormatSignificant(row.rel_l2_err, 2));
    line.push_back(std::string(Name(row.status)) + (row.oversubscribed ? " oversubscribed" : ""));
    table.AddRow(line);
    if (!row.message.empty()) failures += row.made->id + ": " + row.message + "\n";
  }
  std::string text = Wrap(constant, "  ") + "\n" + table.ToString();
  if (rows.size() == 1) {
    const CaseRow& row = rows.front();
    text +=
        internal::Concatenate("\n", Name(row.made->variant), "; ", row.rounds, " samples, 95 % interval ",
                              MilliSeconds(row.time_low_s), " to ", MilliSeconds(row.time_high_s), " ms\n");
    text += internal::Concatenate("measured beside it: FMA peak ", FormatSignificant(row.peak_gflops),
                                  " GFLOP/s, read ", FormatSignificant(row.read_gb_per_s),
                                  " GB/s; tolerance ", FormatSignificant(row.tolerance_rel_l2, 2), "\n");
  }
  return text + (failures.empty() ? "" : "\n" + failures);
}

std::string VerifyReport(const std::string& file, const std::vector<VerifyResult>& results) {
  TextTable table({"variant", "isa", "max_abs_err", "rel_l2_err", "tolerance", "result"});
  size_t passed = 0;
  for (const VerifyResult& result : results) {
    passed += result.passed ? 1 : 0;
    const std::string verdict = result.passed ? "ok" : result.non_finite > 0 ? "not finite" : "wrong";
    table.AddRow({Name(result.variant), std::string(Name(result.isa)), FormatSignificant(result.max_abs_err),
                  FormatSignificant(result.rel_l2_err), FormatSignificant(result.tolerance), verdict});
  }
  return internal::Concatenate(table.ToString(), file, ": ", passed, " of ", results.size(),
                               " within tolerance\n");
}

std::string ListReport() {
  std::string text = "ISAs of this machine:";
  for (Isa isa : SupportedIsas()) text += " " + std::string(Name(isa));
  text += "\n\nModels:\n";
  TextTable models({"name", "heads", "kv_heads", "head_dim", "hidden", "layers"});
  for (const ModelShape& shape : Qwen3Shapes()) {
    models.AddRow({shape.name, std::to_string(shape.query_heads), std::to_string(shape.kv_heads),
                   std::to_string(shape.head_dim), std::to_string(shape.hidden_size),
                   std::to_string(shape.layers)});
  }
  text += models.ToString() + "\nValid combinations of strategy(exchange,sharding)+algorithm and contract:\n";
  for (Phase phase : {Phase::kPrefill, Phase::kDecode}) {
    text += "\n" + std::string(Name(phase)) + "\n";
    TextTable table({"variant", "contracts"});
    const std::vector<ValidCombination> valid = ValidCombinations(phase);
    std::vector<std::string> done;
    for (const ValidCombination& first : valid) {
      const std::string name = Name(first.variant);
      if (std::find(done.begin(), done.end(), name) != done.end()) continue;
      done.push_back(name);
      std::vector<std::string> contracts;
      for (const ValidCombination& other : valid) {
        if (other.variant == first.variant) contracts.emplace_back(Name(other.contract));
      }
      table.AddRow({name, Join(contracts)});
    }
    text += table.ToString();
  }
  return text;
}

}  // namespace attention
