#include "tests/sim/people.hpp"

#include <fmt/format.h>

#include <map>
#include <stdexcept>
#include <utility>

#include "common/canonical_json.hpp"
#include "sweeps/sweep.hpp"
#include "tests/sim/sim_coordinator.hpp"
#include "tests/sim/world.hpp"

namespace fathom::sim {
namespace {

// 20 jobs of 10 epochs each: 8 adapters, 8 more that a search compares (each sweep by another method), 2 fusions of
// both tasks' best, 2 evaluations.
constexpr const char* kSweep = R"(version: 1
name: sweep-{0}
model: {{path: models/minilm}}
tasks:
  mr:  {{path: data/mr}}
  sms: {{path: data/sms}}
adapter: {{config: seq_bn}}
train: {{lr: 1e-3, epochs: 10, batch: 32}}
seeds: [{3}]
retry: {{max: 3}}
stages:
  adapter: {{drop: {{standard: true}}, parameters: {{lr: [1e-3, 2e-3, 3e-3, 4e-3]}}}}
  search:
    kind: adapter
    drop: {{standard: true}}
    parameters: {{lr: [1e-4, 2e-4, 3e-4, 4e-4]}}
    stop: {{{2}, eta: 2, min: 1}}
  fusion:
    needs: {{from: adapter}}
    sets: [all]
  evaluate: {{from: fusion, depths: [0]}}
{1})";

// Of the third sweep: an undisturbed job takes 9 s, one that was held up passes its wall.
constexpr const char* kLimits = "limits: {concurrency: 6, job_wall: 10s, wall: 2m, failed: 6}\n";

// Parsed and expanded once for all worlds: neither changes. With `again` the second asks for the adapters and fusions
// of the first once more.
const core::SubmitSweep& sweep_of(std::uint32_t number, bool again) {
  static std::map<std::pair<std::uint32_t, bool>, core::SubmitSweep> made;
  const auto found = made.find({number, again});
  if (found != made.end()) return found->second;
  const char* method = number == 1   ? "method: asha"
                       : number == 2 ? "method: asha, variant: promote"
                                     : "method: halving";
  const std::string yaml =
      fmt::format(kSweep, number, number == 3 ? kLimits : "", method, again && number == 2 ? 1 : number);
  const sweeps::ParseResult parsed = sweeps::parse(yaml, {});
  if (!parsed.errors.empty()) throw std::logic_error(sweeps::render(parsed.errors.front()));
  auto plan = sweeps::expand(parsed.sweep);
  if (!plan) throw std::logic_error(plan.error().message);
  core::SubmitSweep command;
  command.resolved = canonical_json(parsed.sweep.resolved);
  command.yaml = yaml;
  command.idempotency_key = "key-" + std::to_string(number);
  command.expander_version = sweeps::kExpanderVersion;
  command.plan = std::make_shared<const sweeps::Plan>(std::move(*plan));
  return made.emplace(std::pair(number, again), std::move(command)).first->second;
}

}  // namespace

void People::submit(std::uint32_t number) {
  auto answered = std::make_shared<bool>(false);
  world_.coordinator->apply(sweep_of(number, world_.options.seed % 3 == 0),
                            [this, answered, number](const Result<api::Applied>& applied) {
                              if (*answered || !applied) return;
                              *answered = true;
                              const auto& told = std::get<core::Submitted>(applied->answer);
                              world_.say("people", "sweep " + told.id + " is acknowledged");
                              world_.checker.submitted(told.id, told.jobs);
                              ++acknowledged_;
                              (void)number;
                            });
  world_.scheduler.after(Millis(3000), always_, [this, answered, number] {
    if (!*answered) submit(number);
    *answered = true;  // what comes late is not heard any more
  });
}

void People::cancel(core::Command command, JobNumber job, SweepNumber sweep) {
  world_.coordinator->apply(std::move(command), [this, job, sweep](const Result<api::Applied>& applied) {
    if (!applied) return;
    world_.say("people", "the cancel is acknowledged");
    world_.checker.cancelled(job, sweep, applied->seq);
  });
}

void People::cancel_a_job() {
  const core::State* state = world_.coordinator->state();
  if (state == nullptr || state->jobs() == 0) return;
  JobNumber job(1 + world_.random.below(state->jobs()));
  if (!state->leases.empty() && world_.random.chance(70)) {  // one that is in somebody's hands
    auto lease = state->leases.begin();
    std::advance(lease, static_cast<std::ptrdiff_t>(world_.random.below(state->leases.size())));
    job = lease->second.fence.job;
  }
  world_.say("people", "cancel job " + std::to_string(job.value()));
  cancel(core::CancelJob{job}, job, {});
}

void People::cancel_a_sweep() {
  const core::State* state = world_.coordinator->state();
  if (state == nullptr || state->sweeps.empty()) return;
  const SweepNumber sweep(static_cast<std::uint32_t>(1 + world_.random.below(state->sweeps.size())));
  world_.say("people", "cancel sweep " + std::to_string(sweep.value()));
  cancel(core::CancelSweep{sweep, "cancelled by a person", world_.random.chance(40)}, {}, sweep);
}

}  // namespace fathom::sim
