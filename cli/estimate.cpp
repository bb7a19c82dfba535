#include "cli/estimate.hpp"

#include <algorithm>
#include <cmath>
#include <queue>
#include <vector>

#include <fmt/format.h>

#include "data/table.hpp"
#include "sweeps/search/verdicts.hpp"

namespace fathom::cli {
namespace {

double number_of(const std::string& text) {
  try {
    std::size_t used = 0;
    const double value = std::stod(text, &used);
    return used == text.size() && std::isfinite(value) ? value : 0;
  } catch (const std::exception&) {
    return 0;  // an empty cell: the job did not get that far
  }
}

std::optional<double> seconds_of(const sweeps::Job& job, const Rates& rates) {
  if (job.epochs == 0) return rates.untrained;
  const auto task = rates.by_task.find(job.task);
  const std::optional<double> epoch = task != rates.by_task.end() ? std::optional(task->second) : rates.any;
  return epoch ? std::optional(*epoch * job.epochs) : std::nullopt;
}

}  // namespace

Result<Rates> read_rates(const std::string& jobs_csv) {
  FATHOM_ASSIGN(data::Table table, data::Table::open(jobs_csv, {}));
  FATHOM_ASSIGN(const std::size_t task, table.find({"task", 0}));
  FATHOM_ASSIGN(const std::size_t epochs, table.find({"epochs", 0}));
  FATHOM_ASSIGN(const std::size_t seconds, table.find({"seconds", 0}));
  std::map<std::string, std::vector<double>> by_task;
  std::vector<double> all, untrained;
  Rates out;
  data::Row row;
  while (true) {
    FATHOM_ASSIGN(const bool more, table.next(row));
    if (!more) break;
    const double took = number_of(row.fields[seconds]);
    if (took <= 0) continue;
    ++out.measured;
    const double count = number_of(row.fields[epochs]);
    if (count > 0) {
      by_task[row.fields[task]].push_back(took / count);
      all.push_back(took / count);
    } else {
      untrained.push_back(took);
    }
  }
  for (auto& [name, values] : by_task) out.by_task[name] = sweeps::median(values);
  if (!all.empty()) out.any = sweeps::median(all);
  if (!untrained.empty()) out.untrained = sweeps::median(untrained);
  return out;
}

// In the plan's order, which has inputs before their dependents: each job begins when a slot is free and the last job
// that it looks at has ended.
Estimate estimate(const sweeps::Plan& plan, const Rates& rates, std::uint32_t slots) {
  Estimate out;
  std::priority_queue<double, std::vector<double>, std::greater<>> free;
  const std::uint32_t most = plan.limits.concurrency == 0 ? slots : std::min(slots, plan.limits.concurrency);
  for (std::uint32_t i = 0; i < std::max(most, 1U); ++i) free.push(0);
  std::vector<double> ends(plan.jobs.size(), 0);
  for (std::size_t i = 0; i < plan.jobs.size(); ++i) {
    const auto seconds = seconds_of(plan.jobs[i], rates);
    out.unknown += seconds ? 0 : 1;
    double begin = free.top();
    free.pop();
    for (const sweeps::Need& need : plan.jobs[i].needs) {
      for (const sweeps::Contender& contender : need.contenders) {
        for (const sweeps::JobIndex from : contender.jobs) begin = std::max(begin, ends[from]);
      }
    }
    ends[i] = begin + seconds.value_or(0);
    free.push(ends[i]);
    out.slot_seconds += seconds.value_or(0);
    out.seconds = std::max(out.seconds, ends[i]);
  }
  return out;
}

std::string time_text(double seconds) {
  const auto whole = static_cast<long long>(std::llround(seconds));
  if (whole < 60) return fmt::format("{} s", whole);
  if (whole < 3600) return fmt::format("{} min {} s", whole / 60, whole % 60);
  return fmt::format("{} h {} min", whole / 3600, whole % 3600 / 60);
}

}  // namespace fathom::cli
