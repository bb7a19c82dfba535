#include "coordinator/store/network_fs.hpp"

#include <sys/vfs.h>

#include <array>
#include <utility>

namespace fathom::store {

std::optional<std::string> network_file_system(std::uint32_t magic) {
  // linux/magic.h and the man page of statfs.
  constexpr std::array<std::pair<std::uint32_t, const char*>, 12> kKnown{{{0x6969, "NFS"},
                                                                          {0x517B, "SMB"},
                                                                          {0xFF534D42, "CIFS"},
                                                                          {0xFE534D42, "SMB2"},
                                                                          {0x01021997, "9P"},
                                                                          {0x00C36400, "CephFS"},
                                                                          {0x0BD00BD0, "Lustre"},
                                                                          {0x47504653, "GPFS"},
                                                                          {0x5346414F, "AFS"},
                                                                          {0x6B414653, "AFS"},
                                                                          {0x19830326, "BeeGFS"},
                                                                          {0x564C, "NCP"}}};
  for (const auto& [number, name] : kKnown) {
    if (number == magic) return name;
  }
  return std::nullopt;
}

Status refuse_network_file_system(const std::filesystem::path& folder) {
  std::error_code error;
  std::filesystem::path at = std::filesystem::absolute(folder, error);
  struct statfs found {};
  while (::statfs(at.c_str(), &found) != 0) {
    if (!at.has_relative_path()) return success();  // opening it will say why
    at = at.parent_path();
  }
  const auto name = network_file_system(static_cast<std::uint32_t>(found.f_type));
  if (!name) return success();
  return Error{Errc::failed_precondition,
               folder.string() + " is on a network file system (" + *name +
                   "): locks and syncs of the event log cannot be trusted there. Name a folder on a local disk with "
                   "--state; keep backups on the network instead (fathom export)"};
}

}  // namespace fathom::store
