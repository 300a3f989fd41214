// A run directory of two cells of two cases each, for tests of what is written and what is made of it.
#ifndef SRC_EXPERIMENT_RECORD_TESTING_RUN_DIRECTORY_FIXTURE_H_
#define SRC_EXPERIMENT_RECORD_TESTING_RUN_DIRECTORY_FIXTURE_H_

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include "src/base/error.h"
#include "src/experiment/ask/experiment_file.h"
#include "src/experiment/plan/plan.h"
#include "src/experiment/record/results.h"
#include "src/experiment/record/run_directory.h"

namespace attention {

class RunDirectoryTest : public testing::Test {
 protected:
  RunDirectoryTest() {
    path_ = std::string(std::getenv("TEST_TMPDIR") ? std::getenv("TEST_TMPDIR") : "/tmp") + "/run_" +
            testing::UnitTest::GetInstance()->current_test_info()->name();
    std::filesystem::remove_all(path_);
    spec_ = ParseExperiment(
        "name: x\ngrid: {variant: [headwise+standard, sequence+online_softmax], seq_len: [8, 16]}\n",
        "x.yaml");
    plan_ = MakePlan(spec_, {Isa::kScalar});
  }
  ~RunDirectoryTest() override { std::filesystem::remove_all(path_); }

  RunDirectory::Options Options(bool resume, int launch = 0) const {
    return {path_,
            resume,
            launch,
            {{"git_revision", "r"}},
            std::nullopt,
            false,
            nlohmann::json::object(),
            nlohmann::json::object(),
            {}};
  }
  std::vector<CaseRow> Rows(int cell, CaseStatus status = CaseStatus::kOk) const {
    std::vector<CaseRow> rows;
    for (const Case& made : plan_.cells[cell].cases) {
      CaseRow& row = rows.emplace_back();
      row.cell = &plan_.cells[cell];
      row.made = &made;
      row.status = status;
      row.message = "a, \"b\"";
    }
    return rows;
  }
  std::string Read(const std::string& name) const {
    std::ifstream file(path_ + "/" + name);
    std::stringstream text;
    text << file.rdbuf();
    return text.str();
  }
  std::string Complaint(const ExperimentSpec& spec, const RunDirectory::Options& options) const {
    try {
      RunDirectory directory(spec, options);
    } catch (const Error& error) {
      EXPECT_EQ(error.status(), ExitStatus::kBadUsage);
      return error.what();
    }
    return "";
  }

  std::string path_;
  ExperimentSpec spec_;
  Plan plan_;
};

}  // namespace attention

#endif  // SRC_EXPERIMENT_RECORD_TESTING_RUN_DIRECTORY_FIXTURE_H_
