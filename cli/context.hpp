// What every command knows: the state folder of this machine's coordinator, where the programs are, how to print.
// Thread: a plain value.
#pragma once

#include <filesystem>
#include <string>

#include "common/result.hpp"

namespace fathom::cli {

namespace fs = std::filesystem;

struct Context {
  fs::path state;     // ${XDG_STATE_HOME:-~/.local/state}/fathom, or --state; absolute
  fs::path programs;  // the folder of this program: fathom-coordinator and the others are beside it
  std::string version;
  bool json = false;  // machine-readable output on stdout
};

// Files below the state folder. The coordinator makes the first four; `up` makes the others.
inline fs::path address_file(const Context& context) { return context.state / "coordinator" / "address"; }
inline fs::path ca_file(const Context& context) { return context.state / "coordinator" / "tls" / "ca.pem"; }
inline fs::path token_file(const Context& context) { return context.state / "token"; }
inline fs::path join_token_file(const Context& context) { return context.state / "join-token"; }
inline fs::path up_lock_file(const Context& context) {
  return context.state / "up.lock";
}  // locked while `up` runs; its pid
inline fs::path up_info_file(const Context& context) { return context.state / "up.json"; }  // UpInfo

// What a running `up` tells the other commands. Written once it is ready, removed when it ends.
struct UpInfo {
  int pid = 0;
  std::string address;     // HOST:PORT of the coordinator
  std::string root;        // the data root of the worker
  int dashboard_port = 0;  // of the loopback forwarder
};

// not_found: `up` does not run for this state folder (the lock is free), or is not ready yet.
Result<UpInfo> running_up(const Context& context);
// The data root on this machine: the given one, else that of the running `up`, else the working directory.
std::string data_root(const Context& context, const std::string& given);
// The pid of the process that holds the lock, 0 if nobody does.
int lock_holder(const Context& context);

fs::path default_state();
// The folder of the running program.
fs::path programs_folder();

}  // namespace fathom::cli
