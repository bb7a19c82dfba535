#include "worker/disk_room.hpp"

#include <fmt/format.h>
#include <sys/statvfs.h>

#include <algorithm>

namespace fathom::worker {

DiskSpace space_of(const std::filesystem::path& folder) {
  struct statvfs disk {};
  if (::statvfs(folder.c_str(), &disk) != 0) return {};
  return {std::uint64_t{disk.f_bavail} * disk.f_frsize, std::uint64_t{disk.f_blocks} * disk.f_frsize};
}

std::string DiskRoom::look(const DiskSpace& space) {
  const std::uint64_t least = std::min(reserve_, space.size / 20);
  full_ = space.size != 0 && space.free < (full_ ? 2 * least : least);
  if (!full_) return {};
  return fmt::format("its disk has {} MiB free; it takes jobs again from {} MiB on", space.free >> 20,
                     (2 * least + (1U << 20) - 1) >> 20);
}

}  // namespace fathom::worker
