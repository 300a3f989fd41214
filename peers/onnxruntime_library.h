// ONNX Runtime through its C ABI: sessions on one thread, tensors over memory that the caller owns.
#ifndef PEERS_ONNXRUNTIME_LIBRARY_H_
#define PEERS_ONNXRUNTIME_LIBRARY_H_

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "peers/onnx_model.h"
#include "peers/shared_library.h"

namespace attention::peers {

// A named tensor over memory of the caller's, which outlives it.
struct OnnxTensor {
  OnnxValue value;
  void* data = nullptr;
};

// One call of a model: inputs and preallocated outputs.
struct OnnxCall {
  std::vector<OnnxTensor> inputs;
  std::vector<OnnxTensor> outputs;
};

class OnnxSession {
 public:
  virtual ~OnnxSession() = default;
  // Makes the tensors of a call once; index for Run.
  virtual size_t AddCall(const OnnxCall& call) = 0;
  virtual void Run(size_t call) = 0;
};

class OnnxRuntimeLibrary {
 public:
  // Throws Error if the library is not there or does not speak the ABI.
  explicit OnnxRuntimeLibrary(const std::string& path);
  ~OnnxRuntimeLibrary();

  // One thread, every graph optimisation. Throws Error with the library's message, e.g. if it does not
  // implement the model's operator.
  std::unique_ptr<OnnxSession> MakeSession(const std::string& model_bytes) const;
  std::string version() const { return version_; }

 private:
  SharedLibrary library_;
  std::string version_;
  const void* const* api_ = nullptr;
  void* environment_ = nullptr;
};

}  // namespace attention::peers

#endif  // PEERS_ONNXRUNTIME_LIBRARY_H_
