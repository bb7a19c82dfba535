// A job's events as frames: items, metric batches and log lines under the job's fence. Metric points are gathered for
// up to a second so that a short step does not cost a frame; an item first sends what is gathered. Thread: compute
// thread, like every JobEvents. `send` must be callable there.
#pragma once

#include <chrono>
#include <functional>
#include <string>

#include "common/ids.hpp"
#include "common/protocol/wire.pb.h"
#include "trainer/engine/events.hpp"

namespace fathom::trainer {

class WireEvents : public JobEvents {
 public:
  using Send = std::function<void(const wire::Envelope&)>;
  WireEvents(const Fence& fence, std::string device, Send send);

  void started(const std::string& base_sha256, const std::string& data_sha256, std::uint32_t resumed_epoch) override;
  void report(std::uint32_t epoch, std::uint64_t step, double objective) override;
  void checkpoint(std::uint32_t epoch, std::uint64_t step, const std::string& path, double objective,
                  bool best) override;
  void metric(const MetricPoint& point) override;
  void log(const std::string& line) override;
  void finished(const std::string& result) override;
  void stopped(std::uint32_t epoch, std::uint64_t step, const std::string& result) override;
  void failed(const std::string& error_class, const std::string& message, std::uint64_t step) override;

 private:
  void flush_metrics();
  // Sends one item, filled in by `fill`.
  void send_item(const std::function<void(wire::Item&)>& fill);

  const Fence fence_;
  const std::string device_;
  const Send send_;
  wire::MetricBatch metrics_;      // gathered, not sent
  std::uint64_t next_metric_ = 1;  // sequence of the next point of this attempt
  std::chrono::steady_clock::time_point flushed_ = std::chrono::steady_clock::now();
};

}  // namespace fathom::trainer
