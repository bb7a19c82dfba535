// SQLite's locks and syncs cannot be trusted on file systems that live on another machine: two coordinators could write
// one log, and what was acknowledged could be lost. Thread: free functions without state.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "common/result.hpp"

namespace fathom::store {

// The name of the network file system with this magic number (statfs(2), f_type); nullopt: a local one, or unknown.
std::optional<std::string> network_file_system(std::uint32_t magic);

// failed_precondition when `folder`, or the nearest folder above it that exists, is on a network file system.
Status refuse_network_file_system(const std::filesystem::path& folder);

}  // namespace fathom::store
