// What can be done to a coordinator's state while none runs in it: check it, write it out, take it back, repair it.
//
// Every function holds the folder's lock while it works: failed_precondition when a coordinator runs there. not_found
// when there is no state folder. Nothing is ever deleted that cannot be made again: a log that is replaced stays beside
// the new one under another name. Thread: free functions without state.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "common/clock.hpp"
#include "common/result.hpp"

namespace fathom::maintenance {

struct Check {
  std::uint64_t events = 0;  // sound ones, from the start
  std::uint64_t sweeps = 0, jobs = 0, open_jobs = 0;
  std::uint64_t files = 0, bytes = 0;  // artifacts of finished jobs that were looked at
  std::vector<std::string> problems;   // empty: all is well
};

// Reads the whole log, follows it event by event, checks the invariants of the state it gives, and that every file of a
// finished job is there with its size and (`hashes`) its hash. Changes nothing.
Result<Check> verify(const std::string& state, bool hashes);

// Writes the log as an export (store/event_export.hpp) to `file`, whole or not at all. Returns the number of events.
Result<std::uint64_t> export_log(const std::string& state, const std::filesystem::path& file,
                                 const std::string& program);

// Makes a log from an export, in a state folder whose log is absent or empty: already_exists otherwise. The export is
// read and followed to its end before anything is kept. Returns the number of events.
Result<std::uint64_t> import_log(const std::string& state, const std::filesystem::path& file, const Clock& clock);

struct Repair {
  std::uint64_t kept = 0;  // events
  std::string damage;      // empty: nothing is wrong
  std::string set_aside;   // where the damaged log is now; empty: nothing was changed
};

// Goes back to `from` (an export), or without it to the last sound event of the log. What came after is lost: jobs that
// ended then run again, sweeps that were submitted then are gone. Without `apply` it only says what it would do.
Result<Repair> repair(const std::string& state, const std::optional<std::filesystem::path>& from, bool apply,
                      const Clock& clock);

}  // namespace fathom::maintenance
