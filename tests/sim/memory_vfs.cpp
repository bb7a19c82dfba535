// SQLite on a MemoryDisk. No shared memory, hence version 1 of the file methods: the store opens its log exclusively.
#include <sqlite3.h>

#include <cstring>
#include <new>

#include "tests/sim/memory_disk.hpp"

namespace fathom::sim {
namespace {

thread_local MemoryDisk* mounted = nullptr;

struct VfsFile {
  sqlite3_file base;
  FilePtr file;
  MemoryDisk* disk;
  Life user;  // of the process that opened it
  std::string path;
  bool gone_at_close;
};

VfsFile& of(sqlite3_file* file) { return *reinterpret_cast<VfsFile*>(file); }

int vfs_close(sqlite3_file* file) {
  VfsFile& one = of(file);
  if (one.gone_at_close && one.user.alive()) one.disk->remove(one.path, false);
  one.~VfsFile();
  return SQLITE_OK;
}
int vfs_read(sqlite3_file* file, void* out, int count, sqlite3_int64 offset) {
  if (!of(file).user.alive()) return SQLITE_IOERR_READ;
  const std::string& bytes = of(file).file->bytes;
  const auto at = static_cast<std::size_t>(offset);
  const auto wanted = static_cast<std::size_t>(count);
  const std::size_t there = at < bytes.size() ? std::min(wanted, bytes.size() - at) : 0;
  std::memcpy(out, bytes.data() + at, there);
  if (there == wanted) return SQLITE_OK;
  std::memset(static_cast<char*>(out) + there, 0, wanted - there);
  return SQLITE_IOERR_SHORT_READ;
}
int vfs_write(sqlite3_file* file, const void* bytes, int count, sqlite3_int64 offset) {
  if (!of(file).user.alive()) return SQLITE_IOERR_WRITE;
  const std::string_view text(static_cast<const char*>(bytes), static_cast<std::size_t>(count));
  switch (of(file).disk->write(*of(file).file, static_cast<std::uint64_t>(offset), text)) {
    case DiskAnswer::ok:
      return SQLITE_OK;
    case DiskAnswer::full:
      return SQLITE_FULL;
    default:
      return SQLITE_IOERR_WRITE;
  }
}
int vfs_truncate(sqlite3_file* file, sqlite3_int64 size) {
  if (!of(file).user.alive()) return SQLITE_IOERR_TRUNCATE;
  MemoryDisk::truncate(*of(file).file, static_cast<std::uint64_t>(size));
  return SQLITE_OK;
}
int vfs_sync(sqlite3_file* file, int) {
  if (!of(file).user.alive()) return SQLITE_IOERR_FSYNC;
  if (of(file).disk->sync(*of(file).file) != DiskAnswer::ok) return SQLITE_IOERR_FSYNC;
  of(file).disk->sync_names();
  return SQLITE_OK;
}
int vfs_size(sqlite3_file* file, sqlite3_int64* size) {
  *size = static_cast<sqlite3_int64>(of(file).file->bytes.size());
  return SQLITE_OK;
}
int vfs_lock(sqlite3_file*, int) { return SQLITE_OK; }
int vfs_reserved(sqlite3_file*, int* out) {
  *out = 0;
  return SQLITE_OK;
}
int vfs_control(sqlite3_file*, int, void*) { return SQLITE_NOTFOUND; }
int vfs_sector(sqlite3_file*) { return 512; }
int vfs_traits(sqlite3_file*) { return 0; }

const sqlite3_io_methods kMethods = {1,        vfs_close, vfs_read,     vfs_write,   vfs_truncate, vfs_sync,   vfs_size,
                                     vfs_lock, vfs_lock,  vfs_reserved, vfs_control, vfs_sector,   vfs_traits, nullptr,
                                     nullptr,  nullptr,   nullptr,      nullptr,     nullptr};

int vfs_open(sqlite3_vfs*, const char* name, sqlite3_file* out, int flags, int* out_flags) {
  out->pMethods = nullptr;
  const std::string path = name != nullptr ? name : "temporary";
  FilePtr file = mounted->find(path);
  if (file == nullptr && (flags & SQLITE_OPEN_CREATE) == 0) return SQLITE_CANTOPEN;
  if (file == nullptr) file = mounted->make(path);
  new (out) VfsFile{{&kMethods}, file, mounted, mounted->user, path, (flags & SQLITE_OPEN_DELETEONCLOSE) != 0};
  if (out_flags != nullptr) *out_flags = flags;
  return SQLITE_OK;
}
int vfs_delete(sqlite3_vfs*, const char* name, int durably) {
  if (!mounted->user.alive()) return SQLITE_IOERR_DELETE;
  mounted->remove(name, durably != 0);
  return SQLITE_OK;
}
int vfs_access(sqlite3_vfs*, const char* name, int, int* out) {
  *out = mounted->find(name) != nullptr ? 1 : 0;
  return SQLITE_OK;
}
int vfs_full_path(sqlite3_vfs*, const char* name, int size, char* out) {
  sqlite3_snprintf(size, out, "%s", name);
  return SQLITE_OK;
}

}  // namespace

void mount(MemoryDisk& disk) {
  static sqlite3_vfs vfs;
  static const bool registered = [] {
    std::memcpy(&vfs, sqlite3_vfs_find(nullptr), sizeof vfs);
    vfs.zName = kVfs;
    vfs.pNext = nullptr;
    vfs.szOsFile = sizeof(VfsFile);
    vfs.xOpen = vfs_open;
    vfs.xDelete = vfs_delete;
    vfs.xAccess = vfs_access;
    vfs.xFullPathname = vfs_full_path;
    return sqlite3_vfs_register(&vfs, 0) == SQLITE_OK;
  }();
  (void)registered;
  mounted = &disk;
}

}  // namespace fathom::sim
