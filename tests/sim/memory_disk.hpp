// A disk in memory that remembers what was not synced. It can be full, fail its syncs, and lose power: then every write
// since the last sync of its file is kept, lost or torn in the middle, one by one, and names that were made or removed
// without a sync of their folder may be as before. Below it: SQLite (through a VFS) and the worker's spool.
// Thread: one.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tests/sim/scheduler.hpp"

namespace fathom::sim {

struct MemoryFile {
  struct Write {
    std::uint64_t offset = 0;
    std::string before, after;      // bytes at `offset`
    std::uint64_t size_before = 0;  // of the file
    bool truncates = false;         // to `offset`; before: what was cut off
  };
  std::string bytes;
  std::vector<Write> unsynced;
};
using FilePtr = std::shared_ptr<MemoryFile>;

enum class DiskAnswer { ok, full, broken };

class MemoryDisk {
 public:
  bool full = false;
  bool broken_sync = false;
  // Of the process that uses it: handles of an ended one write nothing any more.
  Life user;

  [[nodiscard]] FilePtr find(const std::string& path) const;
  FilePtr make(const std::string& path);
  void remove(const std::string& path, bool durably);
  // Durable at once: what write_file_atomic() does.
  void replace(const std::string& path, std::string bytes);
  [[nodiscard]] std::vector<std::string> list(const std::string& folder) const;

  [[nodiscard]] DiskAnswer write(MemoryFile& file, std::uint64_t offset, std::string_view bytes) const;
  static void truncate(MemoryFile& file, std::uint64_t size);
  [[nodiscard]] DiskAnswer sync(MemoryFile& file) const;
  // Names are durable from here on.
  void sync_names();

  void lose_power(Random& random);

 private:
  std::map<std::string, FilePtr> files_;
  std::map<std::string, FilePtr> names_;  // those that a loss of power may bring back; null: may take away
};

// The VFS's name for SqliteEventStoreOptions::vfs. Files are those of the disk that was mounted last on this thread.
inline constexpr const char* kVfs = "fathom-sim";
void mount(MemoryDisk& disk);

}  // namespace fathom::sim
