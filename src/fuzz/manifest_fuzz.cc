// Any bytes as the manifest of a run that is to be gone on with.
#include "src/experiment/ask/experiment_file.h"
#include "src/experiment/record/manifest.h"
#include "src/experiment/record/run_directory.h"
#include "src/fuzz/fuzz_input.h"

namespace attention {
namespace {

void GoOn(std::string_view text) {
  WriteScratch("manifest.json", text);
  const nlohmann::json manifest = ReadManifest(ScratchDirectory());
  Promise(nlohmann::json::accept(ManifestText(manifest)), "a manifest that was read can be written");
  (void)ReadRunConfig(ScratchDirectory());
  const ExperimentSpec spec =
      ParseExperiment("name: x\ngrid: {variant: [headwise+standard], seq_len: [8]}\n", "x.yaml");
  RunDirectory::Options options;
  options.path = ScratchDirectory();
  options.resume = true;
  options.build_info = {{"git_revision", "r"}};
  WriteScratch("samples.csv", SampleHeader() + "\n");
  WriteScratch("cases.csv", CaseHeader() + "\n");
  RunDirectory directory(spec, options);
  directory.SaveManifest();
  Promise(directory.launch_id() >= 0, "a launch has an id");
  (void)ReadManifest(ScratchDirectory());  // what was saved is one
}

}  // namespace
}  // namespace attention

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  attention::TakesOrRefuses([&] { attention::GoOn(attention::AsText(bytes, size)); });
  return 0;
}
