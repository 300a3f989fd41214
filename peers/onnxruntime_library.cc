#include "peers/onnxruntime_library.h"

#include <utility>

#include "src/base/error.h"

namespace attention::peers {
namespace {

// The npm package ships the library without its header. OrtApi is a table of function pointers that is only
// ever appended to, so a function is its index in the table of version 1 (onnxruntime_c_api.h).
enum class Slot : size_t {
  kGetErrorMessage = 2,
  kCreateEnv = 3,
  kCreateSessionFromArray = 8,
  kRun = 9,
  kCreateSessionOptions = 10,
  kSetSessionGraphOptimizationLevel = 23,
  kSetIntraOpNumThreads = 24,
  kSetInterOpNumThreads = 25,
  kCreateTensorWithDataAsOrtValue = 49,
  kCreateCpuMemoryInfo = 69,
  kReleaseEnv = 92,
  kReleaseStatus = 93,
  kReleaseMemoryInfo = 94,
  kReleaseSession = 95,
  kReleaseValue = 96,
  kReleaseSessionOptions = 100,
};

constexpr uint32_t kApiVersion = 16;  // any that has the slots above
constexpr int kWarning = 2;           // ORT_LOGGING_LEVEL_WARNING
constexpr int kEnableAll = 99;        // ORT_ENABLE_ALL
constexpr int kArenaAllocator = 1;    // OrtArenaAllocator
constexpr int kDefaultMemory = 0;     // OrtMemTypeDefault

struct ApiBase {
  const void* const* (*GetApi)(uint32_t version);
  const char* (*GetVersionString)();
};

class Api {
 public:
  explicit Api(const void* const* table) : table_(table) {}

  // Calls a function that returns a status; throws Error with its message if it is one.
  template <typename... Arguments>
  void Call(Slot slot, Arguments... arguments) const {
    void* status = Function<void*(Arguments...)>(slot)(arguments...);
    if (status == nullptr) return;
    const std::string message = Function<const char*(const void*)>(Slot::kGetErrorMessage)(status);
    Release(Slot::kReleaseStatus, status);
    Fail("ONNX Runtime: ", message);
  }
  void Release(Slot slot, void* object) const { Function<void(void*)>(slot)(object); }

 private:
  template <typename Signature>
  Signature* Function(Slot slot) const {
    return reinterpret_cast<Signature*>(const_cast<void*>(table_[static_cast<size_t>(slot)]));
  }

  const void* const* table_;
};

class Session : public OnnxSession {
 public:
  Session(Api api, const void* environment, const std::string& model) : api_(api) {
    void* options = nullptr;
    api_.Call(Slot::kCreateSessionOptions, &options);
    api_.Call(Slot::kSetIntraOpNumThreads, options, 1);
    api_.Call(Slot::kSetInterOpNumThreads, options, 1);
    api_.Call(Slot::kSetSessionGraphOptimizationLevel, options, kEnableAll);
    api_.Call(Slot::kCreateSessionFromArray, environment, static_cast<const void*>(model.data()),
              model.size(), static_cast<const void*>(options), &session_);
    api_.Release(Slot::kReleaseSessionOptions, options);
    api_.Call(Slot::kCreateCpuMemoryInfo, kArenaAllocator, kDefaultMemory, &memory_info_);
  }

  ~Session() override {
    for (const Bound& call : calls_) {
      for (void* value : call.inputs) api_.Release(Slot::kReleaseValue, value);
      for (void* value : call.outputs) api_.Release(Slot::kReleaseValue, value);
    }
    api_.Release(Slot::kReleaseMemoryInfo, memory_info_);
    api_.Release(Slot::kReleaseSession, session_);
  }

  size_t AddCall(const OnnxCall& call) override {
    Bound bound;
    // Names are copied first: c_str() of a string in a vector that grows would dangle.
    for (const OnnxTensor& tensor : call.inputs) bound.input_strings.push_back(tensor.value.name);
    for (const OnnxTensor& tensor : call.outputs) bound.output_strings.push_back(tensor.value.name);
    for (const OnnxTensor& tensor : call.inputs) bound.inputs.push_back(MakeTensor(tensor));
    for (const OnnxTensor& tensor : call.outputs) bound.outputs.push_back(MakeTensor(tensor));
    calls_.push_back(std::move(bound));
    Bound& stored = calls_.back();
    for (const std::string& name : stored.input_strings) stored.input_names.push_back(name.c_str());
    for (const std::string& name : stored.output_strings) stored.output_names.push_back(name.c_str());
    return calls_.size() - 1;
  }

  void Run(size_t call) override {
    Bound& bound = calls_[call];
    const void* run_options = nullptr;
    api_.Call(Slot::kRun, session_, run_options, bound.input_names.data(), bound.inputs.data(),
              bound.inputs.size(), bound.output_names.data(), bound.output_names.size(),
              bound.outputs.data());
  }

 private:
  struct Bound {
    std::vector<std::string> input_strings, output_strings;
    std::vector<const char*> input_names, output_names;
    std::vector<void*> inputs, outputs;
  };

  void* MakeTensor(const OnnxTensor& tensor) const {
    size_t bytes = 4;  // both element types
    for (const int64_t size : tensor.value.shape) bytes *= static_cast<size_t>(size);
    void* value = nullptr;
    api_.Call(Slot::kCreateTensorWithDataAsOrtValue, static_cast<const void*>(memory_info_), tensor.data,
              bytes, tensor.value.shape.data(), tensor.value.shape.size(),
              static_cast<int>(tensor.value.type), &value);
    return value;
  }

  Api api_;
  void* session_ = nullptr;
  void* memory_info_ = nullptr;
  // Growth of calls_ moves the vectors of a Bound, not their elements, so the names' pointers stay valid.
  std::vector<Bound> calls_;
};

}  // namespace

OnnxRuntimeLibrary::OnnxRuntimeLibrary(const std::string& path) : library_(path) {
  const ApiBase* base = library_.Symbol<const ApiBase*()>("OrtGetApiBase")();
  version_ = base->GetVersionString();
  api_ = base->GetApi(kApiVersion);
  if (api_ == nullptr) Fail(path, " (", version_, ") does not speak version ", kApiVersion, " of its C ABI");
  Api(api_).Call(Slot::kCreateEnv, kWarning, "peers", &environment_);
}

OnnxRuntimeLibrary::~OnnxRuntimeLibrary() { Api(api_).Release(Slot::kReleaseEnv, environment_); }

std::unique_ptr<OnnxSession> OnnxRuntimeLibrary::MakeSession(const std::string& model_bytes) const {
  return std::make_unique<Session>(Api(api_), environment_, model_bytes);
}

}  // namespace attention::peers
