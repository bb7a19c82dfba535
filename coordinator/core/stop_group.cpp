#include "coordinator/core/stop_group.hpp"

#include <algorithm>

namespace fathom::core {
namespace {

template <class Entries>
auto find_in(Entries& entries, sweeps::JobIndex first) {
  const auto found = std::ranges::lower_bound(entries, first, {}, &Settings::Entry::first);
  return found != entries.end() && found->first == first ? found : entries.end();
}

}  // namespace

Settings::Entries::iterator Settings::find(sweeps::JobIndex first) { return find_in(entries_, first); }
Settings::Entries::const_iterator Settings::find(sweeps::JobIndex first) const { return find_in(entries_, first); }

void StopGroup::admit(std::vector<sweeps::JobIndex> all, const std::vector<sweeps::JobIndex>& setting_of) {
  jobs = std::move(all);
  std::ranges::stable_sort(jobs, {}, [&](sweeps::JobIndex job) { return setting_of[job]; });
  std::vector<sweeps::JobIndex> order;
  for (std::uint32_t from = 0, to = 0; from < jobs.size(); from = to) {
    const sweeps::JobIndex first = setting_of[jobs[from]];
    while (to < jobs.size() && setting_of[jobs[to]] == first) ++to;
    order.push_back(first);
    settings.add(first, {.from = from, .count = to - from});
  }
  stopper.admit(order);
}

}  // namespace fathom::core
