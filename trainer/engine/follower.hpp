// Ranks 1, 2, … of a gang compute what rank 0 computes and say nothing: events are rank 0's.
#pragma once

#include <memory>
#include <string>

#include <spdlog/spdlog.h>

#include "trainer/engine/events.hpp"
#include "trainer/parallel/gang.hpp"

namespace fathom::trainer {

struct JobEnd {
  bool finished = false;
  bool failed = false;
};

// Remembers how the job ended; a failure goes to the process's log, since only this rank may have it.
class FollowerEvents final : public JobEvents {
 public:
  // `end` outlives it.
  FollowerEvents(const Gang& gang, JobEnd& end) : rank_(gang.rank()), end_(end) {}

  void started(const std::string&, const std::string&, std::uint32_t) override {}
  void report(std::uint32_t, std::uint64_t, double) override {}
  void checkpoint(std::uint32_t, std::uint64_t, const std::string&, double, bool) override {}
  void metric(const MetricPoint&) override {}
  void log(const std::string&) override {}
  void finished(const std::string&) override { end_.finished = true; }
  void stopped(std::uint32_t, std::uint64_t, const std::string&) override {}
  void failed(const std::string& error_class, const std::string& message, std::uint64_t step) override {
    end_.failed = true;
    spdlog::error("rank {} failed class={} step={} why=\"{}\"", rank_, error_class, step, message);
  }

 private:
  const int rank_;
  JobEnd& end_;
};

}  // namespace fathom::trainer
