// What every optimizer step of a job was, for comparison with other implementations and other machines: a file of JSON
// lines (docs/cli.md "train --trace"). Curves are thinned out for display; this is not.
// Thread: compute thread.
#pragma once

#include <filesystem>
#include <fstream>

#include "common/result.hpp"
#include "trainer/engine/wire_events.hpp"

namespace fathom::trainer {

class Trace {
 public:
  // Replaces what was there. Until it is called, writing does nothing.
  Status open(const std::filesystem::path& file);
  // One line, handed to the system at once. Numbers with all their digits; NaN and Inf are null.
  void write(const StepRecord& record);
  // Error when any line could not be written.
  Status close();

 private:
  std::filesystem::path file_;
  std::ofstream out_;
};

// A job's events as frames, its steps also as a trace. `trace` outlives it.
class TracedEvents final : public WireEvents {
 public:
  TracedEvents(const Fence& fence, std::string device, Send send, Trace& trace)
      : WireEvents(fence, std::move(device), std::move(send)), trace_(trace) {}
  void step(const StepRecord& record) override { trace_.write(record); }

 private:
  Trace& trace_;
};

}  // namespace fathom::trainer
