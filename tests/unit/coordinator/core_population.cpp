// Populations in the core: members that fall behind pause and come back as clones.
#include <algorithm>
#include <random>
#include <set>

#include <nlohmann/json.hpp>

#include "coordinator/core/cache.hpp"
#include "coordinator/core/recheck.hpp"
#include "tests/unit/coordinator/core_rig.hpp"

namespace fathom::core::test {
namespace {

using nlohmann::json;

sweeps::Plan plan_of(const std::string& rates, const std::string& stage, const std::string& more = "") {
  const std::string yaml =
      "version: 1\nname: t\nmodel: {path: models/m}\ntasks: {a: {path: data/a}}\ntrain: {epochs: 8}\nparameters: "
      "{lr: " +
      rates + "}\nstages: {adapter: {" + stage + "}}\n" + more;
  const auto parsed = sweeps::parse(yaml, {});
  EXPECT_TRUE(parsed.errors.empty()) << yaml;
  return *sweeps::expand(parsed.sweep);
}
sweeps::Plan population(const std::string& more = "") {
  return plan_of("[1e-4, 3e-4, 1e-3, 3e-3]", "stop: {method: pbt, interval: 2}", more);
}

struct CorePopulation : ::testing::Test {
  void begin(const sweeps::Plan& plan, std::uint32_t slots = 4) {
    worker = &rig.worker("w", {slots});
    rig.submit(plan);
  }
  // From where its assignment says to an epoch, with a checkpoint of each; or to where it is asked to pause.
  void train(sweeps::JobIndex index, std::uint32_t until, double value, bool checkpoints = true) {
    const JobNumber job = rig.number(index);
    if (rig.phase(index) == Phase::leased) {
      const auto& resume = worker->held.at(job).assign.resume;
      worker->send(job, item::Started{"cpu:0", "base", "data", resume ? resume->epoch : 0});
    }
    for (std::uint32_t epoch = rig.job(index).progress->epoch + 1; epoch <= until && rig.phase(index) == Phase::running;
         ++epoch) {
      worker->report(job, epoch, value);
      if (checkpoints) worker->checkpoint(job, epoch, checkpoint(index, epoch));
    }
  }
  static std::string checkpoint(sweeps::JobIndex index, std::uint32_t epoch) {
    return "job-" + std::to_string(index) + "-epoch-" + std::to_string(epoch);
  }
  // Each better than those before: nobody falls behind.
  void first_interval(sweeps::JobIndex members = 4, bool checkpoints = true) {
    for (sweeps::JobIndex i = 0; i < members; ++i) train(i, 2, 0.1 * (i + 1), checkpoints);
    EXPECT_EQ(rig.logged(event::Event::kPauseWished), 0u);
  }
  // Member 0 falls behind at epoch 4 and is asked to pause.
  void fall_behind() {
    first_interval();
    train(0, 4, 0.05);
    ASSERT_EQ(rig.phase(0), Phase::pausing);
  }
  json settings(sweeps::JobIndex index) { return json::parse(worker->held.at(rig.number(index)).assign.settings); }
  const SendAssign& assigned(sweeps::JobIndex index) { return worker->held.at(rig.number(index)).assign; }
  bool released(const std::string& sha) { return std::ranges::find(rig.released, sha) != rig.released.end(); }
  void recheck() {
    Recheck again;
    for (const std::string& bytes : rig.log) {
      event::Event event;
      ASSERT_TRUE(event.ParseFromString(bytes));
      const PlanPtr plan = event.has_sweep_submitted() ? rig.plans.at(event.sweep_submitted().resolved()) : nullptr;
      ASSERT_TRUE(again.take(event, plan).ok());
    }
    again.end();
    EXPECT_FALSE(again.difference()) << again.difference()->logged << " | " << again.difference()->again;
  }
  Rig rig;
  FakeWorker* worker = nullptr;
};

TEST_F(CorePopulation, OneThatFallsBehindGoesOnFromABetterOnesCheckpoint) {
  begin(population());
  const json before = settings(0);
  EXPECT_EQ(json::parse(assigned(0).inputs).at("explored"), json::array({"train.lr"}));
  const std::string id = rig.state().planned(rig.job(0)).id.text();
  fall_behind();
  EXPECT_EQ(worker->stops.at(rig.number(0)), "pause");
  EXPECT_NE(explain(rig.state(), rig.job(0)).find("behind its population at epoch 4"), std::string::npos);
  worker->stopped(rig.number(0), 0.1);
  ASSERT_EQ(rig.phase(0), Phase::leased);
  // Four members: one is the best.
  EXPECT_EQ(assigned(0).resume->file.sha256, checkpoint(3, 2));
  EXPECT_FALSE(assigned(0).resume_older);
  EXPECT_EQ(assigned(0).job_id, id);
  json after = settings(0);
  EXPECT_NE(after["train"]["lr"], before["train"]["lr"]);
  after["train"]["lr"] = before["train"]["lr"];
  EXPECT_EQ(after, before);
  EXPECT_EQ(rig.logged(event::Event::kExploited), 1u);
  const std::string text = explain(rig.state(), rig.job(0));
  EXPECT_NE(text.find("It was cloned from " + rig.state().planned(rig.job(3)).id.text() +
                      " after epoch 2, with train.lr 0.00"),
            std::string::npos)
      << text;
  EXPECT_EQ(rig.job(0).failures + rig.job(0).losses, 0u);
  recheck();
}

TEST_F(CorePopulation, ItKeepsItsPlaceAmongTheRungsAndEndsAsAnyOther) {
  begin(population());
  fall_behind();
  worker->stopped(rig.number(0), 0.1);
  train(0, 4, 0.9);  // epochs 3 and 4 again: that rung was entered
  EXPECT_EQ(rig.phase(0), Phase::running);
  EXPECT_EQ(rig.job(0).progress->rung_values.size(), 2u);
  for (const sweeps::JobIndex i : {3U, 2U, 1U}) train(i, 3, 0.1 * (i + 1));
  train(0, 8, 0.9);
  worker->finish(rig.number(0), 0.9);
  EXPECT_EQ(rig.phase(0), Phase::succeeded);
  EXPECT_EQ(rig.sweep().counts[static_cast<std::size_t>(Phase::running)], 3u);
  recheck();
}

TEST_F(CorePopulation, WhatItReportedOnItsWayToThePauseIsForgottenWithItsWeights) {
  begin(population());
  fall_behind();
  worker->report(rig.number(0), 5, 0.06), worker->report(rig.number(0), 6, 0.07);
  EXPECT_EQ(rig.job(0).progress->rung_values.size(), 3u);
  worker->stopped(rig.number(0), 0.1);
  EXPECT_EQ(rig.job(0).progress->rung_values.size(), 2u);
  train(0, 6, 0.95);
  EXPECT_EQ(rig.phase(0), Phase::running);  // judged at epoch 6 by what it came to as a clone
  EXPECT_EQ(rig.job(0).progress->rung_values.back(), 0.95);
}

TEST_F(CorePopulation, WithoutACheckpointToTakeItGoesOnAsItWas) {
  begin(population());
  const json before = settings(0);
  first_interval(4, false);
  train(0, 4, 0.05);
  ASSERT_EQ(rig.phase(0), Phase::pausing);
  worker->stopped(rig.number(0), 0.1);
  EXPECT_EQ(rig.phase(0), Phase::leased);
  EXPECT_EQ(settings(0), before);
  EXPECT_EQ(assigned(0).resume->file.sha256, checkpoint(0, 4));
  EXPECT_EQ(rig.logged(event::Event::kExploited), 0u);
  recheck();
}

TEST_F(CorePopulation, ADonorThatFailsMeanwhileIsNotTaken) {
  begin(population());
  fall_behind();
  worker->fail(rig.number(3), "config");
  ASSERT_EQ(rig.phase(3), Phase::failed);
  worker->stopped(rig.number(0), 0.1);
  EXPECT_EQ(assigned(0).resume->file.sha256, checkpoint(2, 2));
  recheck();
}

TEST_F(CorePopulation, OneThatFailsItselfIsComparedNoMoreAndComesBackWithARetry) {
  begin(population());
  fall_behind();
  worker->fail(rig.number(0), "config");
  EXPECT_EQ(rig.phase(0), Phase::failed);
  train(1, 4, 0.05);  // the worst of three: one is behind
  EXPECT_EQ(rig.phase(1), Phase::pausing);
  rig.give(RetrySweep{rig.sweep().number});
  // It was behind when it failed: a clone before it gets a slot.
  EXPECT_EQ(rig.phase(0), Phase::leased);
  EXPECT_EQ(assigned(0).resume->file.sha256, checkpoint(3, 2));
  recheck();
}

TEST_F(CorePopulation, AllThatAreBehindAtOnceAreCloned) {
  begin(plan_of("[1e-4, 2e-4, 3e-4, 4e-4, 5e-4, 6e-4, 7e-4, 8e-4]", "stop: {method: pbt, interval: 2}"), 8);
  first_interval(8);
  train(0, 4, 0.01), train(1, 4, 0.02);
  ASSERT_EQ(rig.count(Phase::pausing), 2u);
  worker->stopped(rig.number(1), 0.1), worker->stopped(rig.number(0), 0.1);
  EXPECT_EQ(rig.logged(event::Event::kExploited), 2u);
  const std::set<std::string> best = {checkpoint(6, 2), checkpoint(7, 2)};
  EXPECT_TRUE(best.contains(assigned(0).resume->file.sha256) && best.contains(assigned(1).resume->file.sha256));
  recheck();
}

TEST_F(CorePopulation, ACheckpointStaysAsLongAsSomebodyMayGoOnFromIt) {
  begin(population());
  fall_behind();
  worker->stopped(rig.number(0), 0.1);
  EXPECT_TRUE(released(checkpoint(0, 3)) && released(checkpoint(0, 4)));  // what the clone gave up
  train(3, 5, 0.5);                                                       // the donor keeps later ones by now
  EXPECT_TRUE(released(checkpoint(3, 1)));
  EXPECT_FALSE(released(checkpoint(3, 2)));
  rig.take_snapshot();
  rig.restart();
  worker->join();
  train(0, 5, 0.9);
  EXPECT_TRUE(released(checkpoint(3, 2)));
}

TEST_F(CorePopulation, ACancelOrAPauseMeanwhileIsNotForgotten) {
  begin(population());
  fall_behind();
  ChangeSweep pause;
  pause.sweep = rig.sweep().number;
  pause.paused = true;
  rig.give(pause);
  worker->stopped(rig.number(0), 0.1);
  EXPECT_EQ(rig.phase(0), Phase::ready);  // a clone that waits with its sweep
  EXPECT_EQ(rig.logged(event::Event::kExploited), 1u);
  pause.paused = false;
  rig.give(pause);
  EXPECT_EQ(assigned(0).resume->file.sha256, checkpoint(3, 2));
  train(1, 4, 0.04);
  ASSERT_EQ(rig.phase(1), Phase::pausing);
  rig.give(CancelJob{rig.number(1)});
  worker->stopped(rig.number(1), 0.1);
  EXPECT_EQ(rig.phase(1), Phase::cancelled);
  EXPECT_EQ(rig.logged(event::Event::kExploited), 1u);
  recheck();
}

TEST_F(CorePopulation, AWorkerThatIsLostWhileItPausesCostsAWaitAndNotTheClone) {
  begin(population());
  fall_behind();
  worker->gone();
  rig.tick(Millis(15'000));
  EXPECT_EQ(rig.phase(0), Phase::backoff);
  rig.tick(Millis(60'000));
  EXPECT_EQ(rig.logged(event::Event::kExploited), 1u);
  EXPECT_EQ(rig.phase(0), Phase::paused);
  EXPECT_NE(explain(rig.state(), rig.job(0)).find("that have come less far wait for a slot"), std::string::npos);
  worker->join();
  ASSERT_EQ(rig.phase(0), Phase::leased);
  EXPECT_EQ(assigned(0).resume->file.sha256, checkpoint(3, 2));
}

TEST_F(CorePopulation, WithFewerSlotsThanMembersTheyTakeTurns) {
  begin(plan_of("[1e-4, 2e-4, 3e-4, 4e-4, 5e-4, 6e-4]", "stop: {method: pbt, interval: 2}"), 2);
  for (int round = 0; round < 500 && rig.sweep().outcome.empty(); ++round) {
    for (const JobNumber job : worker->jobs()) {
      const sweeps::JobIndex index = rig.state().job(job)->index;
      if (rig.phase(index) == Phase::pausing) {
        worker->stopped(job, 0.5);
      } else if (rig.phase(index) == Phase::running && rig.job(index).progress->epoch == 8) {
        worker->finish(job, 0.5);
      } else {
        train(index, rig.job(index).progress->epoch + 1, 0.1 * index);
      }
      std::uint32_t least = 8, most = 0;
      for (const auto& [first, setting] : rig.sweep().groups.front().settings)
        least = std::min(least, setting.judged), most = std::max(most, setting.judged);
      EXPECT_LE(most - least, 2u) << "round " << round;
    }
  }
  EXPECT_EQ(rig.sweep().outcome, "succeeded");
  EXPECT_GT(rig.logged(event::Event::kExploited), 3u);
  recheck();
}

TEST_F(CorePopulation, OneThatFinishesInsteadOfPausingKeepsItsResult) {
  begin(population());
  fall_behind();
  worker->finish(rig.number(0), 0.3);  // train.patience
  EXPECT_EQ(rig.phase(0), Phase::succeeded);
  EXPECT_EQ(rig.logged(event::Event::kExploited), 0u);
}

// Its parent is in the key: the result is not that of a training with these settings from the start.
TEST_F(CorePopulation, NobodyTakesTheResultOfAClone) {
  begin(plan_of("{min: 1e-5, max: 1e-2, scale: log}", "stop: {method: pbt, interval: 2}",
                "search: {sampler: random, trials: 4}\n"));
  const json kept = settings(3)["train"]["lr"];
  fall_behind();
  worker->stopped(rig.number(0), 0.1);
  const json rate = settings(0)["train"]["lr"];
  for (sweeps::JobIndex i = 4; i-- > 0;) {
    train(i, 8, 0.9 + 0.01 * i);
    worker->finish(rig.number(i), 0.9);
  }
  ASSERT_EQ(rig.sweep().outcome, "succeeded");
  rig.submit(plan_of("[" + rate.dump() + ", " + kept.dump() + "]", ""));
  while (!worker->held.empty()) {
    const JobNumber job = worker->jobs().front();
    worker->started(job);
    if (worker->holds(job)) worker->finish(job, 0.5);
  }
  const auto source = [&](sweeps::JobIndex i) { return std::get<Succeeded>(rig.job(i).state).mark->source; };
  EXPECT_EQ(source(0), 0u);  // trained, though a clone ended with this rate
  EXPECT_EQ(source(1), 4u);  // the member that was never cloned
}

TEST_F(CorePopulation, EachSeedIsAPopulationOfItsOwn) {
  begin(population("seeds: [1, 2]\n"), 8);
  ASSERT_EQ(rig.sweep().groups.size(), 2u);
  // All of one seed are better than all of the other: nobody is behind for that.
  for (sweeps::JobIndex i = 0; i < 8; ++i) train(i, 4, (i % 2 == 0 ? 1.0 : 0.1) + 0.01 * i);
  EXPECT_EQ(rig.count(Phase::pausing), 0u);
}

TEST_F(CorePopulation, AnEventThatDoesNotFollowIsRefused) {
  begin(population());
  fall_behind();
  event::Event event;
  event.set_seq(rig.state().seq + 1);
  event.mutable_exploited()->set_job(rig.number(0).value());
  event.mutable_exploited()->set_donor(rig.number(3).value());
  event.mutable_exploited()->set_rung(1);
  event.mutable_exploited()->set_parameters(R"({"train.lr": 0.1})");
  State state = rig.replica;
  EXPECT_FALSE(evolve(state, event).ok());  // it still has its lease
  worker->stopped(rig.number(0), 0.1);
  state = rig.replica;
  event.set_seq(state.seq + 1);
  EXPECT_FALSE(evolve(state, event).ok());  // it was cloned
}

// Whole sweeps with restarts, snapshots and failures in between: they end, and every decision is made again.
TEST_F(CorePopulation, RestartsChangeNothingAndEveryDecisionIsMadeAgain) {
  begin(plan_of("[1e-4, 2e-4, 3e-4, 4e-4, 5e-4, 6e-4, 7e-4, 8e-4, 9e-4]", "stop: {method: pbt, interval: 1}",
                "retry: {max: 100}\n"),
        3);
  std::mt19937 random(47);
  for (int round = 0; round < 4000 && rig.sweep().outcome.empty(); ++round) {
    const auto jobs = worker->jobs();
    if (jobs.empty()) {
      rig.tick(Millis(60'000));
      continue;
    }
    const JobNumber job = jobs[random() % jobs.size()];
    const sweeps::JobIndex index = rig.state().job(job)->index;
    const Phase phase = rig.phase(index);
    if (random() % 17 == 0) rig.take_snapshot();
    if (random() % 23 == 0) rig.restart(), worker->join();
    if (random() % 31 == 0) {
      worker->fail(job, "internal");
    } else if (phase == Phase::pausing) {
      worker->stopped(job, 0.5);
    } else if (phase == Phase::running && rig.job(index).progress->epoch == 8) {
      worker->finish(job, 0.5);
    } else {
      train(index, rig.job(index).progress->epoch + (phase == Phase::running ? 1 : 0),
            0.01 * static_cast<double>(random() % 100));
    }
  }
  EXPECT_EQ(rig.sweep().outcome, "succeeded");
  EXPECT_GT(rig.logged(event::Event::kExploited), 8u);
  recheck();
}

}  // namespace
}  // namespace fathom::core::test
