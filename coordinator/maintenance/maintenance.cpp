#include "coordinator/maintenance/maintenance.hpp"

#include <algorithm>
#include <cerrno>
#include <fstream>

#include <fmt/format.h>

#include "common/files.hpp"
#include "common/sha256.hpp"
#include "coordinator/api/snapshotter.hpp"
#include "coordinator/api/state_folder.hpp"
#include "coordinator/artifacts/artifact_store.hpp"
#include "coordinator/core/inspect.hpp"
#include "coordinator/maintenance/new_log.hpp"
#include "coordinator/maintenance/replay.hpp"
#include "coordinator/store/event_export.hpp"
#include "coordinator/store/log_store.hpp"
#include "coordinator/store/metric_store.hpp"

namespace fathom::maintenance {
namespace {

namespace fs = std::filesystem;
using api::StateFolder;

Result<StateFolder> open_existing(const std::string& state) {
  if (!fs::exists(fs::path(state) / "VERSION")) {
    return Error{Errc::not_found, state + " is no state folder of Fathom: name it with --state"};
  }
  return StateFolder::open(state, {});
}

fs::path log_of(const StateFolder& folder) { return folder.inner("events.db"); }

store::SnapshotFiles snapshots_of(const fs::path& log) { return store::SnapshotFiles(log.parent_path() / "snapshots"); }

// As far as the log is sound; the error says what is wrong with the next event. An absent log is an empty one.
Status follow(const fs::path& log, Replay& replay, const std::function<Status(const store::EventRecord&)>& each = {}) {
  if (!fs::exists(log)) return success();
  FATHOM_ASSIGN(auto events, store::open_event_store(log, {}));
  const auto take = [&](const store::EventRecord& record) -> Status {
    FATHOM_TRY(replay.take(record));
    return each ? each(record) : success();
  };
  FATHOM_TRY(events->load(1, take));
  const std::uint64_t lost = api::events_lost(snapshots_of(log), *events);
  if (lost == 0) return success();
  return Error{Errc::corrupt, fmt::format("event {} is missing: a snapshot has seen it, the log ends before", lost)};
}

Status check_hash(artifacts::ArtifactStore& artifacts, const std::string& sha256) {
  FATHOM_ASSIGN(const auto reader, artifacts.open(sha256));
  constexpr std::size_t kPiece = 1U << 20;
  Sha256 sum;
  for (std::uint64_t offset = 0; offset < reader->size();) {
    FATHOM_ASSIGN(const std::string piece, reader->read(offset, kPiece));
    if (piece.empty()) break;
    sum.update(piece);
    offset += piece.size();
  }
  if (sum.hex() == sha256) return success();
  return Error{Errc::corrupt, "its content has changed"};
}

void check_files(const StateFolder& folder, const Replay& replay, bool hashes, Check& check) {
  auto artifacts = artifacts::open_artifact_store(folder.inner("artifacts"));
  if (!artifacts) return check.problems.push_back(artifacts.error().message);
  for (const auto& [sha256, size] : replay.final_files()) {
    const auto info = (*artifacts)->stat(sha256);
    ++check.files;
    check.bytes += info ? info->size : 0;
    if (!info) {
      check.problems.push_back(fmt::format("artifact {} of a finished job is missing", sha256));
    } else if (info->size != size) {
      check.problems.push_back(fmt::format("artifact {} has {} bytes, {} were stored", sha256, info->size, size));
    } else if (const Status same = hashes ? check_hash(**artifacts, sha256) : success(); !same) {
      check.problems.push_back(fmt::format("artifact {}: {}", sha256, same.error().message));
    }
  }
}

// A snapshot has to be what the log up to its event gives.
void check_snapshot(const store::SnapshotFiles& files, const core::State& state, std::uint64_t seq, Check& check) {
  std::string digest;
  const Status read = files.read(seq, [&](const snapshot::Record& record) {
    if (record.has_end()) digest = record.end().digest();
    return success();
  });
  if (!read) {
    check.problems.push_back(read.error().message + ": delete it, the log is all that is needed");
  } else if (digest != core::digest(state)) {
    check.problems.push_back(fmt::format("snapshot {} is not what the log gives: delete it", seq));
  }
}

// Reads an export to its end into `log` (nullptr: just reads), following it, and closes it with the event that says so.
Status take_export(const fs::path& file, Replay& replay, NewLog* log, const Clock& clock) {
  std::ifstream in(file, std::ios::binary);
  if (!in) return system_error(errno, "opening", file.string());
  const auto read = store::read_export(in, [&](const store::EventRecord& record) -> Status {
    FATHOM_TRY(replay.take(record));
    return log != nullptr ? log->add(record) : success();
  });
  if (!read) return Error{read.error().code, file.string() + ": " + read.error().message};
  if (log == nullptr) return success();
  return log->add(repaired_event(replay, "taken back from an export of " + std::to_string(replay.events()) + " events",
                                 clock.wall()));
}

// Numbers of jobs that the new log does not know will be given again.
Status forget_lost_jobs(const StateFolder& folder, const Replay& replay) {
  const JobNumber first(replay.jobs() + 1);
  FATHOM_TRY(store::forget_metrics(folder.inner("metrics.db"), first));
  return store::LogStore(folder.inner("logs")).forget(first);
}

}  // namespace

Result<Check> verify(const std::string& state, bool hashes) {
  FATHOM_ASSIGN(const StateFolder folder, open_existing(state));
  Check check;
  Replay replay;
  const store::SnapshotFiles snapshots = snapshots_of(log_of(folder));
  const std::vector<std::uint64_t> made = snapshots.list();
  const Status followed = follow(log_of(folder), replay, [&](const store::EventRecord& record) {
    if (std::ranges::find(made, record.seq) != made.end()) check_snapshot(snapshots, replay.state(), record.seq, check);
    return success();
  });
  check.events = replay.events();
  check.jobs = replay.jobs();
  if (!followed) {
    check.problems.push_back(followed.error().message);
  } else {
    const std::vector<std::string> broken = core::invariants(replay.state());
    check.problems.insert(check.problems.end(), broken.begin(), broken.end());
    check.sweeps = replay.state().sweeps.size();
    for (const core::Job* job : core::all_jobs(replay.state()))
      check.open_jobs += core::is_terminal(core::phase_of(*job)) ? 0 : 1;
  }
  check_files(folder, replay, hashes, check);
  return check;
}

Result<std::uint64_t> export_log(const std::string& state, const fs::path& file, const std::string& program) {
  FATHOM_ASSIGN(const StateFolder folder, open_existing(state));
  FATHOM_ASSIGN(auto events, store::open_event_store(log_of(folder), {}));
  const fs::path part = file.string() + ".part";
  std::ofstream out(part, std::ios::binary | std::ios::trunc);
  if (!out) return system_error(errno, "writing", part.string());
  store::EventExporter exporter([&](std::string_view bytes) -> Status {
    out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    return out ? success() : Status(system_error(errno, "writing", part.string()));
  });
  const auto write = [&]() -> Status {
    FATHOM_TRY(exporter.begin({events->id(), program}));
    FATHOM_TRY(events->load(1, [&](const store::EventRecord& record) { return exporter.add(record); }));
    FATHOM_TRY(exporter.end());
    out.close();
    return out ? sync_file(part.string()) : Status(system_error(errno, "writing", part.string()));
  };
  std::error_code error;
  if (const Status written = write(); !written) {
    fs::remove(part, error);
    return written.error();
  }
  fs::rename(part, file, error);
  if (error) return system_error(error.value(), "renaming", part.string());
  return exporter.events();
}

Result<std::uint64_t> import_log(const std::string& state, const fs::path& file, const Clock& clock) {
  FATHOM_TRY(make_folders(state, 0700));
  FATHOM_ASSIGN(const StateFolder folder, StateFolder::open(state, {}));
  const fs::path log = log_of(folder);
  if (fs::exists(log)) {
    FATHOM_ASSIGN(const auto events, store::open_event_store(log, {}));
    if (events->last_durable() > 0) {
      return Error{Errc::already_exists,
                   fmt::format("{} holds {} events already: import into a new state folder, or go back "
                               "to the export with \"repair --from\"",
                               log.string(), events->last_durable())};
    }
  }
  Replay replay;
  FATHOM_ASSIGN(const auto made, NewLog::open(log));
  FATHOM_TRY(take_export(file, replay, made.get(), clock));
  const std::uint64_t events = replay.events();
  FATHOM_ASSIGN(const std::string ignored, made->put_in_place());
  return events;
}

Result<Repair> repair(const std::string& state, const std::optional<fs::path>& from, bool apply, const Clock& clock) {
  FATHOM_ASSIGN(const StateFolder folder, open_existing(state));
  const fs::path log = log_of(folder);
  std::unique_ptr<NewLog> made;
  if (apply) {
    FATHOM_ASSIGN(made, NewLog::open(log));
  }
  Repair done;
  Replay sound, taken;
  const auto keep = [&](const store::EventRecord& record) { return from || !made ? success() : made->add(record); };
  if (const Status followed = follow(log, sound, keep); !followed) {
    if (followed.error().code != Errc::corrupt) return followed.error();
    done.damage = followed.error().message;
  }
  if (from) FATHOM_TRY(take_export(*from, taken, made.get(), clock));
  const Replay& kept = from ? taken : sound;
  done.kept = kept.events();
  if (!made || (!from && done.damage.empty())) return done;
  if (!from) FATHOM_TRY(made->add(repaired_event(sound, "repaired: " + done.damage, clock.wall())));
  FATHOM_TRY(forget_lost_jobs(folder, kept));
  FATHOM_ASSIGN(done.set_aside, made->put_in_place());
  return done;
}

}  // namespace fathom::maintenance
