// The subcommand simulate of fathom-coordinator, which `fathom simulate` becomes. Thread: main's.
#pragma once

#include <cstdint>
#include <ostream>
#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace fathom::simulate {

struct SimulateFlags {
  std::string file, curves;
  std::vector<std::string> set;  // KEY=VALUE
  std::uint32_t slots = 4;
  bool json = false;
};

// Declares it; `flags` must outlive `app`.
void declare_command(CLI::App& app, SimulateFlags& flags);
// Exit code: 0 done, 1 mistakes in a file; -1: it was not named.
int run_command(const CLI::App& app, const SimulateFlags& flags, std::ostream& out);

}  // namespace fathom::simulate
