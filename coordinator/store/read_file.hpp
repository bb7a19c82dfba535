// The read model's file: taken as it is where it was made from this log by this version, else made anew, empty.
// Thread: free functions.
#pragma once

#include <cstdint>
#include <filesystem>

#include "common/result.hpp"
#include "coordinator/store/event_store.hpp"
#include "coordinator/store/sqlite.hpp"

namespace fathom::store {

// Opens `writer` on it. The event that it is the tables of; 0: they are empty. Errors: those of the disk.
Result<std::uint64_t> open_or_rebuild(const std::filesystem::path& file, EventStore& events, Database& writer);

}  // namespace fathom::store
