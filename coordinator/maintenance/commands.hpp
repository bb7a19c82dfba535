// The subcommands verify, export, import and repair of fathom-coordinator. Thread: main's.
#pragma once

#include <ostream>
#include <string>

namespace CLI {
class App;
}

namespace fathom::maintenance {

struct CommandFlags {
  std::string file;  // of export and import
  std::string from;  // of repair
  bool hashes = true;
  bool apply = false;
  bool json = false;
};

// Declares them; `flags` must outlive `app`.
void declare_commands(CLI::App& app, CommandFlags& flags);

// Runs the one that was parsed. Exit code: 0 done and nothing is wrong, 1 failure or a problem that was found; -1: none
// of them was named.
int run_command(const CLI::App& app, const CommandFlags& flags, const std::string& state, const std::string& program,
                std::ostream& out);

}  // namespace fathom::maintenance
