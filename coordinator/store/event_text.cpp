#include "coordinator/store/event_text.hpp"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "coordinator/core/event.pb.h"

namespace fathom::store {
namespace {

// "500 ms", "2 s", "1.5 s": short and without zeros that say nothing.
std::string seconds(std::int64_t ms) {
  return ms < 1000 ? fmt::format("{} ms", ms) : fmt::format("{} s", static_cast<double>(ms) / 1000);
}

std::string where(const event::Event& event) {
  switch (event.phase()) {
    case event::PAUSED:
      return "pauses";
    case event::READY:
      return "waits for a slot again";
    case event::BACKOFF:
      return "tries again";
    case event::STOPPED:
      return "stopped with what it had";
    case event::FAILED:
      return "failed";
    case event::CANCELLED:
      return "cancelled";
    case event::DIVERGED:
      return "diverged";
    default:
      return "goes on";
  }
}

std::string granted(const event::LeaseGranted& e, const EventNames& names) {
  return fmt::format("attempt {} given to {} on {}{}", e.fence().attempt(), names.worker(e.worker()), e.device(),
                     e.alone() ? ", alone" : "");
}

std::string expired(const event::Event& event) {
  const auto& e = event.lease_expired();
  std::string text =
      fmt::format("attempt {}: its worker was not heard of in time; {}", e.fence().attempt(), where(event));
  if (event.phase() == event::BACKOFF && e.delay_ms() > 0) text += " in " + seconds(e.delay_ms());
  return text;
}

template <class Chosen>
std::string resolved(const Chosen& e, const EventNames& names) {
  std::vector<std::string> inputs;
  for (const auto& input : e.inputs())
    inputs.push_back(fmt::format("{} ({:.4g})", names.job(input.job()), input.mean()));
  return fmt::format("inputs chosen: {}", fmt::join(inputs, ", "));
}

std::string started(const event::JobStarted& e) {
  if (e.resumed_epoch() == 0) return fmt::format("attempt {} runs on {}", e.fence().attempt(), e.device());
  return fmt::format("attempt {} runs on {}, resumed after epoch {}", e.fence().attempt(), e.device(),
                     e.resumed_epoch());
}

std::string backed_off(const event::JobBackedOff& e) {
  std::string text =
      fmt::format("attempt {} failed ({}): {}; tries again", e.fence().attempt(), e.error_class(), e.message());
  if (e.delay_ms() > 0) text += " in " + seconds(e.delay_ms());
  if (e.suspect()) text += ", alone";
  if (!e.counted()) text += "; not counted as a retry";
  return text;
}

std::string finished(const event::JobFinished& e) {
  if (!e.has_objective()) return "finished";
  return fmt::format("finished: {:.6g} after epoch {}, the best one", e.objective(), e.epoch());
}

std::string stopped(const event::Event& event) {
  const auto& e = event.job_stopped();
  std::string text = fmt::format("{} after epoch {}, step {}", where(event), e.epoch(), e.step());
  if (e.has_objective()) text += fmt::format("; best {:.6g} after epoch {}", e.objective(), e.best_epoch());
  return text;
}

std::string drawn(const event::PointDrawn& e) {
  return fmt::format("parameters drawn: {}, {}", e.point(),
                     e.modelled() ? fmt::format("from what {} settings came to", e.known()) : std::string("evenly"));
}

// "set chosen: rte, then mrpc (0.71), sst (0.73)"
std::string chosen(const event::SetChosen& e) {
  std::string text = "set chosen:";
  for (int i = 0; i < e.chosen_size(); ++i) {
    text += fmt::format("{} {}", i == 0 ? "" : i == 1 ? ", then" : ",", e.chosen(i));
    if (i > 0 && i <= e.means_size()) text += fmt::format(" ({:.4g})", e.means(i - 1));
  }
  return text;
}

// "behind with 0.61: goes on from the checkpoint of 0123456789abcdef (0.7) after epoch 4, with {"train.lr":0.0003},
// train.lr drawn anew"
std::string exploited(const event::Exploited& e, const EventNames& names) {
  std::string text =
      fmt::format("behind with {:.6g}: goes on from the checkpoint of {} ({:.6g}) after epoch {}, with {}", e.value(),
                  names.job(e.donor()), e.donor_value(), e.epoch(), e.parameters());
  if (e.resampled_size() != 0) text += fmt::format(", {} drawn anew", fmt::join(e.resampled(), " and "));
  return text;
}

std::string rung(const event::RungEntered& e) {
  return fmt::format("rung {} ({} {}) with {:.6g}: {}", e.rung(), e.by_step() ? "step" : "epoch", e.epoch(), e.value(),
                     e.held()         ? "its verdict waits"
                     : e.keep_going() ? "goes on"
                                      : "stops");
}

}  // namespace

std::string type_of(const event::Event& event) {
  const auto* payload = event::Event::descriptor()->FindOneofByName("payload");
  const auto* field = event.GetReflection()->GetOneofFieldDescriptor(event, payload);
  return field == nullptr ? "unknown" : field->name();
}

std::string text_of(const event::Event& event, const EventNames& names) {
  using E = event::Event;
  switch (event.payload_case()) {
    case E::kJobCancelRequested:
      return event.job_cancel_requested().cause();
    case E::kSweepCancelRequested:
      return event.sweep_cancel_requested().cause();
    case E::kJobsReopened:
      return event.jobs_reopened().cause();
    case E::kNeedsResolved:
      return resolved(event.needs_resolved(), names);
    case E::kNeedsBound:
      return resolved(event.needs_bound(), names);
    case E::kCheckpointTaken:
      return fmt::format("goes on after epoch {} from the checkpoint of {}", event.checkpoint_taken().epoch(),
                         names.job(event.checkpoint_taken().source()));
    case E::kJobSkipped:
      return (event.job_skipped().fail() ? "failed: " : "skipped: ") + event.job_skipped().why();
    case E::kJobReady:
      return "the wait is over: waits for a slot";
    case E::kLeaseGranted:
      return granted(event.lease_granted(), names);
    case E::kLeaseExpired:
      return expired(event);
    case E::kLeaseReleased:
      return fmt::format("given back: {}; {}", event.lease_released().why(), where(event));
    case E::kJobStarted:
      return started(event.job_started());
    case E::kReportRecorded:
      return fmt::format("epoch {}, step {}: {:.6g}", event.report_recorded().epoch(), event.report_recorded().step(),
                         event.report_recorded().objective());
    case E::kRungEntered:
      return rung(event.rung_entered());
    case E::kPointDrawn:
      return drawn(event.point_drawn());
    case E::kSetChosen:
      return chosen(event.set_chosen());
    case E::kExploited:
      return exploited(event.exploited(), names);
    case E::kStopWished:
      return fmt::format("asked to stop: {}", event.stop_wished().text());
    case E::kPauseWished:
      return event.pause_wished().text();
    case E::kJobResumed:
      return "its setting goes on: waits for a slot";
    case E::kCheckpointCommitted:
      return fmt::format("checkpoint after epoch {} stored{}", event.checkpoint_committed().epoch(),
                         event.checkpoint_committed().best() ? ", the best so far" : "");
    case E::kJobReused:
      return fmt::format("not trained: the result of {} is taken, made by generation {}",
                         names.job(event.job_reused().source()), event.job_reused().source_generation());
    case E::kReuseRefused:
      return fmt::format("its result was known and cannot be taken ({}): trained", event.reuse_refused().why());
    case E::kResultPinned:
      return event.result_pinned().pinned() ? "its result is taken however old it is" : "its result ages again";
    case E::kJobFinished:
      return finished(event.job_finished());
    case E::kJobFailed:
      return fmt::format("{} ({}): {}", where(event), event.job_failed().error_class(), event.job_failed().message());
    case E::kJobBackedOff:
      return backed_off(event.job_backed_off());
    case E::kJobStopped:
      return stopped(event);
    case E::kLateItem:
      return fmt::format("came too late and was not used: {} of attempt {} ({})", event.late_item().what(),
                         event.late_item().fence().attempt(), event.late_item().why());
    default:
      return type_of(event);
  }
}

}  // namespace fathom::store
