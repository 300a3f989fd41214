// Peers' libraries are opened at run time, so that nothing needs them to build.
#ifndef PEERS_SHARED_LIBRARY_H_
#define PEERS_SHARED_LIBRARY_H_

#include <string>

namespace attention::peers {

class SharedLibrary {
 public:
  // dlopen with local symbols (two BLAS libraries must not answer for each other). Throws Error with the
  // loader's message. Never closed: OpenMP threads and exit handlers may live in it.
  explicit SharedLibrary(const std::string& path);

  // Throws Error naming symbol and library.
  template <typename Function>
  Function* Symbol(const char* name) const {
    return reinterpret_cast<Function*>(Find(name));
  }
  const std::string& path() const { return path_; }

 private:
  void* Find(const char* name) const;

  std::string path_;
  void* handle_ = nullptr;
};

}  // namespace attention::peers

#endif  // PEERS_SHARED_LIBRARY_H_
