#include "trainer/engine/runner.hpp"

#include <algorithm>

#include "trainer/engine/errors.hpp"

namespace fathom::trainer {

Runner::~Runner() = default;

bool Runner::guarded(Entry& entry, const std::function<bool()>& pass) {
  try {
    // Whatever a job throws ends here: its neighbours must not notice.
    return pass();
  } catch (...) {
    const auto failure = failure_of(std::current_exception());
    // In the job's log as well, beside what it said before.
    entry.events->log(std::string(name_of(failure.error_class)) + ": " + failure.message);
    entry.events->failed(name_of(failure.error_class), failure.message, entry.job ? entry.job->steps() : 0);
    return false;
  }
}

void Runner::add(const Fence& fence, const JobRequest& request, std::unique_ptr<JobEvents> events) {
  const auto same = [&](const Entry& entry) { return entry.fence == fence; };
  if (std::any_of(entries_.begin(), entries_.end(), same)) return;
  Entry entry{fence, std::move(events), nullptr};
  // A job that cannot even be made is a failed job, not a failed trainer.
  const bool made = guarded(entry, [&] {
    entry.job = make_job(request, resources_, *entry.events);
    return true;
  });
  if (made) entries_.push_back(std::move(entry));
}

void Runner::stop(const Fence& fence, bool keep_best) {
  const auto found =
      std::find_if(entries_.begin(), entries_.end(), [&](const Entry& entry) { return entry.fence == fence; });
  if (found == entries_.end()) return;
  if (keep_best) {
    guarded(*found, [&] {
      found->job->stop();
      return false;
    });
  } else {
    guarded(*found, [&] {
      found->job->suspend();
      found->events->stopped(0, found->job->steps(), "");
      return false;
    });
  }
  entries_.erase(found);
}

void Runner::suspend_all() {
  for (auto& entry : entries_) {
    guarded(entry, [&] {
      entry.job->suspend();
      return false;
    });
  }
  entries_.clear();
}

bool Runner::turn() {
  if (entries_.empty()) return false;
  // One pass each, in the order they came: no job waits longer than one pass of every other.
  std::erase_if(entries_, [this](Entry& entry) {
    ++passes_;
    return !guarded(entry, [&] { return entry.job->advance(); });
  });
  return true;
}

std::vector<Fence> Runner::running() const {
  std::vector<Fence> fences;
  for (const auto& entry : entries_) fences.push_back(entry.fence);
  return fences;
}

}  // namespace fathom::trainer
