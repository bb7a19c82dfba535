// JobRunner's other half: what trainers report, and how it gets on disk and to the coordinator's artifact store.
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "common/protocol/fences.hpp"
#include "common/protocol/wire.pb.h"
#include "worker/job_runner.hpp"

namespace fathom::worker {

void JobRunner::on_item(wire::Item& item) {
  Attempt* attempt = find(from_wire(item.fence()));
  if (attempt == nullptr || attempt->phase != Attempt::Phase::training) return;
  const bool last = item.has_finished() || item.has_failed() || item.has_stopped();
  if (attempt->abandoned) {
    if (last) retire(attempt->fence);
    return;
  }
  if (item.has_checkpoint()) return upload(*attempt, item, false);
  if (!last) return tell(*attempt, item);
  // Stopped after too long without contact is no news: another attempt has gone on from the checkpoint.
  const bool lost = attempt->leaving == Attempt::Leaving::lost;
  if (attempt->disk_failed || (lost && !item.has_finished()))
    closed(*attempt);
  else
    upload_last(*attempt, item);
  end_idle_gangs();
}

void JobRunner::upload(Attempt& attempt, const wire::Item& item, bool last) {
  transfers_.upload(item, attempt.folder, attempt.cancelled,
                    [this, fence = attempt.fence, last](wire::Item& done, const Status& status) {
                      uploaded(fence, done, status, last);
                    });
}

void JobRunner::upload_last(Attempt& attempt, const wire::Item& item) {
  attempt.phase = Attempt::Phase::closing;
  upload(attempt, item, true);
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
  transfers_.after_uploads([this, fence = attempt.fence] {
    Attempt* later = find(fence);
    if (later == nullptr) return;
    if (later->abandoned) return retire(fence);
    // A stop that was asked for wants a result, which this attempt cannot give: its lease runs out instead.
    if (later->leaving == Attempt::Leaving::drain && !later->stop_asked) hand_back(*later);
    later->phase = Attempt::Phase::ended;
    retire_if_done(fence);
  });
}

void JobRunner::on_metrics(wire::MetricBatch& batch) {
  Attempt* attempt = find(from_wire(batch.fence()));
  if (attempt == nullptr || attempt->abandoned || batch.points_size() == 0) return;
  spooler_->append(attempt->fence, attempt->outbox.add_metrics(batch));
  speaks(*attempt);
}

void JobRunner::on_log(const wire::TrainerLog& log) {
  Attempt* attempt = find(from_wire(log.fence()));
  if (attempt == nullptr || attempt->abandoned) return;
  attempt->log_lines += log.line();
  attempt->log_lines += '\n';
  speaks(*attempt);
}

void JobRunner::on_crash(const TrainerCrash& crash) {
  bool watchdog = crash.watchdog;  // told once, whatever shared the trainer
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
    item.mutable_failed()->set_watchdog(std::exchange(watchdog, false));
    upload_last(*attempt, item);  // behind the checkpoints that are being uploaded
  }
  end_idle_gangs();
}

void JobRunner::tell(Attempt& attempt, wire::Item& item) {
  std::uint64_t sequence = 0;
  SpoolRecord record = attempt.outbox.add_item(item, sequence);
  const TrainerHost* host = host_of(attempt.device);
  spooler_->append_item(attempt.fence, sequence, std::move(record.payload), host == nullptr || !host->busy());
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
    transfers_.shrink();
    spdlog::error("disk full attempt={} error=\"{}\"", describe(fence), status.error().message);
  }
  // With a full disk the items go out from memory: the coordinator's disk holds them as soon as it acknowledges.
  attempt->outbox.durable(sequence);
  speaks(*attempt);
  if (status || attempt->disk_failed || attempt->phase == Attempt::Phase::ended) return;
  attempt->disk_failed = true;
  if (attempt->phase == Attempt::Phase::training) host_of(attempt->device)->stop(attempt->fence, "drain");
  wire::Item item;
  item.mutable_failed()->set_error_class("disk");
  item.mutable_failed()->set_message(status.error().message);
  tell(*attempt, item);
}

}  // namespace fathom::worker
