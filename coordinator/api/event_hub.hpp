// Live updates: who listens to which sweep, and what is new for each. A stream remembers only how far it is; what
// changed since is asked of the read model when the client can take it. So a slow client gets fewer, newer states
// instead of a growing queue, and a stream that resumes is the same as one that was slow.
//
// Thread: every method from any thread; nothing blocks except Stream::take(), which queries the read model on its HTTP
// session's strand. Owner: the coordinator. Bounds: 500 jobs in one update (their sweep's counts always come), ten
// updates a second for each stream.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "common/clock.hpp"
#include "common/ids.hpp"
#include "coordinator/api/http/message.hpp"
#include "coordinator/store/read_model.hpp"

namespace fathom::api {

class EventHub : public std::enable_shared_from_this<EventHub> {
 public:
  explicit EventHub(store::ReadModel& read_model) : read_model_(read_model) {}

  // A stream of one sweep's events, or of all (empty). `after`: what Last-Event-ID says.
  std::shared_ptr<LiveSource> open(const std::string& sweep, std::optional<std::uint64_t> after);

  void changed(const store::Changes& changes);      // from the read model
  void points(const std::vector<JobNumber>& jobs);  // from the metric store
  void flush();                                     // a few times a second: wakes who has something to send
  [[nodiscard]] std::size_t streams() const { return count_; }

 private:
  class Stream;
  store::ReadModel& read_model_;
  std::mutex mutex_;
  std::vector<std::weak_ptr<Stream>> streams_;
  std::atomic<std::size_t> count_{0};
};

}  // namespace fathom::api
