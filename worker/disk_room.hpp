// Whether a worker's disk has room for more jobs: what they write is lost work when it ends in "no space left".
// Thread: DiskRoom the owner's, space_of() any.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace fathom::worker {

struct DiskSpace {
  std::uint64_t free = 0, size = 0;  // bytes; size 0: not known
};
[[nodiscard]] DiskSpace space_of(const std::filesystem::path& folder);

class DiskRoom {
 public:
  // No jobs below so many free bytes, of a small disk a twentieth of it; again from twice as many on.
  explicit DiskRoom(std::uint64_t reserve) : reserve_(reserve) {}

  // Why no jobs are to be taken, for a person; empty: there is room.
  [[nodiscard]] std::string look(const DiskSpace& space);
  [[nodiscard]] bool full() const { return full_; }

 private:
  const std::uint64_t reserve_;
  bool full_ = false;
};

}  // namespace fathom::worker
