// Where a final tree has the epochs that were kept beside the best one (checkpoint.keep.best): a whole tree each in
// epochs/N/. Pure; thread: free functions over plain values.
#pragma once

#include <optional>
#include <string>

namespace fathom {

struct KeptFile {
  std::string epoch;  // digits
  std::string path;   // inside the epoch's own tree
};

// A file of such an epoch, by its path in the final tree; nullopt: one of the best epoch's. A member of a fusion may be
// called "epochs" too, but its folder holds no folders.
std::optional<KeptFile> kept_file(const std::string& path);

}  // namespace fathom
