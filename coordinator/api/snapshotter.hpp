// Makes snapshots while the coordinator runs, and begins from the newest at the next start.
//
// A snapshot is made on a thread of its own from the snapshot before and the events since: the strand that decides is
// only asked for plans, which both share. It is read back and compared before it counts. Two are kept. One that is due
// is made in the next pause of the log, or when four times as many events have come.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "coordinator/core/snapshot.hpp"
#include "coordinator/store/event_store.hpp"
#include "coordinator/store/snapshot_files.hpp"

namespace fathom::api {

// What a start needs beside the events after state.seq.
struct Restored {
  core::State state;
  std::string final_files;  // hashes of files in final/ trees, 32 bytes each
};

// From the newest snapshot of this log that can be used; nullopt: from none, read the whole log. Snapshots of another
// log and damaged ones are removed. `shelf`: for sweeps that ended (core/shelf.hpp), of which some are put away.
// corrupt: there is a snapshot of a later event than the log's last: the log was put back or lost its end.
Result<std::optional<Restored>> restore_newest(store::SnapshotFiles& files, store::EventStore& events,
                                               std::shared_ptr<core::Shelf> shelf);

// The first event that the log lacks although a snapshot has seen it; 0: it lacks none that is known.
std::uint64_t events_lost(const store::SnapshotFiles& files, const store::EventStore& events);

struct SnapshotterOptions {
  std::uint64_t every = 50'000;  // events that make one due
  std::string program;           // version, for people
  // Each snapshot needs shelves of its own for a while; empty or nullptr: its states are whole in memory.
  std::function<std::shared_ptr<core::Shelf>()> shelf;
};

// Thread: notify() from any thread; made and destroyed by one. Failures are logged; the log is all that is needed.
class Snapshotter {
 public:
  using Plans = core::Restorer::Plans;
  // `plans` is called on this object's thread and may wait; `last`: the event that the newest snapshot was made after.
  Snapshotter(store::SnapshotFiles files, store::EventStore& events, Plans plans, std::uint64_t last,
              SnapshotterOptions options);
  ~Snapshotter();  // waits for the one that is being made

  // Events up to here are durable.
  void notify(std::uint64_t durable);

 private:
  void run();
  void wait_for_pause(std::unique_lock<std::mutex>& lock);
  Status make(std::uint64_t durable);
  Result<Restored> follow(std::uint64_t durable);
  Status check(std::uint64_t seq, const std::string& digest);
  std::shared_ptr<core::Shelf> shelf() const { return options_.shelf ? options_.shelf() : nullptr; }

  store::SnapshotFiles files_;
  store::EventStore& events_;
  const Plans plans_;
  const SnapshotterOptions options_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::uint64_t durable_ = 0;  // mutex_
  std::uint64_t last_;         // mutex_
  bool ending_ = false;        // mutex_
  std::thread thread_;
};

}  // namespace fathom::api
