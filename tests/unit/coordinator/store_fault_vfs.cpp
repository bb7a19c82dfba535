// A SQLite VFS that passes everything to the default one, unless a fault is set. Only what a log in exclusive WAL mode
// needs: no shared memory, hence version 1 of the file methods.
#include <sqlite3.h>

#include <cstdlib>
#include <cstring>

#include "tests/unit/coordinator/store_testing.hpp"

namespace fathom::testing {
namespace {

struct FaultFile {
  sqlite3_file base;
  sqlite3_file* real;
};

FaultDisk disk;
sqlite3_vfs vfs;

sqlite3_file* real(sqlite3_file* file) { return reinterpret_cast<FaultFile*>(file)->real; }

int fault_close(sqlite3_file* file) {
  const int code = real(file)->pMethods->xClose(real(file));
  std::free(real(file));
  return code;
}
int fault_write(sqlite3_file* file, const void* bytes, int size, sqlite3_int64 offset) {
  if (disk.full) return SQLITE_FULL;
  return real(file)->pMethods->xWrite(real(file), bytes, size, offset);
}
int fault_sync(sqlite3_file* file, int flags) {
  ++disk.syncs;
  if (disk.broken_sync) return SQLITE_IOERR_FSYNC;
  return real(file)->pMethods->xSync(real(file), flags);
}
int fault_read(sqlite3_file* f, void* b, int n, sqlite3_int64 o) { return real(f)->pMethods->xRead(real(f), b, n, o); }
int fault_truncate(sqlite3_file* f, sqlite3_int64 size) { return real(f)->pMethods->xTruncate(real(f), size); }
int fault_size(sqlite3_file* f, sqlite3_int64* size) { return real(f)->pMethods->xFileSize(real(f), size); }
int fault_lock(sqlite3_file* f, int level) { return real(f)->pMethods->xLock(real(f), level); }
int fault_unlock(sqlite3_file* f, int level) { return real(f)->pMethods->xUnlock(real(f), level); }
int fault_reserved(sqlite3_file* f, int* out) { return real(f)->pMethods->xCheckReservedLock(real(f), out); }
int fault_control(sqlite3_file* f, int op, void* arg) { return real(f)->pMethods->xFileControl(real(f), op, arg); }
int fault_sector(sqlite3_file* f) { return real(f)->pMethods->xSectorSize(real(f)); }
int fault_traits(sqlite3_file* f) { return real(f)->pMethods->xDeviceCharacteristics(real(f)); }

const sqlite3_io_methods kMethods = {
    1,          fault_close,  fault_read,     fault_write,   fault_truncate, fault_sync,   fault_size,
    fault_lock, fault_unlock, fault_reserved, fault_control, fault_sector,   fault_traits, nullptr,
    nullptr,    nullptr,      nullptr,        nullptr,       nullptr};

sqlite3_vfs* original() { return static_cast<sqlite3_vfs*>(vfs.pAppData); }

int fault_open(sqlite3_vfs*, const char* name, sqlite3_file* file, int flags, int* out) {
  auto* fault = reinterpret_cast<FaultFile*>(file);
  fault->base.pMethods = nullptr;
  fault->real = static_cast<sqlite3_file*>(std::calloc(1, static_cast<std::size_t>(original()->szOsFile)));
  const int code = original()->xOpen(original(), name, fault->real, flags, out);
  if (code == SQLITE_OK) {
    fault->base.pMethods = &kMethods;
  } else {
    std::free(fault->real);
  }
  return code;
}

}  // namespace

FaultDisk& fault_disk() {
  static const bool registered = [] {
    sqlite3_vfs* base = sqlite3_vfs_find(nullptr);
    std::memcpy(&vfs, base, sizeof vfs);
    vfs.zName = kFaultVfs;
    vfs.pAppData = base;
    vfs.pNext = nullptr;
    vfs.szOsFile = sizeof(FaultFile);
    vfs.xOpen = fault_open;
    return sqlite3_vfs_register(&vfs, 0) == SQLITE_OK;
  }();
  (void)registered;
  disk.full = false;
  disk.broken_sync = false;
  return disk;
}

}  // namespace fathom::testing
