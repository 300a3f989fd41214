// What the tokens of a layer see, in config.json's words.
#ifndef SRC_QWEN3_CHECKPOINT_LAYER_TYPE_H_
#define SRC_QWEN3_CHECKPOINT_LAYER_TYPE_H_

namespace attention {

enum class LayerType {
  kFullAttention,     // all that the model's mask shows
  kSlidingAttention,  // of that the last sliding_window tokens, their own included
};

}  // namespace attention

#endif  // SRC_QWEN3_CHECKPOINT_LAYER_TYPE_H_
