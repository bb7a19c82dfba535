// Where symbolic links among models and data may lead. A worker runs what others submit: the paths they name lie below
// its root, and so must what stands there. Programs that people start for themselves follow links as everybody does.
// Thread: confine_links() once, before other threads; the rest from any.
#pragma once

#include <filesystem>
#include <vector>

#include "common/result.hpp"

namespace fathom::data {

// From now on only links that end in one of these folders, or below, are followed. Empty: all are.
void confine_links(const std::vector<std::filesystem::path>& folders);

// permission_denied when `path` leads out of those folders. What does not exist leads nowhere: opening it says more.
Status check_links(const std::filesystem::path& path);
// The same for everything in a folder (a model's), three levels deep.
Status check_links_below(const std::filesystem::path& folder);

}  // namespace fathom::data
