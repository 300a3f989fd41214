// SHA-256 (FIPS 180-4): the fingerprint of an experiment file. Sixty lines here, because a cryptographic
// library would be one more shared library that compute nodes need in the version of the login node.
#ifndef SRC_BASE_SHA256_H_
#define SRC_BASE_SHA256_H_

#include <string>
#include <string_view>

namespace attention {

// 64 hex digits.
std::string Sha256(std::string_view data);

}  // namespace attention

#endif  // SRC_BASE_SHA256_H_
