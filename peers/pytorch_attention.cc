#include "peers/pytorch_attention.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "peers/worker_process.h"
#include "src/base/error.h"

namespace attention::peers {
namespace {

// The worker and the directory its tensors pass through; shared by its contestants.
class Worker {
 public:
  Worker(const PyTorchPlace& place, const Problem& problem) {
    std::string name = (std::filesystem::temp_directory_path() / "peers-pytorch-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) Fail("cannot make a directory like ", name);
    directory_ = name;
    const Workload& w = problem.workload();
    Write("q.bin", problem.q(), problem.query_shape().elements());
    Write("k.bin", problem.k(), problem.kv_shape().elements());
    Write("v.bin", problem.v(), problem.kv_shape().elements());
    process_ = std::make_unique<WorkerProcess>(
        std::vector<std::string>{place.python, place.worker, name, std::to_string(w.query_heads),
                                 std::to_string(w.kv_heads), std::to_string(w.query_tokens),
                                 std::to_string(w.kv_tokens), std::to_string(w.head_dim),
                                 w.causal ? "causal" : "full"},
        std::vector<std::string>{"OMP_NUM_THREADS=1", "OPENBLAS_NUM_THREADS=1"});
  }
  ~Worker() {
    process_.reset();
    std::error_code ignored;  // a directory left behind is no reason to lose the results
    std::filesystem::remove_all(directory_, ignored);
  }

  WorkerProcess& process() { return *process_; }
  std::filesystem::path output_file() const { return directory_ / "output.bin"; }

 private:
  void Write(const char* name, const float* values, int64_t count) const {
    std::ofstream file(directory_ / name, std::ios::binary);
    file.write(reinterpret_cast<const char*>(values), static_cast<std::streamsize>(count * sizeof(float)));
    if (!file) Fail("cannot write ", (directory_ / name).string());
  }

  std::filesystem::path directory_;
  std::unique_ptr<WorkerProcess> process_;
};

class PyTorchAttention : public Contestant {
 public:
  PyTorchAttention(std::shared_ptr<Worker> worker, const std::string& way)
      : Contestant("pytorch", way), worker_(std::move(worker)) {}

  double Run() override { return std::stod(worker_->process().Ask("run " + way())); }

  void ReadOutput(std::span<float> output) override {
    worker_->process().Ask("output " + way());
    std::ifstream file(worker_->output_file(), std::ios::binary);
    file.read(reinterpret_cast<char*>(output.data()), static_cast<std::streamsize>(output.size_bytes()));
    if (!file) Fail("cannot read PyTorch's output");
  }

 private:
  std::shared_ptr<Worker> worker_;
};

}  // namespace

Contestants MakePyTorchAttentions(const PyTorchPlace& place, const Problem& problem,
                                  const std::function<void(const std::string&)>& report) {
  auto worker = std::make_shared<Worker>(place, problem);
  report(worker->process().Receive());
  Contestants all;
  for (std::string way; (way = worker->process().Receive()) != "end";) {
    all.push_back(std::make_unique<PyTorchAttention>(worker, way));
  }
  return all;
}

}  // namespace attention::peers
