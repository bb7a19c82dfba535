#include "common/kept_epochs.hpp"

namespace fathom {

std::optional<KeptFile> kept_file(const std::string& path) {
  constexpr std::string_view kFolder = "epochs/";
  if (!path.starts_with(kFolder)) return std::nullopt;
  const auto end = path.find('/', kFolder.size());
  if (end == std::string::npos || end + 1 == path.size()) return std::nullopt;
  KeptFile file{path.substr(kFolder.size(), end - kFolder.size()), path.substr(end + 1)};
  if (file.epoch.empty() || file.epoch.find_first_not_of("0123456789") != std::string::npos) return std::nullopt;
  return file;
}

}  // namespace fathom
