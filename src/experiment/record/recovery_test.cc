// What a run that was killed, damaged or edited is gone on with.
#include "src/experiment/record/recovery.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "src/base/error.h"
#include "src/experiment/record/results.h"
#include "src/experiment/record/run_directory.h"
#include "src/experiment/record/testing/run_directory_fixture.h"

namespace attention {
namespace {

namespace fs = std::filesystem;

// One run of two cells and two launches, damaged in every place by every kind of damage: what is gone on with
// afterwards holds every cell once, and nothing is counted that is not whole.
class RecoveryTest : public RunDirectoryTest {
 protected:
  RunDirectory::Options WithCounts(bool resume, int launch) const {
    RunDirectory::Options options = Options(resume, launch);
    for (const Cell& cell : plan_.cells) options.case_counts[cell.id] = cell.cases.size();
    return options;
  }
  void Measure(RunDirectory& directory, int cell) const {
    std::vector<CaseRow> rows = Rows(cell);
    for (CaseRow& row : rows) {
      row.rounds = 2;
      for (int round = -1; round < 2; ++round) {
        SampleRow sample;
        sample.cell = row.cell->id;
        sample.case_id = row.made->id;
        sample.round = round;
        directory.Append(sample);
      }
    }
    directory.Append(rows);
  }
  void MeasureMissing(int launch, bool resume) const {
    RunDirectory directory(spec_, WithCounts(resume, launch));
    for (int cell = 0; cell < 2; ++cell) {
      if (!directory.IsComplete(plan_.cells[cell])) Measure(directory, cell);
    }
    directory.launch_record()["exit_status"] = 0;
    directory.SaveManifest();
  }
  void ExpectWhole(const std::string& where) const {
    std::map<std::string, int> rounds;  // by "launch,case"
    std::istringstream samples(Read("samples.csv"));
    std::string line;
    std::getline(samples, line);
    EXPECT_EQ(line, SampleHeader());
    while (std::getline(samples, line)) {
      ASSERT_TRUE(IsWholeRow(line)) << where << ": " << line;
      const std::vector<std::string> fields = SplitCsv(line);
      if (fields[5].front() != '-') ++rounds[fields[1] + "," + fields[3]];
    }
    std::map<std::pair<int, std::string>, int> times;
    std::istringstream cases(Read("cases.csv"));
    std::getline(cases, line);
    while (std::getline(cases, line)) {
      ASSERT_TRUE(IsWholeRow(line)) << where << ": " << line;
      const std::vector<std::string> fields = SplitCsv(line);
      ++times[{std::stoi(fields[1]) % kLaunchIdStep, fields[3]}];
      EXPECT_EQ(rounds[fields[1] + "," + fields[3]], 2)
          << where << ": samples of launch " << fields[1] << " " << fields[3];
    }
    EXPECT_EQ(times.size(), 8u) << where;
    for (const auto& [key, count] : times)
      EXPECT_EQ(count, 1) << where << " launch " << key.first << key.second;
  }
  void Make() const {
    fs::remove_all(path_);
    MeasureMissing(0, false);
    MeasureMissing(1, false);
  }
  // As ./reproduce does: whichever launch is not done according to the manifest, and the damaged one.
  void GoOn() const {
    for (int launch = 0; launch < 2; ++launch) MeasureMissing(launch, true);
  }
};

TEST_F(RecoveryTest, EveryDamageOfTheTables) {
  Make();
  ExpectWhole("undamaged");
  for (const std::string name : {"cases.csv", "samples.csv"}) {
    const size_t size = Read(name).size(),
                 header = (name == "cases.csv" ? CaseHeader() : SampleHeader()).size() + 1;
    for (size_t at = 0; at<size; at += at + 9> size ? 1 : 53) {
      Make();
      fs::resize_file(path_ + "/" + name, at);
      GoOn();
      ExpectWhole(name + " cut at " + std::to_string(at));
    }
    for (size_t at = header; at < size; at += 211) {
      for (char byte : {'\n', 'x', ',', '"', '\0'}) {
        Make();
        std::fstream file(path_ + "/" + name, std::ios::in | std::ios::out | std::ios::binary);
        file.seekp(static_cast<std::streamoff>(at));
        file.put(byte);
        file.close();
        GoOn();
        ExpectWhole(name + " byte " + std::to_string(at));
      }
    }
  }
}

// Copied by hand, or by a tool that goes on where it thinks it stopped.
TEST_F(RecoveryTest, SamplesThatAreThereTwice) {
  Make();
  const std::string samples = Read("samples.csv");
  const size_t first = samples.find('\n') + 1, row = samples.find('\n', first) + 1 - first;
  for (const std::string& added :
       {samples.substr(first, row), samples.substr(first, 8 * row), samples.substr(first)}) {
    for (const size_t at : {first, samples.size()}) {
      Make();
      std::string text = samples;
      std::ofstream(path_ + "/samples.csv") << text.insert(at, added);
      GoOn();
      ExpectWhole("doubled");
      EXPECT_EQ(Read("samples.csv"), samples);
    }
  }
  // Two measurements of one round.
  Make();
  std::istringstream rows(samples.substr(first));
  std::vector<std::string> fields;
  for (std::string line; fields.empty() || fields[5] != "0";) {
    ASSERT_TRUE(std::getline(rows, line));
    fields = SplitCsv(line);
  }
  SampleRow other;
  other.cell = fields[2];
  other.case_id = fields[3];
  other.time_s = 7;
  std::ofstream(path_ + "/samples.csv", std::ios::app) << ToCsv(other, std::stoi(fields[1])) << "\n";
  GoOn();
  ExpectWhole("two measurements of one round");
  std::map<std::string, int> times;
  std::istringstream lines(Read("samples.csv"));
  for (std::string line; std::getline(lines, line);) {
    const std::vector<std::string> all = SplitCsv(line);
    EXPECT_EQ(++times[all[1] + all[3] + "," + all[5]], 1) << line;
  }
}

// A manifest that was put back from an earlier copy.
TEST_F(RecoveryTest, LaunchesThatTheManifestForgot) {
  Make();
  nlohmann::json manifest = nlohmann::json::parse(Read("manifest.json"));
  manifest["launches"] = nlohmann::json::array();
  std::ofstream(path_ + "/manifest.json") << manifest;
  std::string cases = Read("cases.csv");
  std::ofstream(path_ + "/cases.csv") << cases.substr(0, cases.find('\n') + 1);
  GoOn();
  ExpectWhole("forgotten");
  const nlohmann::json found = nlohmann::json::parse(Read("manifest.json"));
  ASSERT_FALSE(found["launches"].empty());
  for (const nlohmann::json& launch : found["launches"]) {
    EXPECT_GE(launch["launch"], kLaunchIdStep);
  }
}

TEST_F(RecoveryTest, WhatLiesInTheWayOfANewFile) {
  Make();
  const std::string manifest = Read("manifest.json"), place = path_ + "/manifest.json.new";
  ASSERT_EQ(mkfifo(place.c_str(), 0600), 0);
  GoOn();
  const std::string victim = path_ + "_victim";
  std::ofstream(victim) << "mine";
  fs::create_symlink(victim, place);
  GoOn();
  std::stringstream text;
  text << std::ifstream(victim).rdbuf();
  EXPECT_EQ(text.str(), "mine");
  fs::remove(victim);
  fs::create_directory(place);
  EXPECT_NE(Complaint(spec_, WithCounts(true, 0)).find("manifest.json.new: "), std::string::npos);
  fs::remove(place);
  GoOn();
  ExpectWhole("in the way");
}

TEST_F(RecoveryTest, TablesThatCannotBeAddedTo) {
  Make();
  fs::rename(path_ + "/samples.csv", path_ + "/samples.csv.xz");
  EXPECT_NE(Complaint(spec_, WithCounts(true, 0)).find("samples.csv.xz: is compressed"), std::string::npos);
  fs::rename(path_ + "/samples.csv.xz", path_ + "/samples.csv");
  fs::remove(path_ + "/manifest.json");
  EXPECT_NE(Complaint(spec_, WithCounts(true, 0)).find("has tables and no manifest.json"), std::string::npos);
}

// A launch that lost a cell is to be gone on with: the manifest says so when the damage is found.
TEST_F(RecoveryTest, ALaunchThatLostACellIsNotDone) {
  Make();
  std::string text = Read("cases.csv");
  text.erase(text.find(internal::Concatenate("\n", kSchemaVersion, ",1,")) + 6, 1);  // in a row of launch 1
  std::ofstream(path_ + "/cases.csv") << text;
  { RunDirectory(spec_, WithCounts(true, 0)).SaveManifest(); }
  const nlohmann::json manifest = nlohmann::json::parse(Read("manifest.json"));
  EXPECT_EQ(manifest["launches"][0]["exit_status"], 0);
  EXPECT_TRUE(manifest["launches"][1]["exit_status"].is_null());
}

TEST_F(RecoveryTest, KilledBeforeTheManifest) {
  fs::create_directories(path_);
  for (const char* name : {".lock", "manifest.json.new"}) std::ofstream(path_ + "/" + name) << "{";
  MeasureMissing(0, false);
  MeasureMissing(1, false);
  ExpectWhole("begun twice");
}

TEST_F(RecoveryTest, OneWriterAtATime) {
  RunDirectory first(spec_, Options(false));
  EXPECT_NE(Complaint(spec_, Options(true)).find("another process is writing into it"), std::string::npos);
}

TEST_F(RecoveryTest, ManifestsThatAreNone) {
  Make();
  const std::string good = Read("manifest.json");
  const std::pair<std::string, std::string> bad[] = {
      {good.substr(0, good.size() - 3) + ",\"z\":" + std::string(200000, '[') + std::string(200000, ']') +
           "}",
       "nested too deep"},
      {"[1]", "it is no object"},
      {"{\"config\": 1}", "it has no text 'config'"},
      {good.substr(0, good.size() / 2), "not a manifest"}};
  for (const auto& [text, complaint] : bad) {
    std::ofstream(path_ + "/manifest.json") << text;
    EXPECT_NE(Complaint(spec_, Options(true)).find(complaint), std::string::npos) << complaint;
  }
  nlohmann::json manifest = nlohmann::json::parse(good);
  manifest["launches"] = 5;
  std::ofstream(path_ + "/manifest.json") << manifest;
  EXPECT_NE(Complaint(spec_, Options(true)).find("it has no list 'launches'"), std::string::npos);
}

}  // namespace
}  // namespace attention
