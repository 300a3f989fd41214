#include "src/experiment/text/utf8.h"

#include <cstdint>

namespace attention {
namespace {

// Length of the sequence that a byte begins, and the bounds of its second byte; length 0: it begins none.
struct Lead {
  size_t length;
  uint8_t low = 0x80, high = 0xBF;
};

Lead LeadOf(uint8_t byte) {
  if (byte == 0) return {0};
  if (byte < 0x80) return {1};
  if (byte < 0xC2) return {0};
  if (byte < 0xE0) return {2};
  if (byte == 0xE0) return {3, 0xA0};
  if (byte == 0xED) return {3, 0x80, 0x9F};
  if (byte < 0xF0) return {3};
  if (byte == 0xF0) return {4, 0x90};
  if (byte < 0xF4) return {4};
  if (byte == 0xF4) return {4, 0x80, 0x8F};
  return {0};
}

}  // namespace

std::optional<size_t> FirstNoUtf8(std::string_view text) {
  for (size_t at = 0; at < text.size();) {
    const Lead lead = LeadOf(static_cast<uint8_t>(text[at]));
    if (lead.length == 0 || lead.length > text.size() - at) return at;
    for (size_t i = 1; i < lead.length; ++i) {
      const auto byte = static_cast<uint8_t>(text[at + i]);
      const uint8_t low = i == 1 ? lead.low : 0x80, high = i == 1 ? lead.high : 0xBF;
      if (byte < low || byte > high) return at;
    }
    at += lead.length;
  }
  return std::nullopt;
}

}  // namespace attention
