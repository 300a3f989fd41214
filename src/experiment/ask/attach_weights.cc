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

// A block or layer has no head; its mask is the cell's, so a model with another cannot be measured as one.
void PrepareFor(ModelOutput output, WeightExtent extent, GivenWeights& weights) {
  if (output == ModelOutput::kHiddenStates) {
    // A tied head is the embedding.
    if (!weights.config.tied_embeddings) weights.config.has_lm_head = false;
    return;
  }
  const std::string config = weights.checkpoint->directory() + "/config.json";
  if (extent == WeightExtent::kModel || !weights.config.is_causal) weights.config.RequireNextTokens(config);
  if (output == ModelOutput::kCost && weights.config.slides()) {
    FailUsage(config, ": 'layer_types' has sliding_attention, and the layers of a cell have one mask, the ",
              "experiment's; --generate, --perplexity and --embed take it");
  }
}

}  // namespace

void AttachWeights(ExperimentSpec& spec, const Communicator& communicator, ModelOutput output) {
  if (spec.weights_path.empty()) return;
  WeightExtent extent = WeightExtent::kBlock;
  std::shared_ptr<GivenWeights> weights;
  AgreeOnErrors(communicator, [&] {
    for (const AxisValue& scope : spec.axes.at("scope")) extent = std::max(extent, ExtentOfScope(scope));
    weights = OpenWeights(spec.weights_path);
    RequireModels(*weights, spec);
    PrepareFor(output, extent, *weights);
    CheckTensors(*weights->source, weights->config, extent);
  });
  SetFingerprint(*weights, extent, communicator);
  spec.weights = weights;
  spec.models = {{weights->shape.name, weights->shape}};
  spec.axes["model"] = {{weights->shape.name, spec.weights_path}};
}

}  // namespace attention
