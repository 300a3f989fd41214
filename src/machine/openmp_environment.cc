#include "src/machine/openmp_environment.h"

#include <cstddef>

namespace attention {
namespace {

constexpr const char* kHidden[] = {
    "OMP_PROC_BIND",         "OMP_PLACES",    "GOMP_CPU_AFFINITY", "OMP_DYNAMIC",
    "OMP_MAX_ACTIVE_LEVELS", "OMP_STACKSIZE", "GOMP_STACKSIZE"};
constexpr size_t kCount = sizeof(kHidden) / sizeof(kHidden[0]);

// Written before main, when nothing but plain memory can be used; read-only afterwards.
bool was_set[kCount];

// The value, or null if it is another variable's.
const char* ValueOf(const char* entry, const char* name) {
  while (*name != '\0' && *entry == *name) ++entry, ++name;
  return *name == '\0' && *entry == '=' ? entry + 1 : nullptr;
}

// "false", as the scripts of this project set it, says what is wanted anyway.
bool IsFalse(const char* value) { return *value == 'f' || *value == 'F'; }

// Runs before the initialisers of shared libraries, the C library's among them: no function may be called.
// The entry keeps its length and becomes a variable that nobody asks for.
void Hide(int /*argc*/, char** /*argv*/, char** environment) {
  for (char** entry = environment; *entry != nullptr; ++entry) {
    for (size_t i = 0; i < kCount; ++i) {
      const char* value = ValueOf(*entry, kHidden[i]);
      if (value == nullptr || IsFalse(value)) continue;
      was_set[i] = true;
      (*entry)[0] = '_';
    }
  }
}

__attribute__((section(".preinit_array"), used)) void (*const kHide)(int, char**, char**) = Hide;

}  // namespace

std::vector<std::string> HiddenOpenMpVariables() {
  std::vector<std::string> names;
  for (size_t i = 0; i < kCount; ++i) {
    if (was_set[i]) names.emplace_back(kHidden[i]);
  }
  return names;
}

}  // namespace attention
