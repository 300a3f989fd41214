// Every golden block and layer, every variant inside a decoder, every ISA; run at several rank counts.
#include "src/qwen3/verify.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "src/base/error.h"
#include "src/kernels/attention_kernel.h"
#include "src/qwen3/testing/safetensors_writer.h"

namespace attention {
namespace {

std::vector<std::string> GoldenFiles() {
  std::vector<std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator("src/qwen3/testdata")) {
    const std::string name = entry.path().filename();
    if (name.starts_with("block_") || name.starts_with("layer_")) files.push_back(entry.path());
  }
  return files;
}

VerifyRequest EveryIsa(int threads) {
  VerifyRequest request;
  request.isas = SupportedIsas();
  request.threads = threads;
  request.backend = MakeAttentionKernel;
  return request;
}

TEST(VerifyTest, GoldenFilesOnEveryVariantAndIsa) {
  Communicator world(MPI_COMM_WORLD);
  const std::vector<std::string> files = GoldenFiles();
  EXPECT_EQ(files.size(), 12u);
  for (const std::string& file : files) {
    const auto results = VerifyFile(world, file, EveryIsa(1), nullptr);
    // 3 headwise, 2 x 3 sequence(allgather), 2 sequence(ring), 2 sequence(merge).
    EXPECT_EQ(results.size(), 13 * SupportedIsas().size());
    for (const VerifyResult& result : results) {
      EXPECT_TRUE(result.passed) << file << " " << Name(result.variant) << " " << Name(result.isa)
                                 << " rel_l2 " << result.rel_l2_err << " tolerance " << result.tolerance
                                 << " non-finite " << result.non_finite;
    }
  }
}

TEST(VerifyTest, TwoThreadsAgreeToo) {
  Communicator world(MPI_COMM_WORLD);
  VerifyRequest request = EveryIsa(2);
  request.algorithm = AttentionAlgorithm::kOnlineSoftmax;
  for (const char* name : {"block_causal", "layer_head_dim_80"}) {
    const std::string file = std::string("src/qwen3/testdata/") + name + ".safetensors";
    for (const VerifyResult& result : VerifyFile(world, file, request, nullptr)) {
      EXPECT_TRUE(result.passed) << name << " " << Name(result.variant) << " " << Name(result.isa);
    }
  }
}

TEST(VerifyTest, NamedVariantsOnly) {
  Communicator world(MPI_COMM_WORLD);
  VerifyRequest request = EveryIsa(1);
  request.strategy = ParallelStrategy::kSequence;
  request.exchange = Exchange::kRing;
  request.sharding = Sharding::kZigzag;
  request.isas = {Isa::kScalar};
  const std::string file = "src/qwen3/testdata/block_causal.safetensors";
  EXPECT_EQ(VerifyFile(world, file, request, nullptr).size(), 1u);
  request.algorithm = AttentionAlgorithm::kStandard;
  EXPECT_THROW(VerifyFile(world, file, request, nullptr), Error);
}

// What VerifyFile says on this rank; every rank must say something.
std::string Refusal(Communicator& world, const std::string& path) {
  try {
    VerifyFile(world, path, EveryIsa(1), nullptr);
  } catch (const Error& error) {
    EXPECT_EQ(error.status(), ExitStatus::kBadUsage);
    return error.what();
  }
  return "";
}

TEST(VerifyTest, RefusesFilesThatAreNotWhatTheyShouldBe) {
  Communicator world(MPI_COMM_WORLD);
  const ScratchDirectory scratch;  // of each rank
  EXPECT_NE(Refusal(world, scratch.path() + "/none.safetensors").find("cannot be opened"), std::string::npos);
  const auto with_header = [&](const std::string& header, size_t bytes) {
    return Refusal(world, scratch.Write("a.safetensors", SafetensorsBytes(header, std::string(bytes, '\0'))));
  };
  EXPECT_NE(with_header("{}", 0).find("metadata 'num_attention_heads' is missing"), std::string::npos);
  const std::string metadata =
      R"("__metadata__":{"num_attention_heads":"2","num_key_value_heads":"1","head_dim":"2",)"
      R"("rms_norm_eps":"1e-6","rope_theta":"10000","causal":"true"})";
  EXPECT_NE(with_header("{" + metadata + "}", 0).find("tensor 'hidden_states' is missing"),
            std::string::npos);
  EXPECT_NE(with_header(
                "{" + metadata + R"(,"hidden_states":{"dtype":"F32","shape":[3],"data_offsets":[0,12]}})", 12)
                .find("[batch, tokens, hidden]"),
            std::string::npos);
  std::string odd = metadata;
  odd.replace(odd.find(R"("2")"), 3, R"("x")");
  EXPECT_NE(with_header("{" + odd + "}", 0).find("should be a positive number"), std::string::npos);
  EXPECT_NE(with_header("{" + metadata +
                            R"(,"hidden_states":{"dtype":"F32","shape":[1,1,1],"data_offsets":[0,4]})" +
                            R"(,"expected_output":{"dtype":"F32","shape":[1,1,2],"data_offsets":[4,12]}})",
                        12)
                .find("tensor 'expected_output': expected shape [1, 1, 1]"),
            std::string::npos);
}

}  // namespace
}  // namespace attention
