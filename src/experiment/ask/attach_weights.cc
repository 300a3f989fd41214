#include "src/experiment/ask/attach_weights.h"

#include <algorithm>
#include <memory>

#include "src/base/error.h"
#include "src/mpi/agreement.h"
#include "src/qwen3/decoder/weights.h"

namespace attention {
namespace {

WeightExtent ExtentOfScope(const AxisValue& scope) {
  if (scope.text == "attention") {
    FailUsage(scope.where, ": attention reads no weights; with weights the scope is block, layer or model");
  }
  return scope.text == "block"   ? WeightExtent::kBlock
         : scope.text == "layer" ? WeightExtent::kLayer
                                 : WeightExtent::kModel;
}

void RequireModels(const GivenWeights& weights, const ExperimentSpec& spec) {
  const auto models = spec.axes.find("model");
  if (models == spec.axes.end()) return;
  for (const AxisValue& model : models->second) {
    try {
      RequireShape(weights, spec.models.at(model.text));
    } catch (const Error& error) {
      throw error.WithContext(model.where);
    }
  }
}

}  // namespace

void AttachWeights(ExperimentSpec& spec, const Communicator& communicator) {
  if (spec.weights_path.empty()) return;
  WeightExtent extent = WeightExtent::kBlock;
  std::shared_ptr<GivenWeights> weights;
  AgreeOnErrors(communicator, [&] {
    for (const AxisValue& scope : spec.axes.at("scope")) extent = std::max(extent, ExtentOfScope(scope));
    weights = OpenWeights(spec.weights_path);
    RequireModels(*weights, spec);
    CheckTensors(*weights->source, weights->config, extent);
  });
  SetFingerprint(*weights, extent, communicator);
  spec.weights = weights;
  spec.models = {{weights->shape.name, weights->shape}};
  spec.axes["model"] = {{weights->shape.name, spec.weights_path}};
}

}  // namespace attention
