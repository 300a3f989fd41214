// Work in a process of its own: what it allocates is given back, and what ends it ends nothing else.
#ifndef SRC_SIMULATE_ISOLATED_PROCESS_H_
#define SRC_SIMULATE_ISOLATED_PROCESS_H_

#include <functional>
#include <string>

namespace attention {

// The text that `function` returns in a child of this process, which must have one thread. Throws the Error
// that `function` threw there, or one that says how the child ended.
std::string RunIsolated(const std::function<std::string()>& function);

}  // namespace attention

#endif  // SRC_SIMULATE_ISOLATED_PROCESS_H_
