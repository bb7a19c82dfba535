// The shipped quickstart sweep through the real parser and expander: two workers work it off in one process, with and
// without a coordinator that is killed in between.
#include <fstream>
#include <sstream>

#include <nlohmann/json.hpp>

#include "common/canonical_json.hpp"
#include "tests/unit/coordinator/core_rig.hpp"

namespace fathom::core::test {
namespace {

using sweeps::Kind;

std::string resolved_quickstart() {
  std::ifstream file(FATHOM_SOURCE_DIR "/configs/sweeps/quickstart.yaml");
  std::stringstream text;
  text << file.rdbuf();
  const sweeps::ParseResult parsed = sweeps::parse(text.str(), {});
  for (const sweeps::Diagnostic& error : parsed.errors) ADD_FAILURE() << sweeps::render(error);
  return canonical_json(parsed.sweep.resolved);
}

// What a trainer would measure: the middle learning rate is best, deeper drops cost a little.
double score(const sweeps::Job& job, std::uint32_t epoch) {
  const double lr = job.parameters.contains("train.lr") ? job.parameters.at("train.lr").get<double>() : 0.001;
  const double best = lr == 0.001 ? 0.85 : lr > 0.001 ? 0.8 : 0.7;
  return best - (job.drop == "standard" ? 0 : 0.02) + 0.01 * epoch;
}

// One thing that a worker does for one of its jobs.
void advance(Rig& rig, FakeWorker& worker, JobNumber job) {
  const sweeps::Job& planned = rig.state().planned(*rig.state().job(job));
  const std::uint64_t sequence = worker.held.at(job).sequence;
  if (sequence == 0) {
    worker.started(job);
  } else if (worker.stops.contains(job)) {
    worker.stopped(job, score(planned, 1));
  } else if (sequence <= planned.epochs) {
    worker.report(job, static_cast<std::uint32_t>(sequence), score(planned, static_cast<std::uint32_t>(sequence)));
  } else {
    worker.finish(job, score(planned, planned.epochs));
  }
}

// Until the sweep has ended; every `kill`-th round the coordinator is killed (0: never).
void work_off(Rig& rig, int kill) {
  for (int round = 1; round < 500 && rig.sweep().outcome.empty(); ++round) {
    for (const auto& [uid, worker] : rig.workers) {
      for (const JobNumber job : worker->jobs()) {
        if (worker->holds(job)) advance(rig, *worker, job);
      }
    }
    if (kill != 0 && round % kill == 0) {
      rig.restart();
      for (const auto& [uid, worker] : rig.workers) worker->join();
    }
    rig.tick(Millis(100));
  }
}

void submit(Rig& rig) {
  SubmitSweep command;
  command.resolved = resolved_quickstart();
  command.expander_version = sweeps::kExpanderVersion;
  rig.plans[command.resolved] = nullptr;  // the replica expands the text of the event again
  const Step step = rig.give(command);
  ASSERT_FALSE(step.rejection) << step.rejection->message;
  EXPECT_EQ(std::get<Submitted>(step.answer).jobs, 66u);
}

TEST(CoreQuickstart, SixtySixJobsWithStopsFusionsAndPrunesEndWell) {
  Rig rig;
  rig.worker("one", {1});
  rig.worker("two", {2});
  submit(rig);
  work_off(rig, 0);
  EXPECT_EQ(rig.sweep().outcome, "succeeded");
  EXPECT_GT(rig.count(Phase::stopped), 0u);
  EXPECT_EQ(rig.count(Phase::stopped) + rig.count(Phase::succeeded), 66u);
  // Each evaluate of the best model of a task and drop took the best of those that were not stopped.
  for (const Job* one : all_jobs(rig.state())) {
    const Job& job = *one;
    const sweeps::Job& planned = rig.state().planned(job);
    if (planned.kind != Kind::evaluate) continue;
    ASSERT_EQ(job.inputs.size(), 1u);
    EXPECT_EQ(phase_of(*rig.state().job(job.inputs.front())), Phase::succeeded);
  }
}

TEST(CoreQuickstart, AssignmentsOfFusionsNameTheirMembers) {
  Rig rig;
  FakeWorker& worker = rig.worker("one", {1});
  submit(rig);
  bool seen = false;
  for (int round = 0; round < 1000 && !seen && rig.sweep().outcome.empty(); ++round) {
    const JobNumber job = worker.jobs().front();
    if (rig.state().planned(*rig.state().job(job)).kind == Kind::fusion) {
      const auto inputs = nlohmann::json::parse(worker.held.at(job).assign.inputs);
      ASSERT_EQ(inputs.at("members").size(), 3u);
      EXPECT_EQ(inputs["members"][0]["name"], "mr");
      EXPECT_EQ(inputs["members"][2]["folder"], "inputs/tweets");
      const auto settings = nlohmann::json::parse(worker.held.at(job).assign.settings);
      EXPECT_EQ(settings.at("kind"), "fusion");
      seen = true;
    }
    advance(rig, worker, job);
  }
  EXPECT_TRUE(seen);
}

TEST(CoreQuickstart, ACoordinatorThatIsKilledAgainAndAgainRunsNoJobTwice) {
  Rig rig;
  rig.worker("one", {1});
  rig.worker("two", {2});
  submit(rig);
  work_off(rig, 3);
  EXPECT_EQ(rig.sweep().outcome, "succeeded");
  EXPECT_GT(rig.state().epoch, 5u);
  EXPECT_EQ(rig.logged(event::Event::kLeaseGranted), 66u);
  EXPECT_EQ(rig.logged(event::Event::kJobFinished) + rig.logged(event::Event::kJobStopped), 66u);
}

}  // namespace
}  // namespace fathom::core::test
