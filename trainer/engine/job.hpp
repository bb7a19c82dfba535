// A job as a step machine: each call of advance() makes one pass (one optimizer step or one batch of an evaluation), so
// that many jobs take turns on one compute thread. A job owns its random streams and tensors; nothing that a neighbour
// does reaches them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>

#include <nlohmann/json_fwd.hpp>

#include "trainer/engine/events.hpp"

namespace fathom::trainer {

class Resources;

class Job {
 public:
  virtual ~Job() = default;

  // One pass. False: the job has ended and said so through its events. Throws when it fails (the runner reports it);
  // it must not be called again after either.
  virtual bool advance() = 0;

  // Ends the job with what it has: writes final/ of the best epoch, if one was measured, and reports Stopped. Call
  // between passes; advance() must not be called afterwards. Throws like advance().
  virtual void stop() = 0;

  // Ends the job so that another process can go on from here: reports a resumable checkpoint of this very pass, if
  // there is anything to save, and nothing else. Call between passes, last. Throws like advance().
  virtual void suspend() = 0;

  // Optimizer steps so far, for failure messages and progress.
  [[nodiscard]] virtual std::uint64_t steps() const = 0;
};

// What a job is made of. `folder` is the job's own (inputs/ and resume.ckpt inside). `events` outlives the job.
struct JobRequest {
  std::string settings;  // JSON
  std::string inputs;    // JSON; may be empty
  std::filesystem::path folder;
};

// Cheap: reads only the two JSON texts. Models and data are opened by the first advance(). Throws JobError config.
std::unique_ptr<Job> make_job(const JobRequest& request, Resources& resources, JobEvents& events);

}  // namespace fathom::trainer
