// Keeps a site's OpenMP settings from deciding what this program decides itself: where threads run, and how
// many there are.
//
// The OpenMP runtime reads OMP_PROC_BIND, OMP_PLACES and GOMP_CPU_AFFINITY before main and binds the first
// thread of every rank: of ranks that share cores, all to the same one. Linking this library hides them from
// it, before any shared library is initialised; `--placement` says where threads run. OMP_STACKSIZE goes the
// same way: threads here need no more than the default, and one that cannot be had ends the process.
#ifndef SRC_MACHINE_OPENMP_ENVIRONMENT_H_
#define SRC_MACHINE_OPENMP_ENVIRONMENT_H_

#include <string>
#include <vector>

namespace attention {

// Names of the variables that were set and are hidden.
std::vector<std::string> HiddenOpenMpVariables();

}  // namespace attention

#endif  // SRC_MACHINE_OPENMP_ENVIRONMENT_H_
