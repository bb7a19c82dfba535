#include "trainer/engine/wire_events.hpp"

#include <cmath>

#include "common/clock.hpp"
#include "common/crash_point.hpp"
#include "common/protocol/fences.hpp"

namespace fathom::trainer {
namespace {

constexpr int kMaxGathered = 256;  // points in one batch
constexpr auto kGatherFor = std::chrono::seconds(1);

}  // namespace

WireEvents::WireEvents(const Fence& fence, std::string device, Send send)
    : fence_(fence), device_(std::move(device)), send_(std::move(send)) {}

void WireEvents::send_item(const std::function<void(wire::Item&)>& fill) {
  // A curve must not end after its job: points go out before the item that may be the last.
  flush_metrics();
  wire::Envelope envelope;
  auto* item = envelope.mutable_items()->add_items();
  *item->mutable_fence() = to_wire(fence_);
  fill(*item);
  send_(envelope);
}

void WireEvents::flush_metrics() {
  flushed_ = std::chrono::steady_clock::now();
  if (metrics_.points_size() == 0) return;
  *metrics_.mutable_fence() = to_wire(fence_);
  metrics_.set_first_sequence(next_metric_);
  // Numbered per attempt from 1; the coordinator stores a repeated point once.
  next_metric_ += static_cast<std::uint64_t>(metrics_.points_size());
  wire::Envelope envelope;
  // Swapped, not copied; the gathered batch starts empty again.
  envelope.mutable_metrics()->Swap(&metrics_);
  metrics_.Clear();
  send_(envelope);
}

void WireEvents::started(const std::string& base_sha256, const std::string& data_sha256, std::uint32_t resumed_epoch) {
  send_item([&](wire::Item& item) {
    auto* started = item.mutable_started();
    started->set_device(device_);
    started->set_base_sha256(base_sha256);
    started->set_data_sha256(data_sha256);
    started->set_resumed_epoch(resumed_epoch);
  });
}

void WireEvents::report(std::uint32_t epoch, std::uint64_t step, double objective) {
  send_item([&](wire::Item& item) {
    item.mutable_report()->set_epoch(epoch);
    item.mutable_report()->set_step(step);
    item.mutable_report()->set_objective(objective);
  });
}

void WireEvents::checkpoint(std::uint32_t epoch, std::uint64_t step, const std::string& path, double objective,
                            bool best) {
  send_item([&](wire::Item& item) {
    auto* checkpoint = item.mutable_checkpoint();
    checkpoint->set_epoch(epoch);
    checkpoint->set_step(step);
    checkpoint->set_path(path);
    checkpoint->set_objective(objective);
    checkpoint->set_best(best);
  });
}

void WireEvents::metric(const MetricPoint& point) {
  // Curves are stored as plain numbers; a diverged value is told by Failed instead.
  if (!std::isfinite(point.value)) return;
  auto* sent = metrics_.add_points();
  sent->set_name(point.name);
  sent->set_step(point.step);
  sent->set_value(point.value);
  sent->set_depth(point.depth);
  sent->set_wall_ms(SystemClock().wall().time_since_epoch().count());
  const bool waited = std::chrono::steady_clock::now() - flushed_ >= kGatherFor;
  if (waited || metrics_.points_size() >= kMaxGathered) flush_metrics();
}

void WireEvents::log(const std::string& line) {
  wire::Envelope envelope;
  *envelope.mutable_trainer_log()->mutable_fence() = to_wire(fence_);
  envelope.mutable_trainer_log()->set_line(line);
  send_(envelope);
}

void WireEvents::finished(const std::string& result) {
  crash_point("final.written");
  send_item([&](wire::Item& item) { item.mutable_finished()->set_result(result); });
}

void WireEvents::stopped(std::uint32_t epoch, std::uint64_t step, const std::string& result) {
  send_item([&](wire::Item& item) {
    item.mutable_stopped()->set_epoch(epoch);
    item.mutable_stopped()->set_step(step);
    item.mutable_stopped()->set_result(result);
  });
}

void WireEvents::failed(const std::string& error_class, const std::string& message, std::uint64_t step) {
  send_item([&](wire::Item& item) {
    item.mutable_failed()->set_error_class(error_class);
    item.mutable_failed()->set_message(message);
    item.mutable_failed()->set_step(step);
  });
}

}  // namespace fathom::trainer
