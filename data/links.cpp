#include "data/links.hpp"

#include <algorithm>

namespace fathom::data {
namespace {

namespace fs = std::filesystem;

std::vector<fs::path>& allowed() {
  static std::vector<fs::path> folders;
  return folders;
}

bool lies_below(const fs::path& path, const fs::path& folder) {
  const fs::path way = path.lexically_relative(folder);
  return !way.empty() && *way.begin() != "..";
}

}  // namespace

void confine_links(const std::vector<fs::path>& folders) {
  allowed().clear();
  for (const fs::path& folder : folders) {
    std::error_code error;
    const fs::path real = fs::weakly_canonical(folder, error);
    // A folder that cannot be looked at allows nothing, but still confines.
    allowed().push_back(error ? fs::absolute(folder) : real);
  }
}

Status check_links(const fs::path& path) {
  if (allowed().empty()) return success();
  std::error_code error;
  const fs::path target = fs::weakly_canonical(path, error);
  if (error) return success();
  if (std::ranges::any_of(allowed(), [&](const fs::path& folder) { return lies_below(target, folder); }))
    return success();
  return Error{Errc::permission_denied, path.string() + " is a link that leads out of the worker's root, to " +
                                            target.string() +
                                            "; copy the files, or allow the place with the setting "
                                            "\"links\" of the worker"};
}

Status check_links_below(const fs::path& folder) {
  if (allowed().empty()) return success();
  std::error_code error;
  for (fs::recursive_directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
    if (entry.depth() >= 3) entry.disable_recursion_pending();
    if (entry->is_symlink()) FATHOM_TRY(check_links(entry->path()));
  }
  return success();
}

}  // namespace fathom::data
