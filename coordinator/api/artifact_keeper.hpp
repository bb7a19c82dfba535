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

class ArtifactKeeper {
 public:
  ArtifactKeeper(artifacts::ArtifactStore& store, const Clock& clock, Millis grace = Millis{60'000})
      : store_(store), clock_(clock), grace_(grace) {}

  // Every event, replayed or new: final files in it are kept for ever.
  void observe(const event::Event& event);
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
