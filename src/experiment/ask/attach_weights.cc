#include "src/experiment/ask/attach_weights.h"

#include <algorithm>

#include "src/base/error.h"
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

}  // namespace

void AttachWeights(ExperimentSpec& spec) {
  if (spec.weights_path.empty()) return;
  WeightExtent extent = WeightExtent::kBlock;
  for (const AxisValue& scope : spec.axes.at("scope")) extent = std::max(extent, ExtentOfScope(scope));
  const std::shared_ptr<const GivenWeights> weights = OpenWeights(spec.weights_path);
  for (const AxisValue& model : spec.axes["model"]) {
    try {
      RequireShape(*weights, spec.models.at(model.text));
    } catch (const Error& error) {
      throw error.WithContext(model.where);
    }
  }
  CheckTensors(*weights->source, weights->config, extent);
  spec.weights = weights;
  spec.models = {{weights->shape.name, weights->shape}};
  spec.axes["model"] = {{weights->shape.name, spec.weights_path}};
}

}  // namespace attention
