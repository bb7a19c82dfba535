// What a trainer is kept from: it parses models and data that others wrote, so it runs with as little as it needs.
//
//   user        where the worker is root, trainers run as another user without groups and capabilities. `auto` leaves
//               them CAP_DAC_READ_SEARCH, so that models, data and libraries can be read wherever they lie; a user
//               that is named gets nothing and needs permissions of its own. They can write only what is given to them.
//               Where a container lacks what that takes, `auto` says so and leaves them root.
//   rlimits     no core files (they would hold models and keys), at most 4096 files, optionally an address space
//   environment only the variables that a trainer has use for (is_passed_on), HOME and TMPDIR in its scratch folder
//   descriptors its channel and standard input, output and error; nothing else of the worker's
//   scratch     a folder of its own, the working directory, removed when the trainer has ended
//   privileges  no_new_privs: nothing it starts can gain any
//
// Thread: make() and scratch folders on the loop's thread; enter() in the child between fork and exec: it calls only
// what is safe there.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.hpp"

namespace fathom::worker {

struct Sandbox {
  bool switch_user = false;
  uid_t uid = 0;
  gid_t gid = 0;
  bool read_all = false;
  std::uint64_t address_space = 0;  // bytes; 0: no limit
  std::vector<std::string> more_environment;

  // `user`: "auto", "none", or the name or number of a user. invalid_argument: there is no such user, or this process
  // may not become another one.
  [[nodiscard]] static Result<Sandbox> make(const std::string& user, std::uint64_t address_space,
                                            std::vector<std::string> more_environment);

  // NAME=VALUE for the trainer, out of this process's.
  [[nodiscard]] std::vector<std::string> environment(const std::filesystem::path& scratch) const;
  // Makes `folder`, empty, and the trainer's own.
  [[nodiscard]] Status make_scratch(const std::filesystem::path& folder) const;
  // Lets the trainer read every file below `folder` and write into every folder. Files stay the worker's: some are
  // links to what it keeps for other jobs.
  [[nodiscard]] Status give(const std::filesystem::path& folder) const;

  // In the child. `keep`: descriptors beside the standard ones. False: errno says why; nothing may be started then.
  [[nodiscard]] bool enter(int keep_low, int keep_high) const noexcept;
};

// Whether a trainer has use for an environment variable: paths, language, threads, devices, collectives, tests. What
// may hold a secret is none of that.
[[nodiscard]] bool is_passed_on(std::string_view name);

}  // namespace fathom::worker
