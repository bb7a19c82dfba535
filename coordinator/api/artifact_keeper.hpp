// When an artifact may be deleted. The core says that no job keeps a checkpoint any more; the file goes only when
// nothing else does either: no final tree has the same bytes, and no worker was told lately that the store has it (its
// item may be on the way).
//
// Thread: every method from any thread. Owner: the coordinator. Failures: a file that cannot be removed stays, logged.
#pragma once

#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <unordered_map>
#include <unordered_set>

#include "common/clock.hpp"

namespace fathom::event {
class Event;
}
namespace fathom::artifacts {
class ArtifactStore;
}

namespace fathom::api {

// The 32 bytes of a hash that is written as 64 hex digits: half the memory, and a sweep of 100,000 jobs has close to a
// million final files.
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

 private:
  struct Released {
    std::string sha256;
    TimePoint at;
  };
  artifacts::ArtifactStore& store_;
  const Clock& clock_;
  const Millis grace_;
  std::mutex mutex_;
  std::unordered_set<std::string> final_;              // the hashes as 32 bytes
  std::unordered_map<std::string, TimePoint> pinned_;  // until when
  std::deque<Released> released_;                      // oldest first
  TimePoint pruned_{};
};

}  // namespace fathom::api
