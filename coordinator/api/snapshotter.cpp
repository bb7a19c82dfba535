#include "coordinator/api/snapshotter.hpp"

#include <spdlog/spdlog.h>

#include <fmt/format.h>

#include "common/free_memory.hpp"
#include "common/thread_name.hpp"
#include "coordinator/api/artifact_keeper.hpp"
#include "coordinator/core/inspect.hpp"
#include "coordinator/store/sweep_shelf.hpp"

namespace fathom::api {
namespace {

constexpr std::size_t kKept = 2;
constexpr std::size_t kHashesInARecord = 1U << 20;  // bytes
// A snapshot that is due waits for a pause of the log, until so many times as many events have come as make one due.
constexpr Millis kPause{250};
constexpr std::uint64_t kPatience = 4;

// Reads one snapshot. `log`: of another log it is of no use.
Result<Restored> read_one(const store::SnapshotFiles& files, std::uint64_t seq, const std::string& log,
                          const core::Restorer::Plans& plans, std::shared_ptr<core::Shelf> shelf) {
  core::Restorer restorer(plans, std::move(shelf));
  Restored restored;
  const auto take = [&](const snapshot::Record& record) -> Status {
    if (record.has_head() && record.head().log() != log) return Error{Errc::not_found, "a snapshot of another log"};
    if (record.has_final_files()) restored.final_files += record.final_files();
    return restorer.take(record);
  };
  FATHOM_TRY(files.read(seq, take));
  FATHOM_ASSIGN(restored.state, restorer.finish());
  return restored;
}

}  // namespace

std::uint64_t events_lost(const store::SnapshotFiles& files, const store::EventStore& events) {
  for (const std::uint64_t seq : files.list()) {
    if (seq <= events.last_durable()) return 0;
    const auto head = files.head(seq);
    if (head && head->log() == events.id()) return events.last_durable() + 1;
  }
  return 0;
}

Result<std::optional<Restored>> restore_newest(store::SnapshotFiles& files, store::EventStore& events,
                                               std::shared_ptr<core::Shelf> shelf) {
  if (const std::uint64_t lost = events_lost(files, events); lost != 0) {
    return Error{Errc::corrupt,
                 fmt::format("the event log ends before event {}, which a snapshot has seen: the log was put back or "
                             "lost its end. Put the right log in its place, or let \"fathom-coordinator repair "
                             "--apply\" go on from this one",
                             lost)};
  }
  const auto plans = [&](std::uint64_t seq) { return store::plan_of(events, seq); };
  for (const std::uint64_t seq : files.list()) {
    auto restored = read_one(files, seq, events.id(), plans, shelf);
    if (restored) return std::optional<Restored>(std::move(*restored));
    spdlog::warn("snapshot not used, it is removed seq={} why=\"{}\"", seq, restored.error().message);
    files.remove(seq);
  }
  return std::optional<Restored>{};
}

Snapshotter::Snapshotter(store::SnapshotFiles files, store::EventStore& events, Plans plans, std::uint64_t last,
                         SnapshotterOptions options)
    : files_(std::move(files)),
      events_(events),
      plans_(std::move(plans)),
      options_(std::move(options)),
      last_(last),
      thread_([this] {
        name_thread("snapshots");
        run();
      }) {}

Snapshotter::~Snapshotter() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
    wake_.notify_one();
  }
  thread_.join();
}

void Snapshotter::notify(std::uint64_t durable) {
  const std::lock_guard lock(mutex_);
  const auto reaches = [&](std::uint64_t goal) { return durable_ < goal && durable >= goal; };
  const bool wakes = reaches(last_ + options_.every) || reaches(last_ + kPatience * options_.every);
  durable_ = durable;
  if (wakes) wake_.notify_one();
}

// What jobs wait for comes first: work that can be done at any time is done when the processors have nothing else.
void Snapshotter::wait_for_pause(std::unique_lock<std::mutex>& lock) {
  const auto late = [this] { return ending_ || durable_ >= last_ + kPatience * options_.every; };
  for (std::uint64_t seen = 0; seen != durable_ && !late();) {
    seen = durable_;
    wake_.wait_for(lock, kPause, late);
  }
}

void Snapshotter::run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    wake_.wait(lock, [this] { return ending_ || durable_ >= last_ + options_.every; });
    wait_for_pause(lock);
    if (ending_) return;
    const std::uint64_t durable = durable_;
    lock.unlock();
    if (const Status made = make(durable); !made)
      spdlog::warn("no snapshot made seq={} why=\"{}\"", durable, made.error().message);
    return_free_memory();  // a second state was made
    lock.lock();
    last_ = durable;  // also after a failure: not again before as many new events
  }
}

// The state after event `durable`, from the newest snapshot on.
Result<Restored> Snapshotter::follow(std::uint64_t durable) {
  Restored now;
  now.state.sweeps.use(shelf());
  for (const std::uint64_t seq : files_.list()) {
    if (seq > durable) continue;
    if (auto before = read_one(files_, seq, events_.id(), plans_, shelf())) {
      now = std::move(*before);
      break;
    }
  }
  const Status read = events_.load(now.state.seq + 1, [&](const store::EventRecord& record) -> Status {
    if (record.seq > durable) return Error{Errc::failed_precondition, "enough"};
    event::Event event;
    if (!event.ParseFromString(record.bytes)) return Error{Errc::corrupt, "an event cannot be read"};
    core::PlanPtr plan;
    if (event.has_sweep_submitted()) {
      FATHOM_ASSIGN(plan, plans_(event.seq()));
    }
    FATHOM_TRY(core::evolve(now.state, event, plan));
    if (now.state.sweeps.is_full()) core::tidy(now.state, std::nullopt);
    each_final_file(event, [&](const std::string& sha256) { now.final_files += packed_hash(sha256); });
    return success();
  });
  if (!read && read.error().code != Errc::failed_precondition) return read.error();
  if (now.state.seq != durable) return Error{Errc::unavailable, "the coordinator is stopping"};
  return now;
}

Status Snapshotter::make(std::uint64_t durable) {
  FATHOM_ASSIGN(const Restored now, follow(durable));
  snapshot::Head head;
  head.set_log(events_.id()), head.set_program(options_.program);
  std::string digest;
  const auto fill = [&](const core::RecordSink& sink) {
    return core::save(now.state, head, [&](const snapshot::Record& record) -> Status {
      if (!record.has_end()) return sink(record);
      digest = record.end().digest();
      for (std::size_t at = 0; at < now.final_files.size(); at += kHashesInARecord) {
        snapshot::Record files;
        files.set_final_files(now.final_files.substr(at, kHashesInARecord));
        FATHOM_TRY(sink(files));
      }
      return sink(record);
    });
  };
  FATHOM_TRY(files_.write(durable, fill));
  if (const Status same = check(durable, digest); !same) {
    files_.remove(durable);
    return same;
  }
  files_.keep(kKept);
  spdlog::info("snapshot made seq={} jobs={}", durable, now.state.jobs());
  return success();
}

Status Snapshotter::check(std::uint64_t seq, const std::string& digest) {
  FATHOM_ASSIGN(const Restored again, read_one(files_, seq, events_.id(), plans_, shelf()));
  if (core::digest(again.state) == digest) return success();
  return Error{Errc::internal, "what it gives back is not the state it was made from"};
}

}  // namespace fathom::api
