#include "sweeps/select.hpp"

#include <algorithm>
#include <numeric>

namespace fathom::sweeps {
namespace {

struct Candidate {
  const Contender* contender = nullptr;
  std::vector<double> objectives;  // by place in the contender's jobs
  double value = 0;                // the need's stat of them
};

double stat_of(Stat stat, std::vector<double> values) {
  const auto count = values.size();
  if (stat == Stat::mean) return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(count);
  std::sort(values.begin(), values.end());
  if (stat == Stat::min) return values.front();
  if (stat == Stat::max) return values.back();
  return count % 2 == 1 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
}

bool qualifies(const Need& need, const JobResult& result) {
  if (!result.objective) return false;
  return result.outcome == Outcome::succeeded || (need.accept_stopped && result.outcome == Outcome::stopped);
}

// The contender's objectives where every job of it counts; nothing where one of them ended otherwise.
std::optional<Candidate> measure(const Need& need, const Contender& contender,
                                 const std::function<JobResult(JobIndex)>& result) {
  Candidate candidate{&contender, {}, 0};
  for (const JobIndex job : contender.jobs) {
    const JobResult one = result(job);
    if (!qualifies(need, one)) return std::nullopt;
    candidate.objectives.push_back(*one.objective);
  }
  if (candidate.objectives.empty()) return std::nullopt;
  candidate.value = stat_of(need.stat, candidate.objectives);
  return candidate;
}

bool better(Goal goal, double a, double b) { return goal == Goal::maximize ? a > b : a < b; }

// The job of the winner that becomes the input: the one of the asked seed, or the best of them.
JobIndex job_of(const Need& need, const Candidate& winner) {
  std::size_t place = std::min<std::size_t>(need.seed_place, winner.contender->jobs.size() - 1);
  if (need.best_seed) {
    place = 0;
    for (std::size_t i = 1; i < winner.objectives.size(); ++i) {
      if (better(need.goal, winner.objectives[i], winner.objectives[place])) place = i;
    }
  }
  return winner.contender->jobs[place];
}

}  // namespace

std::variant<Waiting, Chosen, Missing> select(const Need& need, const std::function<JobResult(JobIndex)>& result) {
  for (const Contender& contender : need.contenders) {
    for (const JobIndex job : contender.jobs) {
      if (result(job).outcome == Outcome::open) return Waiting{job};
    }
  }
  std::vector<Candidate> candidates;
  for (const Contender& contender : need.contenders) {
    if (auto candidate = measure(need, contender, result)) candidates.push_back(*std::move(candidate));
  }
  if (candidates.size() <= need.rank) {
    return Missing{"'" + need.name + "' needs model " + std::to_string(need.rank + 1) + " of " +
                   std::to_string(need.contenders.size()) + " settings, and " + std::to_string(candidates.size()) +
                   (need.accept_stopped ? " ended well" : " Succeeded") + " in every seed"};
  }
  // Stable: equal values keep the file's order.
  std::stable_sort(candidates.begin(), candidates.end(),
                   [&](const Candidate& a, const Candidate& b) { return better(need.goal, a.value, b.value); });
  const Candidate& winner = candidates[need.rank];
  return Chosen{job_of(need, winner), winner.value};
}

}  // namespace fathom::sweeps
