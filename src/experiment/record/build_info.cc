#include "src/experiment/record/build_info.h"

#include "src/experiment/record/build_stamp.inc"

namespace attention {

BuildInfo ThisBuild() {
  BuildInfo info;
  info.git_revision = kGitRevision;
  info.git_dirty = kGitDirty;
#if defined(__clang__)
  info.compiler = std::string("clang ") + __clang_version__;
#else
  info.compiler = std::string("gcc ") + __VERSION__;
#endif
  info.flags = "C++" + std::to_string(__cplusplus / 100 % 100);
#ifdef __OPTIMIZE__
  info.flags += " optimised";
#else
  info.flags += " not optimised";
#endif
#ifdef NDEBUG
  info.flags += " NDEBUG";
#endif
#ifdef __FAST_MATH__
  info.flags += " fast-math";
#endif
#if defined(__AVX2__) || defined(__AVX512F__)
  info.flags += " -march beyond the base architecture";
#endif
#if defined(__SANITIZE_ADDRESS__)
  info.flags += " address-sanitizer";
#endif
  return info;
}

}  // namespace attention
