// What is written, and what is made of it when a run goes on.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <sstream>
#include <utility>

#include "src/base/error.h"
#include "src/base/sha256.h"
#include "src/experiment/ask/experiment_file.h"
#include "src/experiment/plan/plan.h"
#include "src/experiment/record/results.h"
#include "src/experiment/record/run_directory.h"
#include "src/experiment/record/testing/run_directory_fixture.h"
#include "src/experiment/text/text_table.h"

namespace attention {
namespace {

namespace fs = std::filesystem;

// The examples of FIPS 180-2, appendix B, and the empty message.
TEST(Sha256Test, PublishedExamples) {
  EXPECT_EQ(Sha256("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(Sha256("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  EXPECT_EQ(Sha256(std::string(1000000, 'a')),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
  EXPECT_EQ(Sha256(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

TEST(CsvTest, FieldsSurviveTheRoundTrip) {
  for (const std::string field : {"plain", "a,b", "say \"hi\"", "", "\",\""}) {
    const std::vector<std::string> fields = SplitCsv("x," + CsvField(field) + ",y");
    ASSERT_EQ(fields.size(), 3u) << field;
    EXPECT_EQ(fields[1], field);
  }
  EXPECT_EQ(CsvField("two\nlines").find('\n'), std::string::npos);
}

TEST(TextTableTest, NumbersToTheRight) {
  TextTable table({"name", "value"});
  table.AddRow({"a", "1.5"});
  table.AddRow({"long name", "12.25"});
  EXPECT_EQ(table.ToString(), "name       value\na            1.5\nlong name  12.25\n");
  EXPECT_THROW(table.AddRow({"one"}), Error);
  EXPECT_EQ(FormatSignificant(1234.5), "1234");
  EXPECT_EQ(FormatSignificant(0.012345), "0.0123");
  EXPECT_EQ(FormatSignificant(2.3e-7, 2), "2.3e-07");
  EXPECT_EQ(FormatDuration(3725), "1 h 02 min");
  EXPECT_EQ(FormatBytes(1536), "1.50 KiB");
}

TEST_F(RunDirectoryTest, RowsHaveAsManyFieldsAsTheHeader) {
  EXPECT_EQ(SplitCsv(ToCsv(Rows(0)[0], 3)).size(), SplitCsv(CaseHeader()).size());
  EXPECT_EQ(SplitCsv(ToCsv(SampleRow{}, 3)).size(), SplitCsv(SampleHeader()).size());
}

TEST(ColumnsTest, TheCheckedInListIsTheBinarys) {
  std::ifstream file("src/experiment/record/columns.json");
  std::stringstream text;
  text << file.rdbuf();
  EXPECT_EQ(text.str(), ColumnsText())
      << "bazel-bin/src/benchmark_qwen3 --list-columns > src/experiment/record/columns.json";
}

TEST_F(RunDirectoryTest, FieldsStandUnderTheirNames) {
  Cell cell = plan_.cells[0];
  cell.problem.mask = Mask::Window(5);
  CaseRow row = Rows(0)[1];
  row.cell = &cell;
  row.time_median_s = 0.25;
  row.nonfinite = 7;
  row.tiles = {32, 64};
  const std::vector<std::string> names = SplitCsv(CaseHeader()), fields = SplitCsv(ToCsv(row, 3));
  const auto field = [&](const std::string& name) {
    return fields.at(static_cast<size_t>(std::find(names.begin(), names.end(), name) - names.begin()));
  };
  EXPECT_EQ(field("schema_version"), "6");
  EXPECT_EQ(field("duplicate_of"), "");
  EXPECT_EQ(field("launch"), "3");
  EXPECT_EQ(field("cell"), cell.id);
  EXPECT_EQ(field("strategy"), "sequence");
  EXPECT_EQ(field("heads"), "16");
  EXPECT_EQ(field("seq_len"), "8");
  EXPECT_EQ(field("mask"), "window:5");
  EXPECT_EQ(field("causal"), "true");
  EXPECT_EQ(field("kv_block"), "64");
  EXPECT_EQ(field("time_median_s"), "0.25");
  EXPECT_EQ(field("gflops"), "");
  EXPECT_EQ(field("nonfinite"), "7");
  EXPECT_EQ(field("message"), "a, \"b\"");
}

TEST_F(RunDirectoryTest, ResumesAtTheFirstCellWithoutRows) {
  {
    RunDirectory directory(spec_, Options(false));
    directory.SaveManifest();
    directory.Append(SampleRow{});
    directory.Append(Rows(0));
    EXPECT_FALSE(directory.IsComplete(plan_.cells[0])) << "its own rows are not an earlier attempt's";
  }
  RunDirectory directory(spec_, Options(true));
  EXPECT_EQ(directory.launch_id(), 1000);
  EXPECT_TRUE(directory.IsComplete(plan_.cells[0]));
  EXPECT_FALSE(directory.IsComplete(plan_.cells[1]));
  EXPECT_FALSE(directory.HadFailures());
  directory.SaveManifest();
  const nlohmann::json manifest = nlohmann::json::parse(Read("manifest.json"));
  EXPECT_EQ(manifest["launches"].size(), 2u);
  EXPECT_EQ(manifest["config"], spec_.config_text);
  EXPECT_EQ(manifest["config_sha256"], Sha256(spec_.config_text));
  EXPECT_EQ(manifest["git_revision"], "r");
  EXPECT_EQ(ReadRunConfig(path_), spec_.config_text);
}

TEST_F(RunDirectoryTest, ACellWithSomeOfItsRowsIsNotComplete) {
  {
    RunDirectory directory(spec_, Options(false));
    directory.SaveManifest();
    directory.Append({Rows(0)[0]});
  }
  EXPECT_FALSE(RunDirectory(spec_, Options(true)).IsComplete(plan_.cells[0]));
}

TEST_F(RunDirectoryTest, ATornLastLineIsDropped) {
  {
    RunDirectory directory(spec_, Options(false));
    directory.SaveManifest();
    directory.Append(Rows(0));
  }
  std::ofstream(path_ + "/cases.csv", std::ios::app) << "1,0,abc,de";
  {
    RunDirectory directory(spec_, Options(true));
    EXPECT_TRUE(directory.IsComplete(plan_.cells[0]));
    directory.Append(Rows(1));
    directory.SaveManifest();
  }
  std::istringstream lines(Read("cases.csv"));
  for (std::string line; std::getline(lines, line);) {
    EXPECT_EQ(SplitCsv(line).size(), SplitCsv(CaseHeader()).size()) << line;
  }
  EXPECT_TRUE(RunDirectory(spec_, Options(true)).IsComplete(plan_.cells[1]));
}

TEST_F(RunDirectoryTest, LaunchesAreSeparate) {
  {
    RunDirectory directory(spec_, Options(false, 0));
    directory.Append(Rows(0, CaseStatus::kFailed));
    directory.SaveManifest();
  }
  {
    RunDirectory directory(spec_, Options(false, 1));
    EXPECT_EQ(directory.launch_id(), 1);
    EXPECT_FALSE(directory.IsComplete(plan_.cells[0]));
    EXPECT_FALSE(directory.HadFailures());
    directory.SaveManifest();
  }
  EXPECT_TRUE(RunDirectory(spec_, Options(true, 0)).HadFailures());
  EXPECT_NE(Complaint(spec_, Options(false, 1)).find("launch 1 is already there; --resume"),
            std::string::npos);
}

TEST_F(RunDirectoryTest, RefusesWhatIsNotItsOwn) {
  EXPECT_NE(Complaint(spec_, Options(true)).find("there is no run to resume"), std::string::npos);
  fs::create_directories(path_);
  std::ofstream(path_ + "/precious.txt") << "x";
  EXPECT_NE(Complaint(spec_, Options(false)).find("is not empty and holds no run"), std::string::npos);
  fs::remove_all(path_);
  { RunDirectory(spec_, Options(false)).SaveManifest(); }
  ExperimentSpec other = spec_;
  other.config_text += "# changed\n";
  EXPECT_NE(Complaint(other, Options(true)).find("another experiment file"), std::string::npos);
  std::ofstream(path_ + "/cases.csv") << "other,columns\n";
  EXPECT_NE(Complaint(spec_, Options(true)).find("its columns are not this version's"), std::string::npos);
  std::ofstream(path_ + "/manifest.json") << "{";
  EXPECT_NE(Complaint(spec_, Options(true)).find("not a manifest"), std::string::npos);
  EXPECT_NE(Complaint(spec_, {"/proc/nowhere", false, 0, {}, std::nullopt, false, {}, {}, {}})
                .find("cannot be made"),
            std::string::npos);
}

// Launches of one run must differ in nothing but the moment; one that is refused leaves no trace.
TEST_F(RunDirectoryTest, LaunchesOfOneRunAreOfOneKind) {
  RunDirectory::Options options = Options(false);
  options.facts = {{"cpu", "this one"}, {"ranks", 2}};
  { RunDirectory(spec_, options).SaveManifest(); }
  const std::string manifest = Read("manifest.json");
  options.launch = 1;
  RunDirectory::Options other = options;
  other.build_info["git_revision"] = "s";
  EXPECT_EQ(Complaint(spec_, other),
            path_ +
                ": its launches are of git_revision \"r\", this program's is \"s\"; go on with the program "
                "they were made with, or take a new directory");
  other = options;
  other.facts["cpu"] = "another";
  EXPECT_EQ(Complaint(spec_, other),
            path_ +
                ": launch 0 was of cpu \"this one\", this one is of \"another\"; start "
                "it as that one was, or take a new directory");
  other = options;
  other.facts["ranks"] = 3;
  EXPECT_NE(Complaint(spec_, other).find("was of ranks 2, this one is of 3"), std::string::npos);
  EXPECT_EQ(Read("manifest.json"), manifest);
  // What is not said may have been anything.
  other = options;
  other.facts["weights"] = "are new";
  EXPECT_NE(Complaint(spec_, other).find("launch 0 does not say its weights"), std::string::npos);
  nlohmann::json edited = nlohmann::json::parse(manifest);
  edited.erase("git_revision");
  std::ofstream(path_ + "/manifest.json") << edited;
  EXPECT_NE(Complaint(spec_, options).find("its manifest does not say its git_revision"), std::string::npos);
}

// Readers without YAML take these from the manifest, and judge by them.
TEST_F(RunDirectoryTest, WhatTheManifestRepeatsOfItsFileIsTheFiles) {
  { RunDirectory(spec_, Options(false)).SaveManifest(); }
  const nlohmann::json good = nlohmann::json::parse(Read("manifest.json"));
  const std::pair<const char*, nlohmann::json> edits[] = {
      {"experiment", "y"}, {"title", nullptr}, {"title", 5},       {"margin", 0.4},
      {"margin", "x"},     {"expect", 5},      {"expect", {{{}}}}, {"control", {{"every", 2}}}};
  for (const auto& [key, value] : edits) {
    nlohmann::json edited = good;
    edited[key] = value;
    std::ofstream(path_ + "/manifest.json") << edited;
    EXPECT_NE(Complaint(spec_, Options(true)).find(std::string("'") + key + "' is not what its own"),
              std::string::npos)
        << edited;
    edited.erase(key);
    std::ofstream(path_ + "/manifest.json") << edited;
    EXPECT_EQ(Complaint(spec_, Options(true)).empty(), std::string(key) == "control") << key;
  }
  std::ofstream(path_ + "/manifest.json") << good;
  EXPECT_EQ(Complaint(spec_, Options(true)), "");
}

// The seed of the orders is drawn once for all launches, unless it is given.
TEST_F(RunDirectoryTest, TheOrderSeedIsKept) {
  std::set<uint64_t> seeds;
  for (int i = 0; i < 3; ++i) {
    fs::remove_all(path_);
    const uint64_t seed = RunDirectory(spec_, Options(false)).order_seed();
    seeds.insert(seed);
    EXPECT_EQ(RunDirectory(spec_, Options(false, 1)).order_seed(), seed);
  }
  EXPECT_EQ(seeds.size(), 3u) << "drawn from entropy";
  fs::remove_all(path_);
  RunDirectory::Options given = Options(false);
  given.order_seed = 7;
  { RunDirectory(spec_, given).SaveManifest(); }
  EXPECT_EQ(RunDirectory(spec_, Options(true)).order_seed(), 7u);
  given.resume = true;
  given.order_seed = 8;
  EXPECT_EQ(Complaint(spec_, given), path_ +
                                         ": its orders are drawn from seed 7, not 8; leave the seed out, or "
                                         "take a new directory");
}

TEST_F(RunDirectoryTest, AnotherPlanIsRefused) {
  { RunDirectory(spec_, Options(false)).SaveManifest(); }
  ExperimentSpec other = spec_;
  other.looks = {2, 3};
  RunDirectory::Options options = Options(false, 1);
  EXPECT_EQ(RunDirectory(other, options).looks(), std::vector<int>{1}) << "the directory's own plan holds";
  options.is_other_plan = true;
  EXPECT_NE(Complaint(other, options).find("is judged after [1] launches, not after [2,3]"),
            std::string::npos);
}

}  // namespace
}  // namespace attention
