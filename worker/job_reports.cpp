// JobRunner's other half: what trainers report, and how it gets on disk and to the coordinator's artifact store.
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "common/crash_point.hpp"
#include "common/protocol/fences.hpp"
#include "common/protocol/wire.pb.h"
#include "worker/job_folder.hpp"
#include "worker/job_runner.hpp"

namespace fathom::worker {
namespace {

// Hashes and uploads files and names them in `out`.
Status upload(ArtifactClient& artifacts, ArtifactCache& cache, const std::vector<LocalFile>& files,
              const ArtifactClient::Cancelled& cancelled, const std::function<wire::File*()>& out) {
  for (const LocalFile& file : files) {
    FATHOM_TRY(artifacts.put(file.file, file.sha256, file.size, cancelled));
    crash_point("file.uploaded");
    cache.keep(file.file, file.sha256);
    wire::File* entry = out();
    entry->set_path(file.path);
    entry->set_sha256(file.sha256);
    entry->set_size(file.size);
  }
  return success();
}

Status upload_final(ArtifactClient& artifacts, ArtifactCache& cache, const std::filesystem::path& tree,
                    const ArtifactClient::Cancelled& cancelled, wire::Item& item) {
  FATHOM_ASSIGN(const std::vector<LocalFile> files, hash_tree(tree));
  if (files.empty() && item.has_finished()) {
    return Error{Errc::internal, fmt::format("the trainer said finished but wrote nothing to {}", tree.string())};
  }
  auto* list = item.has_finished() ? item.mutable_finished()->mutable_files() : item.mutable_stopped()->mutable_files();
  list->Clear();
  return upload(artifacts, cache, files, cancelled, [list] { return list->Add(); });
}

}  // namespace

void JobRunner::on_item(wire::Item& item) {
  Attempt* attempt = find(from_wire(item.fence()));
  if (attempt == nullptr || attempt->phase != Attempt::Phase::training) return;
  const bool last = item.has_finished() || item.has_failed() || item.has_stopped();
  if (attempt->abandoned) {
    if (last) retire(attempt->fence);
    return;
  }
  if (item.has_checkpoint()) return upload_checkpoint(*attempt, item);
  if (!last) return tell(*attempt, item);
  // Stopped after too long without contact is no news: another attempt has gone on from the checkpoint.
  const bool lost = attempt->leaving == Attempt::Leaving::lost;
  if (attempt->disk_failed || (lost && !item.has_finished()))
    closed(*attempt);
  else
    upload_last(*attempt, item);
  end_idle_gangs();
}

void JobRunner::upload_checkpoint(Attempt& attempt, const wire::Item& item) {
  uploads_.post([this, item = wire::Item(item), fence = attempt.fence, folder = attempt.folder,
                 flag = attempt.cancelled]() mutable {
    wire::Checkpoint& checkpoint = *item.mutable_checkpoint();
    const auto work = [&]() -> Status {
      FATHOM_ASSIGN(const LocalFile file, hash_file(folder, checkpoint.path()));
      return upload(
          artifacts_, cache_, {file}, [flag] { return flag->load(); }, [&] { return checkpoint.mutable_file(); });
    };
    const Status done = work();
    checkpoint.clear_path();  // of this worker's disk, nobody else's business
    loop_.post([this, fence, item = std::move(item), done]() mutable { uploaded(fence, item, done, false); });
  });
}

void JobRunner::upload_last(Attempt& attempt, const wire::Item& item) {
  attempt.phase = Attempt::Phase::closing;
  uploads_.post([this, item = wire::Item(item), fence = attempt.fence, tree = attempt.folder / "final",
                 flag = attempt.cancelled]() mutable {
    Status done = success();
    if (!item.has_failed())
      done = upload_final(
          artifacts_, cache_, tree, [flag] { return flag->load(); }, item);
    loop_.post([this, fence, item = std::move(item), done]() mutable { uploaded(fence, item, done, true); });
  });
}

void JobRunner::uploaded(const Fence& fence, wire::Item& item, const Status& status, bool last) {
  Attempt* attempt = find(fence);
  if (attempt == nullptr) return;
  if (attempt->abandoned) {
    if (last) retire(fence);
    return;
  }
  if (status) {
    tell(*attempt, item);
  } else if (last) {
    return fail(*attempt, status.error().code == Errc::resource_exhausted ? "disk" : "internal",
                status.error().message);
  } else {
    // The job goes on without this one; the next epoch brings another.
    spdlog::warn("checkpoint not stored attempt={} error=\"{}\"", describe(fence), status.error().message);
  }
  if (last) attempt->phase = Attempt::Phase::ended;
}

// The trainer has let go of an attempt that has no last item. Its checkpoints may still be on their way.
void JobRunner::closed(Attempt& attempt) {
  attempt.phase = Attempt::Phase::closing;
  uploads_.post([this, fence = attempt.fence] {
    loop_.post([this, fence] {
      Attempt* later = find(fence);
      if (later == nullptr) return;
      if (later->abandoned) return retire(fence);
      // A stop that was asked for wants a result, which this attempt cannot give: its lease runs out instead.
      if (later->leaving == Attempt::Leaving::drain && !later->stop_asked) hand_back(*later);
      later->phase = Attempt::Phase::ended;
      retire_if_done(fence);
    });
  });
}

void JobRunner::on_metrics(wire::MetricBatch& batch) {
  Attempt* attempt = find(from_wire(batch.fence()));
  if (attempt == nullptr || attempt->abandoned || batch.points_size() == 0) return;
  spooler_.append(attempt->fence, attempt->outbox.add_metrics(batch));
}

void JobRunner::on_log(const wire::TrainerLog& log) {
  Attempt* attempt = find(from_wire(log.fence()));
  if (attempt == nullptr || attempt->abandoned) return;
  attempt->log_lines += log.line();
  attempt->log_lines += '\n';
}

void JobRunner::on_crash(const TrainerCrash& crash) {
  for (const Fence& fence : crash.jobs) {
    Attempt* attempt = find(fence);
    if (attempt == nullptr) continue;
    if (attempt->abandoned) {
      retire(fence);
      continue;
    }
    if (attempt->leaving != Attempt::Leaving::no || attempt->disk_failed) {
      closed(*attempt);
      continue;
    }
    wire::Item item;
    item.mutable_failed()->set_error_class(crash.error_class);
    item.mutable_failed()->set_message(crash.message);
    item.mutable_failed()->set_alone(crash.jobs.size() == 1);
    upload_last(*attempt, item);  // behind the checkpoints that are being uploaded
  }
  end_idle_gangs();
}

void JobRunner::tell(Attempt& attempt, wire::Item& item) {
  std::uint64_t sequence = 0;
  SpoolRecord record = attempt.outbox.add_item(item, sequence);
  spooler_.append_item(attempt.fence, sequence, std::move(record.payload));
}

void JobRunner::fail(Attempt& attempt, const std::string& error_class, const std::string& message) {
  spdlog::error("attempt failed attempt={} class={} error=\"{}\"", describe(attempt.fence), error_class, message);
  wire::Item item;
  item.mutable_failed()->set_error_class(error_class);
  item.mutable_failed()->set_message(message);
  tell(attempt, item);
  attempt.phase = Attempt::Phase::ended;
  end_idle_gangs();
}

void JobRunner::on_durable(const Fence& fence, std::uint64_t sequence, const Status& status) {
  Attempt* attempt = find(fence);
  if (!status && status.error().code != Errc::resource_exhausted) {
    return fatal_(
        fmt::format("the spool cannot be written, nothing may be promised any more: {}", status.error().message));
  }
  if (attempt == nullptr) return;
  if (!status) {
    cache_.shrink(0);
    spdlog::error("disk full attempt={} error=\"{}\"", describe(fence), status.error().message);
  }
  // With a full disk the items go out from memory: the coordinator's disk holds them as soon as it acknowledges.
  attempt->outbox.durable(sequence);
  if (status || attempt->disk_failed || attempt->phase == Attempt::Phase::ended) return;
  attempt->disk_failed = true;
  if (attempt->phase == Attempt::Phase::training) host_of(attempt->device)->stop(attempt->fence, "drain");
  wire::Item item;
  item.mutable_failed()->set_error_class("disk");
  item.mutable_failed()->set_message(status.error().message);
  tell(*attempt, item);
}

}  // namespace fathom::worker
