// When an artifact may be deleted. Two ways lead there. The core says that no job keeps a checkpoint any more; the file
// goes only when nothing else does either: no final tree has the same bytes, and no worker was told lately that the
// store has it (its item may be on the way). And an upload may have been cut off from the event that was to name it, by
// the end of either program: such orphans are looked for once in the life of a process. No clock is asked when: an item
// names its files only while its attempt holds a lease, and a worker announces a file to the present process before it
// names it. So what was here at the start and was not announced since may go as soon as every lease of the start has
// ended.
//
// Thread: every method from any thread. Owner: the coordinator. Failures: a file that cannot be removed stays, logged.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "common/clock.hpp"
#include "common/ids.hpp"
#include "coordinator/api/hash_heads.hpp"

namespace fathom::event {
class Event;
}
namespace fathom::artifacts {
class ArtifactStore;
struct ArtifactInfo;
}  // namespace fathom::artifacts
namespace fathom::core {
struct Lease;
}

namespace fathom::api {

// The 32 bytes of a hash that is written as 64 hex digits.
std::string packed_hash(const std::string& hex);
// Calls `each` with the hash of every file of a final/ tree that the event commits.
void each_final_file(const event::Event& event, const std::function<void(const std::string&)>& each);

class ArtifactKeeper {
 public:
  ArtifactKeeper(artifacts::ArtifactStore& store, const Clock& clock, Millis grace = Millis{60'000})
      : store_(store), clock_(clock), grace_(grace) {}

  // Every event, replayed or new: final files in it are kept for ever.
  void observe(const event::Event& event);
  // Hashes of final files from a snapshot, 32 bytes each.
  void restore(const std::string& packed);
  // A worker announced or uploads this artifact: it stays for the grace period.
  void pin(const std::string& sha256);
  // No job keeps it any more: it is looked at again after the grace period.
  void release(const std::string& sha256);
  // Removes what is due. `in_use`: a job keeps it again.
  void remove_due(const std::function<bool(const std::string&)>& in_use);

  // Before workers are heard: from here on announced files are remembered, until the orphans are gone.
  void watch_orphans();
  // What the store has, listed after watch_orphans() and the replay.
  void found(const std::vector<artifacts::ArtifactInfo>& here);
  // Some of the orphans, when that is possible. `leases`: the living ones. The state that both arguments are of must be
  // durable as a whole: a crash must not bring back who needs a file. True: all are gone, nothing is left to do.
  bool remove_orphans(const std::map<LeaseId, core::Lease>& leases,
                      const std::function<bool(const std::string&)>& in_use);

 private:
  struct Released {
    std::string sha256;
    TimePoint at;
  };
  artifacts::ArtifactStore& store_;
  const Clock& clock_;
  const Millis grace_;
  std::mutex mutex_;
  HashHeads final_;  // a sweep of 100,000 jobs has close to a million; one too many keeps a file that nobody needs
  std::unordered_map<std::string, TimePoint> pinned_;  // until when
  std::deque<Released> released_;                      // oldest first
  TimePoint pruned_{};
  bool watching_ = false;
  HashHeads announced_;                           // since watch_orphans()
  std::optional<std::vector<std::string>> here_;  // candidates; none: not listed yet
  std::optional<std::set<LeaseId>> leases_;       // of the start, that have not ended
  std::size_t orphans_ = 0;                       // removed
};

}  // namespace fathom::api
