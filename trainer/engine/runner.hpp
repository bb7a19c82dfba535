// The jobs of one trainer, taking turns pass by pass in the order they came. A job that fails ends alone.
// Thread: everything on the compute thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "common/ids.hpp"
#include "trainer/engine/job.hpp"

namespace fathom::trainer {

class Runner {
 public:
  explicit Runner(Resources& resources) : resources_(resources) {}
  ~Runner();
  Runner(const Runner&) = delete;
  Runner& operator=(const Runner&) = delete;

  // Takes the job in; a job that cannot be made reports Failed at once. A fence that runs already is ignored: the
  // worker may repeat itself.
  void add(const Fence& fence, const JobRequest& request, std::unique_ptr<JobEvents> events);

  // keep_best: write the best epoch's final tree and report Stopped with its result (search, cancel). Otherwise report
  // a checkpoint of its last pass and Stopped without a result: someone else continues it. Unknown fences are ignored.
  void stop(const Fence& fence, bool keep_best);

  // Writes a checkpoint of every job's last pass and forgets the jobs, without an item that ends them.
  void suspend_all();

  // One pass of each job. Returns false when there is no job.
  bool turn();

  [[nodiscard]] std::vector<Fence> running() const;
  // Passes made since the start, over all jobs: grows as long as anything moves.
  [[nodiscard]] std::uint64_t passes() const { return passes_; }

 private:
  struct Entry {
    Fence fence;
    std::unique_ptr<JobEvents> events;  // before job: the job refers to it
    std::unique_ptr<Job> job;
  };
  // Runs `pass`; turns an exception into Failed. Returns whether the job goes on.
  bool guarded(Entry& entry, const std::function<bool()>& pass);

  Resources& resources_;
  std::vector<Entry> entries_;
  std::uint64_t passes_ = 0;
};

}  // namespace fathom::trainer
