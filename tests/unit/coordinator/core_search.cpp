// `sampler: tpe` in the core: points are drawn when a slot is there, once, and everything that follows knows them.
#include <cmath>
#include <set>

#include "coordinator/core/cache.hpp"
#include "coordinator/core/recheck.hpp"
#include "tests/unit/coordinator/core_rig.hpp"

namespace fathom::core::test {
namespace {

using nlohmann::json;

sweeps::Plan planned(const std::string& rest, const std::string& name = "t") {
  const auto parsed = sweeps::parse(
      "version: 1\nname: " + name + "\nmodel: {path: m}\ntasks: {a: {path: a}}\ntrain: {epochs: 3}\n" + rest, {});
  for (const auto& error : parsed.errors) ADD_FAILURE() << sweeps::render(error);
  return sweeps::expand(parsed.sweep).value();
}

const char* const kSearch =
    "search: {sampler: tpe, trials: 16, startup: 4}\nparameters: {lr: {min: 1e-5, max: 1e-1, scale: log}}\n";

struct CoreSearch : ::testing::Test {
  void begin(const sweeps::Plan& plan, std::uint32_t slots) {
    worker = &rig.worker("w", {slots});
    rig.submit(plan);
  }
  double rate(sweeps::JobIndex index) { return rig.state().planned(rig.job(index)).parameters.at("train.lr"); }
  double value(sweeps::JobIndex index) { return 1 - 0.1 * std::pow(std::log10(rate(index)) + 3, 2); }
  void finish(JobNumber job) {
    worker->started(job);
    const bool drawn = !rig.state().planned(*rig.state().job(job)).parameters.empty();
    const double objective = drawn ? value(rig.state().job(job)->index) : 0.5;  // an evaluation has none
    worker->report(job, 3, objective);
    worker->finish(job, objective);
  }
  void work_off() {
    for (int round = 0; round < 200 && rig.sweep().outcome.empty(); ++round) {
      for (const JobNumber job : worker->jobs()) finish(job);
    }
  }
  std::vector<event::PointDrawn> drawn() const {
    std::vector<event::PointDrawn> out;
    for (const std::string& bytes : rig.log) {
      event::Event event;
      EXPECT_TRUE(event.ParseFromString(bytes));
      if (event.has_point_drawn()) out.push_back(event.point_drawn());
    }
    return out;
  }
  Rig rig;
  FakeWorker* worker = nullptr;
};

// Points are drawn with all that is known when their trial starts, so none is given out ahead.
TEST_F(CoreSearch, TrialsWithoutAPointDoNotWaitInAWorker) {
  worker = &rig.worker("w", {1}, 8);
  rig.submit(planned(std::string(kSearch) + "stages: {adapter: {}}\n"));
  for (int i = 0; i < 8; ++i) {
    finish(worker->jobs().front());
    EXPECT_EQ(worker->jobs().size(), 1u);
  }
}

TEST_F(CoreSearch, APointIsDrawnWhenItsTrialGetsASlotAndTheWorkerGetsItsSettings) {
  begin(planned(std::string(kSearch) + "seeds: [1, 2]\nstages: {adapter: {}}\n"), 1);
  ASSERT_EQ(drawn().size(), 1u);
  EXPECT_EQ(drawn()[0].jobs_size(), 2);  // both seeds
  EXPECT_FALSE(drawn()[0].modelled());
  EXPECT_EQ(rate(0), rate(1));
  const json settings = json::parse(worker->held.at(rig.number(0)).assign.settings);
  EXPECT_EQ(settings.at("train").at("lr"), rate(0));
  EXPECT_FALSE(settings.contains("search") || settings.contains("trial"));
  EXPECT_EQ(worker->held.at(rig.number(0)).assign.job_id, rig.sweep().plan->jobs[0].id.text());
  EXPECT_NE(explain(rig.state(), rig.job(2)).find("parameters are drawn when"), std::string::npos);
  finish(rig.number(0));
  EXPECT_EQ(drawn().size(), 1u);  // the second seed has its point
  finish(rig.number(1));
  EXPECT_EQ(drawn().size(), 2u);
  EXPECT_EQ(drawn()[1].known(), 1u);
}

TEST_F(CoreSearch, DrawsLearnFromWhatWasReported) {
  begin(planned(std::string(kSearch) + "stages: {adapter: {}}\n"), 2);
  work_off();
  EXPECT_EQ(rig.sweep().outcome, "succeeded");
  const auto all = drawn();
  ASSERT_EQ(all.size(), 16u);
  std::set<std::string> points;
  double early = 0, late = 0;
  for (std::size_t i = 0; i < all.size(); ++i) {
    points.insert(all[i].point());
    EXPECT_EQ(all[i].modelled(), i >= 5) << i;  // four had ended when a slot was free again for the sixth
    const double off = std::abs(std::log10(json::parse(all[i].point()).at("train.lr").get<double>()) + 3);
    (i < 5 ? early : late) += off / (i < 5 ? 5 : 11);
  }
  EXPECT_EQ(points.size(), 16u);
  EXPECT_LT(late, early);
}

TEST_F(CoreSearch, ADrawnPointSurvivesRestartsAndSnapshotsAndIsNotDrawnAgain) {
  begin(planned(std::string(kSearch) + "seeds: [1, 2]\nstages: {adapter: {}}\n"), 3);
  for (int i = 0; i < 5; ++i) finish(worker->jobs().front());
  const auto before = drawn();
  rig.restart();  // from the log
  worker->join();
  EXPECT_EQ(drawn().size(), before.size());
  finish(worker->jobs().front());
  rig.take_snapshot();
  for (int i = 0; i < 3; ++i) finish(worker->jobs().front());
  rig.restart();  // from the snapshot, compared with the log
  worker->join();
  work_off();
  EXPECT_EQ(rig.sweep().outcome, "succeeded");
  const auto after = drawn();
  EXPECT_EQ(after.size(), 16u);
  for (std::size_t i = 0; i < before.size(); ++i) EXPECT_EQ(after[i].point(), before[i].point());
}

TEST_F(CoreSearch, AReplayDrawsTheSame) {
  begin(planned(std::string(kSearch) + "stages: {adapter: {stop: {method: asha, eta: 3}}}\n"), 3);
  for (int round = 0; round < 100 && rig.sweep().outcome.empty(); ++round) {
    for (const JobNumber job : worker->jobs()) {
      worker->started(job);
      const auto index = rig.state().job(job)->index;
      for (std::uint32_t epoch = 1; epoch <= 3 && !worker->stops.contains(job); ++epoch)
        worker->report(job, epoch, value(index));
      if (index == 1 && !worker->stops.contains(job)) {
        worker->fail(job, "diverged");
      } else if (worker->stops.contains(job)) {
        worker->stopped(job, value(index));
      } else {
        worker->finish(job, value(index));
      }
    }
  }
  EXPECT_GT(rig.count(Phase::stopped), 0u);
  const auto replayed = [&](bool spoil) {
    Recheck recheck;
    for (const std::string& bytes : rig.log) {
      event::Event event;
      EXPECT_TRUE(event.ParseFromString(bytes));
      if (spoil && event.has_point_drawn() && event.point_drawn().modelled())
        event.mutable_point_drawn()->set_point(R"({"train.lr":0.00123})");
      const Status taken = event.has_sweep_submitted()
                               ? recheck.take(event, rig.plans.at(event.sweep_submitted().resolved()))
                               : recheck.take(event);
      EXPECT_TRUE(taken.ok());
    }
    recheck.end();
    return recheck.difference();
  };
  EXPECT_FALSE(replayed(false)) << replayed(false)->logged << " | " << replayed(false)->again;
  ASSERT_TRUE(replayed(true));
  EXPECT_NE(replayed(true)->logged.find("0.00123"), std::string::npos);
}

TEST_F(CoreSearch, ASecondDrawOfATrialIsRefused) {
  begin(planned(std::string(kSearch) + "stages: {adapter: {}}\n"), 1);
  State state;
  event::Event again;
  for (const std::string& bytes : rig.log) {
    event::Event event;
    ASSERT_TRUE(event.ParseFromString(bytes));
    PlanPtr plan;
    if (event.has_sweep_submitted()) plan = rig.plans.at(event.sweep_submitted().resolved());
    ASSERT_TRUE(evolve(state, event, plan).ok());
    if (event.has_point_drawn()) again = event;
  }
  again.set_seq(state.seq + 1);
  EXPECT_FALSE(evolve(state, again).ok());
}

TEST_F(CoreSearch, TheResultOfAListedSettingIsTakenByATrialThatDrawsIt) {
  begin(planned("parameters: {lr: [0.001, 0.002]}\nstages: {adapter: {}}\n"), 1);
  work_off();
  rig.submit(
      planned("search: {sampler: tpe, trials: 3, startup: 5}\nparameters: {lr: [0.001, 0.002, 0.003]}\n"
              "stages: {adapter: {}}\n",
              "drawn"));
  work_off();
  EXPECT_EQ(rig.sweep().outcome, "succeeded");
  EXPECT_EQ(rig.logged(event::Event::kJobReused), 2u);
}

TEST_F(CoreSearch, TrialsThatDrawTheSameAreTrainedOnce) {
  begin(planned("search: {sampler: tpe, trials: 4}\nparameters: {lr: [0.001, 0.002]}\nstages: {adapter: {}}\n"), 4);
  work_off();
  EXPECT_EQ(rig.sweep().outcome, "succeeded");
  EXPECT_EQ(rig.count(Phase::succeeded), 4u);
  EXPECT_EQ(rig.logged(event::Event::kJobFinished), 2u);
  EXPECT_EQ(rig.logged(event::Event::kJobReused), 2u);
}

TEST_F(CoreSearch, AnEvaluationGetsTheDrawnSettingsOfItsModel) {
  begin(planned(std::string(kSearch) + "stages: {adapter: {}, evaluate: {from: adapter, best: 1}}\n"), 4);
  work_off();
  const JobNumber evaluation = rig.number(16);
  EXPECT_EQ(rig.phase(16), Phase::succeeded);
  const Job& input = *rig.state().job(rig.state().job(evaluation)->inputs.front());
  for (sweeps::JobIndex i = 0; i < 16; ++i) EXPECT_LE(value(i), value(input.index));
}

}  // namespace
}  // namespace fathom::core::test
