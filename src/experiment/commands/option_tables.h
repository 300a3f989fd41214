// The options of the binary, by group: names and what --help says of them.
#ifndef SRC_EXPERIMENT_COMMANDS_OPTION_TABLES_H_
#define SRC_EXPERIMENT_COMMANDS_OPTION_TABLES_H_

#include <boost/program_options.hpp>
#include <string>
#include <vector>

namespace attention {

// Options that are axes of a one-off run.
struct AxisOption {
  std::string option;
  std::string name;  // of the axis, or an older one
  std::string help;
};

std::vector<AxisOption> AxisOptions();

// Options that say what a one-off run is; a file says it otherwise.
boost::program_options::options_description OneOffOptions();
boost::program_options::options_description AllOptions();

// With "--" in front.
std::vector<std::string> OptionNames(const boost::program_options::options_description& options);

std::string HelpText();

}  // namespace attention

#endif  // SRC_EXPERIMENT_COMMANDS_OPTION_TABLES_H_
