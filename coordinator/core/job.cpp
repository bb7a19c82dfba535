#include "coordinator/core/job.hpp"

namespace fathom::core {

std::vector<KeptCheckpoint> all_of(const Checkpoints& kept) {
  std::vector<KeptCheckpoint> all;
  for (const KeptCheckpoint& one : {kept.latest, kept.older, kept.best}) {
    if (one) all.push_back(one);
  }
  all.insert(all.end(), kept.earlier.begin(), kept.earlier.end());
  return all;
}

}  // namespace fathom::core
