#include "cli/reuse.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/client.hpp"

namespace fathom::cli {
namespace {

using nlohmann::json;

constexpr Millis kPatience{5'000};

Result<std::set<std::string>> ask(const Context& context, const sweeps::Plan& plan) {
  FATHOM_ASSIGN(Client client, Client::open(context, kPatience));
  json ids = json::array();
  for (const sweeps::Job& job : plan.jobs) ids.push_back(job.id);
  FATHOM_ASSIGN(const json answer, client.post("/api/v1/results/known", {{"ids", std::move(ids)}}));
  return answer.value("known", std::set<std::string>());
}

}  // namespace

Reuse ask_reuse(const Context& context, const sweeps::Plan& plan) {
  if (!plan.cache.use) return {0, "cache: false", {}};
  const auto known = ask(context, plan);
  return known ? Reuse{known->size(), {}, *known} : Reuse{std::nullopt, known.error().message, {}};
}

std::string describe(const Reuse& reuse, const sweeps::Plan& plan) {
  if (!reuse.known) return fmt::format("which jobs have a result already is not known: {}", reuse.why);
  if (!plan.cache.use) return "every job is trained (cache: false)";
  return fmt::format("{} of {} jobs have a result already, taken if model and data are what they were", *reuse.known,
                     plan.jobs.size());
}

}  // namespace fathom::cli
