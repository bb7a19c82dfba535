// Files that are whole or absent. Everything that must survive a crash is written to a temporary name, synced and
// renamed, and the folder is synced, so that a reader never meets half of it.
// Thread: free functions without state. Errors carry the path and the system's reason; a full disk is
// resource_exhausted.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/result.hpp"

namespace fathom {

// The whole file; refuses files larger than `limit` bytes before it allocates. not_found when there is none.
Result<std::string> read_file(const std::string& path, std::uint64_t limit = std::uint64_t{1} << 30);

// Replaces `path` durably: temporary file beside it, fsync, rename, fsync of the folder. mode: permission bits.
Status write_file_atomic(const std::string& path, std::string_view bytes, unsigned mode = 0644);

// Creates the folder and its parents. mode is applied to folders that are made.
Status make_folders(const std::string& path, unsigned mode = 0755);

// fsync of a folder: makes renames and removals in it durable.
Status sync_folder(const std::string& path);

// Writes all of `bytes` to an open descriptor, in as many calls as it takes. `path` is for the message.
Status write_all(int fd, std::string_view bytes, const std::string& path);

// fsync of a file that was written through other means.
Status sync_file(const std::string& path);

// An Error for errno `number` after doing `what` with `path`.
Error system_error(int number, const std::string& what, const std::string& path);

}  // namespace fathom
