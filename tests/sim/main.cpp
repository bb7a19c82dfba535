// fathom_sim: runs simulated worlds. See docs/reliability.md "Simulation".
//   fathom_sim [--seeds N] [--first SEED]      N worlds; the first broken ones are named, with what is wrong
//   fathom_sim --seed SEED [--history]         one world, told step by step
//   fathom_sim --planted BUG [--seeds N]       only in fathom_sim_planted: until the bug is found
// Exit status: 0 nothing broken (a planted bug: found); 1 otherwise. The last line counts worlds.
#include <spdlog/sinks/null_sink.h>
#include <spdlog/spdlog.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <ctime>
#include <optional>

#include <fmt/format.h>

#include "common/planted.hpp"
#include "tests/sim/world.hpp"

namespace fathom::sim {
namespace {

struct Arguments {
  std::uint64_t first = 1, seeds = 100;
  std::optional<std::uint64_t> seed;
  bool history = false;
  std::string planted;
};

double cpu_seconds() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

void quiet_log(bool history) {
  if (history) {
    spdlog::set_pattern("                        | %v");
    return;
  }
  spdlog::set_default_logger(std::make_shared<spdlog::logger>("sim", std::make_shared<spdlog::sinks::null_sink_mt>()));
  spdlog::set_level(spdlog::level::off);
}

WorldReport run_world(std::uint64_t seed, bool history) {
  WorldOptions options;
  options.seed = seed;
  if (seed % 2 == 0) options.slots = 1;  // more waits in the workers
  options.history = history;
  return World(options).run();
}

void tell_broken(std::uint64_t seed, const WorldReport& report) {
  fmt::print("seed {} is broken after {:.3f} virtual seconds, {} steps:\n", seed,
             static_cast<double>(report.time.count()) / 1000, report.steps);
  for (std::size_t i = 0; i < std::min<std::size_t>(report.broken.size(), 5); ++i)
    fmt::print("  {}\n", report.broken[i]);
  fmt::print("  again, step by step: fathom_sim --seed {} --history\n", seed);
}

int run_many(const Arguments& arguments) {
  Coverage coverage;
  std::uint64_t failed = 0, events = 0, checks = 0, faults = 0;
  Millis time{0};
  const double begin = cpu_seconds();
  for (std::uint64_t seed = arguments.first; seed < arguments.first + arguments.seeds; ++seed) {
    const WorldReport report = run_world(seed, false);
    coverage.add(report.coverage);
    events += report.events;
    checks += report.checks;
    faults += report.faults;
    time += report.time;
    if (report.broken.empty()) continue;
    if (++failed <= 5) tell_broken(seed, report);
  }
  const double cpu = cpu_seconds() - begin;
  fmt::print("{}", coverage.table());
  fmt::print(
      "{} histories in {:.1f} CPU seconds: {:.1f} a second; of each: {} events, {} faults, {} checks of the "
      "invariants, {} virtual seconds\n",
      arguments.seeds, cpu, static_cast<double>(arguments.seeds) / cpu, events / arguments.seeds,
      faults / arguments.seeds, checks / arguments.seeds,
      time.count() / 1000 / static_cast<std::int64_t>(arguments.seeds));
  fmt::print("{} worlds, {} broken\n", arguments.seeds, failed);
  return failed == 0 ? 0 : 1;
}

// False: there is no such bug here.
bool plant([[maybe_unused]] const std::string& name) {
#ifdef FATHOM_PLANTED_BUGS
  if (name == "skip-fence") planted_bug = PlantedBug::skip_fence;
  if (name == "early-ack") planted_bug = PlantedBug::early_ack;
  if (name == "double-rung") planted_bug = PlantedBug::double_rung;
#endif
  return planted(PlantedBug::skip_fence) || planted(PlantedBug::early_ack) || planted(PlantedBug::double_rung);
}

int find_planted(const Arguments& arguments) {
  if (!plant(arguments.planted)) {
    fmt::print("this program has no planted bug \"{}\"\n", arguments.planted);
    return 1;
  }
  for (std::uint64_t seed = arguments.first; seed < arguments.first + arguments.seeds; ++seed) {
    const WorldReport report = run_world(seed, arguments.history && arguments.seed);
    if (report.broken.empty()) continue;
    tell_broken(seed, report);
    fmt::print("planted bug {} found with world {}\n", arguments.planted, seed - arguments.first + 1);
    return 0;
  }
  fmt::print("planted bug {} not found in {} worlds\n", arguments.planted, arguments.seeds);
  return 1;
}

int run_one(const Arguments& arguments) {
  const WorldReport report = run_world(*arguments.seed, arguments.history);
  if (!report.broken.empty()) tell_broken(*arguments.seed, report);
  fmt::print("{} events, {} faults, {} steps, {:.3f} virtual seconds\n", report.events, report.faults, report.steps,
             static_cast<double>(report.time.count()) / 1000);
  return report.broken.empty() ? 0 : 1;
}

}  // namespace
}  // namespace fathom::sim

int main(int argc, char** argv) {
  fathom::sim::Arguments arguments;
  CLI::App app("Runs simulated coordinators, workers and trainers, with faults, on virtual time.", "fathom_sim");
  app.add_option("--seeds", arguments.seeds, "how many worlds");
  app.add_option("--first", arguments.first, "seed of the first one");
  app.add_option("--seed", arguments.seed, "one world with this seed");
  app.add_flag("--history", arguments.history, "tell what happens in it");
  app.add_option("--planted", arguments.planted, "skip-fence, early-ack or double-rung");
  CLI11_PARSE(app, argc, argv);
  fathom::sim::quiet_log(arguments.history);
  if (!arguments.planted.empty()) return fathom::sim::find_planted(arguments);
  return arguments.seed ? fathom::sim::run_one(arguments) : fathom::sim::run_many(arguments);
}
