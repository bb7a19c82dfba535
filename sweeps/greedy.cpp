#include "sweeps/greedy.hpp"

#include <algorithm>

#include <nlohmann/json.hpp>

namespace fathom::sweeps {

using nlohmann::json;

std::variant<Waiting, ChosenSet, Missing> choose_set(const Job& open,
                                                     const std::function<JobResult(JobIndex)>& result) {
  const GreedySet& set = *open.greedy;
  std::vector<std::uint32_t> left;  // places in the pool, in file order
  for (std::uint32_t place = 0; place < set.pool; ++place) {
    if (place != set.own) left.push_back(place);
  }
  std::vector<std::uint32_t> taken = {set.own};
  const auto take = [&](std::size_t of_left) {
    taken.push_back(left[of_left]);
    left.erase(left.begin() + static_cast<std::ptrdiff_t>(of_left));
  };
  ChosenSet out;
  for (std::size_t i = set.pool; i < open.needs.size(); ++i) {
    const Need& choice = open.needs[i];
    auto winner = select(choice, result);
    if (const auto* waiting = std::get_if<Waiting>(&winner)) return *waiting;
    if (auto* missing = std::get_if<Missing>(&winner)) return std::move(*missing);
    const auto& won = std::get<Chosen>(winner);
    const auto contender = std::ranges::find_if(choice.contenders, [&](const Contender& one) {
      return std::ranges::find(one.jobs, won.job) != one.jobs.end();
    });
    out.means.push_back(won.mean);
    take(static_cast<std::size_t>(contender - choice.contenders.begin()));
  }
  if (set.tries) take(*set.tries);
  for (const std::uint32_t place : taken) out.chosen.push_back(open.needs[place].name);
  std::ranges::sort(taken);
  for (const std::uint32_t place : taken) out.members.push_back(open.needs[place].name);
  return out;
}

json settings_with_set(json settings, const std::vector<std::string>& members) {
  settings.at("fusion")["set"] = members;
  const json asked = settings.at("from");
  json from = json::array();
  for (const std::string& member : members) {
    for (const json& one : asked) {
      if (one.at("name") == member) from.push_back(one);
    }
  }
  settings["from"] = std::move(from);
  return settings;
}

Job with_set(const Job& open, const std::vector<std::string>& members) {
  Job out = open;
  out.greedy.reset();
  std::string set;
  out.needs.clear();
  for (const std::string& member : members) {
    set += (set.empty() ? "" : "+") + member;
    for (std::uint32_t place = 0; place < open.greedy->pool; ++place) {
      if (open.needs[place].name == member) out.needs.push_back(open.needs[place]);
    }
  }
  out.set = std::move(set);
  out.settings = JobSettings(settings_with_set(open.settings.whole(), members));
  return out;
}

std::string choice_name(std::uint32_t place) { return "choice " + std::to_string(place); }

std::size_t members_of(const Job& fusion) {
  if (fusion.greedy) return 1 + fusion.needs.size() - fusion.greedy->pool + (fusion.greedy->tries ? 1 : 0);
  return static_cast<std::size_t>(std::ranges::count(fusion.set.str(), '+')) + 1;
}

}  // namespace fathom::sweeps
