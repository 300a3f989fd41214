// SHA-256 (FIPS 180-4): the fingerprint of an experiment file.
#ifndef SRC_EXPERIMENT_SHA256_H_
#define SRC_EXPERIMENT_SHA256_H_

#include <string>
#include <string_view>

namespace attention {

// 64 hex digits.
std::string Sha256(std::string_view data);

}  // namespace attention

#endif  // SRC_EXPERIMENT_SHA256_H_
