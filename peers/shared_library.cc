#include "peers/shared_library.h"

#include <dlfcn.h>

#include "src/base/error.h"

namespace attention::peers {

SharedLibrary::SharedLibrary(const std::string& path) : path_(path) {
  handle_ = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle_ == nullptr) Fail("cannot load ", path, ": ", dlerror());
}

void* SharedLibrary::Find(const char* name) const {
  void* symbol = dlsym(handle_, name);
  if (symbol == nullptr) Fail(path_, " has no symbol ", name);
  return symbol;
}

}  // namespace attention::peers
