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

std::optional<double> epoch_of(const sweeps::Job& job, const Rates& rates) {
  if (const auto found = rates.by_drop.find({job.task, job.drop}); found != rates.by_drop.end()) return found->second;
  const auto task = rates.by_task.find(job.task);
  return task != rates.by_task.end() ? std::optional(task->second) : rates.any;
}

std::optional<double> seconds_of(const sweeps::Job& job, const Rates& rates) {
  if (job.epochs == 0) return rates.untrained;
  const std::optional<double> epoch = epoch_of(job, rates);
  return epoch ? std::optional(*epoch * job.epochs + rates.overhead) : std::nullopt;
}

// A column that older tables may lack.
std::optional<std::size_t> column(const data::Table& table, const char* name) {
  const auto found = table.find({name, 0});
  return found ? std::optional(*found) : std::nullopt;
}

double cell(const data::Row& row, std::optional<std::size_t> at) { return at ? number_of(row.fields[*at]) : 0; }

}  // namespace

Result<Rates> read_rates(const std::string& jobs_csv) {
  FATHOM_ASSIGN(data::Table table, data::Table::open(jobs_csv, {}));
  FATHOM_ASSIGN(const std::size_t task, table.find({"task", 0}));
  FATHOM_ASSIGN(const std::size_t epochs, table.find({"epochs", 0}));
  FATHOM_ASSIGN(const std::size_t seconds, table.find({"seconds", 0}));
  const auto drop = column(table, "drop"), steps = column(table, "steps"), pace = column(table, "steps_per_s");
  std::map<std::pair<std::string, std::string>, std::vector<double>> by_drop;
  std::map<std::string, std::vector<double>> by_task;
  std::vector<double> all, untrained, overhead;
  Rates out;
  data::Row row;
  while (true) {
    FATHOM_ASSIGN(const bool more, table.next(row));
    if (!more) break;
    const double took = number_of(row.fields[seconds]);
    if (took <= 0) continue;
    ++out.measured;
    const double count = number_of(row.fields[epochs]);
    if (count <= 0) {
      untrained.push_back(took);
      continue;
    }
    const double per_s = cell(row, pace), training = per_s > 0 ? cell(row, steps) / per_s : 0;
    const double epoch = (training > 0 ? std::min(training, took) : took) / count;
    if (training > 0) overhead.push_back(took - std::min(training, took));
    by_task[row.fields[task]].push_back(epoch);
    if (drop) by_drop[{row.fields[task], row.fields[*drop]}].push_back(epoch);
    all.push_back(epoch);
  }
  for (auto& [name, values] : by_task) out.by_task[name] = sweeps::median(values);
  for (auto& [name, values] : by_drop) out.by_drop[name] = sweeps::median(values);
  if (!all.empty()) out.any = sweeps::median(all);
  if (!untrained.empty()) out.untrained = sweeps::median(untrained);
  if (!overhead.empty()) out.overhead = sweeps::median(overhead);
  return out;
}

// In the plan's order, which has inputs before their dependents: each job begins when a slot is free and the last job
// that it looks at has ended.
Estimate estimate(const sweeps::Plan& plan, const Rates& rates, std::uint32_t slots,
                  const std::set<std::string>& known) {
  Estimate out;
  std::priority_queue<double, std::vector<double>, std::greater<>> free;
  const std::uint32_t most = plan.limits.concurrency == 0 ? slots : std::min(slots, plan.limits.concurrency);
  for (std::uint32_t i = 0; i < std::max(most, 1U); ++i) free.push(0);
  std::vector<double> ends(plan.jobs.size(), 0);
  for (std::size_t i = 0; i < plan.jobs.size(); ++i) {
    if (known.contains(plan.jobs[i].id.text())) continue;
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
