#include "src/experiment/record/results.h"

#include <cmath>
#include <cstdio>

namespace attention {
namespace {

// Collects a header or a row.
class Line {
 public:
  Line& Text(const std::string& text) {
    if (!line_.empty() || started_) line_ += ",";
    started_ = true;
    line_ += CsvField(text);
    return *this;
  }
  Line& Text(std::string_view text) { return Text(std::string(text)); }
  Line& Text(const char* text) { return Text(std::string(text)); }
  Line& Integer(int64_t value) { return Text(std::to_string(value)); }
  Line& Number(double value) {
    if (std::isnan(value)) return Text("");
    char text[40];
    std::snprintf(text, sizeof(text), "%.9g", value);
    return Text(text);
  }
  Line& Boolean(bool value) { return Text(value ? "true" : "false"); }
  const std::string& str() const { return line_; }

 private:
  std::string line_;
  bool started_ = false;
};

}  // namespace

std::string_view Name(CaseStatus status) {
  switch (status) {
    case CaseStatus::kOk:
      return "ok";
    case CaseStatus::kFailed:
      return "failed";
    case CaseStatus::kTimeLimited:
      return "time_limited";
  }
  return "?";
}

std::string CsvField(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (char c : text) {
    // One row is one line, whatever a message holds.
    if (c == '\n' || c == '\r') c = ' ';
    if (c == '"') quoted += '"';
    quoted += c;
  }
  return quoted + "\"";
}

std::vector<std::string> SplitCsv(const std::string& line) {
  std::vector<std::string> fields(1);
  bool quoted = false;
  for (size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    if (quoted && c == '"' && i + 1 < line.size() && line[i + 1] == '"') {
      fields.back() += '"';
      ++i;
    } else if (c == '"') {
      quoted = !quoted;
    } else if (c == ',' && !quoted) {
      fields.emplace_back();
    } else {
      fields.back() += c;
    }
  }
  return fields;
}

std::string SampleHeader() {
  return "schema_version,launch,cell,case,variant,round,order_in_round,time_s,time_min_rank_s,compute_s,"
         "comm_total_s,comm_exposed_s,peak_gflops,read_gb_per_s,page_faults,status";
}

std::string ToCsv(const SampleRow& row, int launch) {
  Line line;
  line.Integer(kSchemaVersion).Integer(launch).Text(row.cell).Text(row.case_id).Text(row.variant);
  line.Integer(row.round).Integer(row.order_in_round).Number(row.time_s).Number(row.time_min_rank_s);
  line.Number(row.compute_s).Number(row.comm_total_s).Number(row.comm_exposed_s);
  line.Number(row.peak_gflops).Number(row.read_gb_per_s);
  line.Integer(row.page_faults).Text(Name(row.status));
  return line.str();
}

std::string CaseHeader() {
  return "schema_version,launch,cell,case,variant,strategy,exchange,sharding,algorithm,backend,model,scope,"
         "phase,contract,dtype,isa,batch,heads,kv_heads,head_dim,seq_len,mask,causal,ranks,threads,nodes,"
         "placement,cache,data,seed,q_block,kv_block,rounds,time_median_s,time_low_s,time_high_s,gflops,"
         "pct_peak,peak_gflops,read_gb_per_s,minimum_bytes,compute_s,comm_total_s,comm_exposed_s,"
         "overlap_fraction,comm_bytes_per_rank,workspace_bytes,peak_rss_bytes,page_faults,max_abs_err,"
         "rel_l2_err,tolerance_rel_l2,nonfinite,oversubscribed,drift,status,message";
}

std::string ToCsv(const CaseRow& row, int launch) {
  const Cell& cell = *row.cell;
  const Variant& variant = row.made->variant;
  Line line;
  line.Integer(kSchemaVersion).Integer(launch).Text(cell.id).Text(row.made->id).Text(row.made->label);
  line.Text(Name(variant.strategy)).Text(Name(variant.exchange)).Text(Name(variant.sharding));
  line.Text(Name(variant.algorithm)).Text(row.backend).Text(cell.model.name).Text(Name(cell.scope));
  line.Text(Name(cell.phase))
      .Text(Name(cell.contract))
      .Text(Name(cell.problem.data_type))
      .Text(Name(cell.isa));
  line.Integer(cell.problem.batch).Integer(cell.problem.query_heads).Integer(cell.problem.kv_heads);
  line.Integer(cell.problem.head_dim).Integer(cell.seq_len).Text(Name(cell.problem.mask));
  line.Boolean(!cell.problem.mask.sees_later_keys());
  line.Integer(cell.ranks).Integer(cell.threads).Integer(row.nodes).Text(Name(cell.placement));
  line.Text(Name(cell.cache)).Text(Name(cell.data)).Integer(static_cast<int64_t>(cell.seed));
  line.Integer(row.tiles.q_block).Integer(row.tiles.kv_block).Integer(row.rounds);
  line.Number(row.time_median_s).Number(row.time_low_s).Number(row.time_high_s).Number(row.gflops);
  line.Number(row.pct_peak).Number(row.peak_gflops).Number(row.read_gb_per_s);
  line.Number(cell.minimum_bytes)
      .Number(row.compute_s)
      .Number(row.comm_total_s)
      .Number(row.comm_exposed_s)
      .Number(row.overlap_fraction);
  line.Integer(row.comm_bytes_per_rank).Integer(row.workspace_bytes).Integer(row.peak_rss_bytes);
  line.Number(row.page_faults);
  line.Number(row.max_abs_err).Number(row.rel_l2_err).Number(row.tolerance_rel_l2).Integer(row.nonfinite);
  line.Boolean(row.oversubscribed).Number(row.drift).Text(Name(row.status)).Text(row.message);
  return line.str();
}

}  // namespace attention
