// `sets: {greedy: k}` in the core: the set of a fusion is chosen when what was tried for it has ended, once.
#include <set>

#include <nlohmann/json.hpp>

#include "coordinator/core/cache.hpp"
#include "coordinator/core/recheck.hpp"
#include "tests/unit/coordinator/core_rig.hpp"

namespace fathom::core::test {
namespace {

using nlohmann::json;

sweeps::Plan planned(const std::string& fusion, const std::string& name = "t", const std::string& needs = "",
                     const std::string& rest = "") {
  const auto parsed =
      sweeps::parse("version: 1\nname: " + name +
                        "\nmodel: {path: m}\ntasks: {a: {path: a}, b: {path: b}, c: {path: c}, d: {path: "
                        "d}}\ntrain: {epochs: 3}\nstages:\n  adapter: {}\n  fusion: {needs: {from: adapter" +
                        needs + "}, targets: [b], " + fusion + "}\n" + rest,
                    {});
  for (const auto& error : parsed.errors) ADD_FAILURE() << sweeps::render(error);
  return sweeps::expand(parsed.sweep).value();
}

struct CoreGreedy : ::testing::Test {
  void begin(const sweeps::Plan& plan, std::uint32_t slots = 2) {
    if (worker == nullptr) worker = &rig.worker("w", {slots});
    rig.submit(plan);
  }
  // d serves b best, then a; c does harm.
  double value(JobNumber job) {
    const std::string& set = rig.state().planned(*rig.state().job(job)).set;
    return 0.5 + (set.find('d') != std::string::npos ? 0.2 : 0) + (set.find('a') != std::string::npos ? 0.1 : 0) -
           (set.find('c') != std::string::npos ? 0.1 : 0);
  }
  // One whose result turns out to be known is taken back when it has started.
  bool start(JobNumber job) {
    if (worker->holds(job)) worker->started(job);
    return worker->holds(job);
  }
  void finish(JobNumber job) {
    if (!start(job)) return;
    worker->report(job, 1, value(job));
    worker->finish(job, value(job));
  }
  void work_off(std::size_t most = 1000) {
    for (std::size_t done = 0; done < most && rig.sweep().outcome.empty();) {
      if (worker->jobs().empty()) return;
      for (const JobNumber job : worker->jobs()) {
        if (done++ < most) finish(job);
      }
    }
  }
  std::vector<event::SetChosen> chosen() const {
    std::vector<event::SetChosen> out;
    for (const std::string& bytes : rig.log) {
      event::Event event;
      EXPECT_TRUE(event.ParseFromString(bytes));
      if (event.has_set_chosen()) out.push_back(event.set_chosen());
    }
    return out;
  }
  [[nodiscard]] JobNumber last() const {
    return JobNumber(rig.sweep().first.value() + rig.sweep().plan->jobs.size() - 1);
  }
  const sweeps::Job& planned_job(JobNumber job) { return rig.state().planned(*rig.state().job(job)); }
  Rig rig;
  FakeWorker* worker = nullptr;
};

TEST_F(CoreGreedy, TheSetIsChosenByWhatWasTriedAndTheTrainerGetsItsMembers) {
  begin(planned("sets: {greedy: 3}"));
  EXPECT_NE(explain(rig.state(), *rig.state().job(last())).find("It needs the model \"a\""), std::string::npos);
  work_off(4 + 3);
  EXPECT_NE(explain(rig.state(), *rig.state().job(last())).find("Its set is chosen by results: adapter 3 by 2 fusions"),
            std::string::npos)
      << explain(rig.state(), *rig.state().job(last()));
  work_off(2);
  ASSERT_EQ(rig.state().job(last())->lease.value() != 0, true);
  const auto all = chosen();
  ASSERT_EQ(all.size(), 3u + 2u + 1u);
  EXPECT_EQ((std::vector<std::string>(all.back().chosen().begin(), all.back().chosen().end())),
            (std::vector<std::string>{"b", "d", "a"}));
  EXPECT_NEAR(all.back().means(0), 0.7, 1e-9);
  EXPECT_NEAR(all.back().means(1), 0.8, 1e-9);
  const json settings = json::parse(worker->held.at(last()).assign.settings);
  EXPECT_EQ(settings.at("fusion").at("set"), json({"a", "b", "d"}));
  EXPECT_EQ(settings.at("train").at("epochs"), 3);
  const json inputs = json::parse(worker->held.at(last()).assign.inputs);
  ASSERT_EQ(inputs.at("members").size(), 3u);
  EXPECT_EQ(inputs.at("members")[2].at("name"), "d");
  EXPECT_EQ(inputs.at("members")[2].at("job"), rig.sweep().plan->jobs[3].id.text());
  EXPECT_EQ(worker->held.at(last()).assign.fetch.size(), 3u);  // their files were kept until now
  EXPECT_EQ(planned_job(last()).set, "a+b+d");
  work_off();
  EXPECT_EQ(rig.sweep().outcome, "succeeded");
}

TEST_F(CoreGreedy, AMemberThatFailedIsNotTried) {
  begin(planned("sets: {greedy: 2}"), 4);
  for (const JobNumber job : worker->jobs()) {
    if (planned_job(job).task == "d") {
      worker->started(job);
      worker->fail(job, "diverged");
    } else {
      finish(job);
    }
  }
  work_off();
  EXPECT_EQ(rig.count(Phase::skipped), 1u);
  EXPECT_EQ(planned_job(last()).set, "a+b");
  EXPECT_EQ(rig.sweep().outcome, "failed");  // of the diverged one
}

TEST_F(CoreGreedy, WhereNothingCanBeChosenTheSweepFileSaysWhatFollows) {
  for (const char* policy : {"skip", "fail", "wait"}) {
    begin(planned("sets: {greedy: 2}", policy, std::string(", on_missing: ") + policy));
    for (int round = 0; round < 10; ++round) {
      for (const JobNumber job : worker->jobs()) {
        if (!start(job)) continue;
        planned_job(job).kind == sweeps::Kind::adapter ? static_cast<void>(worker->finish(job, 0.5))
                                                       : static_cast<void>(worker->fail(job, "config"));
      }
    }
    const Phase phase = phase_of(*rig.state().job(last()));
    EXPECT_EQ(phase, std::string(policy) == "skip"   ? Phase::skipped
                     : std::string(policy) == "fail" ? Phase::failed
                                                     : Phase::blocked);
    EXPECT_NE(explain(rig.state(), *rig.state().job(last())).find("choice 2"), std::string::npos);
    if (phase == Phase::blocked) rig.give(CancelSweep{rig.sweep().number});
  }
}

TEST_F(CoreGreedy, ARetryOfWhatWasTriedChoosesAfterAll) {
  begin(planned("sets: {greedy: 2}"));
  work_off(4);
  while (!worker->jobs().empty()) {
    const JobNumber job = worker->jobs().front();
    worker->started(job);
    worker->fail(job, "config");
  }
  ASSERT_EQ(phase_of(*rig.state().job(last())), Phase::skipped);
  rig.give(RetrySweep{rig.sweep().number});
  work_off();
  EXPECT_EQ(rig.sweep().outcome, "succeeded");
  EXPECT_EQ(planned_job(last()).set, "b+d");
}

TEST_F(CoreGreedy, TheResultOfAListedSetIsTaken) {
  begin(planned("sets: [[b, d], [a, b]], train: {epochs: 1}", "listed"));
  work_off();
  begin(planned("sets: {greedy: 2, budget: 1}, train: {epochs: 1}", "chosen"));
  work_off();
  EXPECT_EQ(rig.sweep().outcome, "succeeded");
  // The adapters, the two tries that stand in the other sweep, and what was chosen.
  EXPECT_EQ(rig.logged(event::Event::kJobReused), 4u + 2u + 1u);
  EXPECT_EQ(std::get<Succeeded>(rig.state().job(last())->state).mark->source, 5u);
}

TEST_F(CoreGreedy, RestartsAndSnapshotsKeepWhatWasChosenAndAReplayChoosesTheSame) {
  begin(planned("sets: {greedy: 3}", "t", "",
                "  prune: {from: fusion, keep: [1]}\n  evaluate: {from: [fusion, prune]}\n"),
        3);
  int round = 0;
  while (rig.sweep().outcome.empty() && !worker->jobs().empty()) {
    finish(worker->jobs().front());
    if (++round % 3 == 0) rig.take_snapshot();
    if (round % 4 == 0) rig.restart(), worker->join();
  }
  EXPECT_EQ(rig.sweep().outcome, "succeeded");
  EXPECT_EQ(chosen().size(), 6u);
  const auto replayed = [&](bool spoil) {
    Recheck recheck;
    for (const std::string& bytes : rig.log) {
      event::Event event;
      EXPECT_TRUE(event.ParseFromString(bytes));
      if (spoil && event.has_set_chosen()) event.mutable_set_chosen()->set_members(0, "c");
      const PlanPtr plan = event.has_sweep_submitted() ? rig.plans.at(event.sweep_submitted().resolved()) : nullptr;
      if (!recheck.take(event, plan).ok()) break;
    }
    if (!spoil) recheck.end();
    return recheck.difference();
  };
  EXPECT_FALSE(replayed(false)) << replayed(false)->logged << " | " << replayed(false)->again;
  EXPECT_TRUE(replayed(true));
}

TEST_F(CoreGreedy, ASecondChoiceAndStrangersAreRefused) {
  begin(planned("sets: {greedy: 2}"));
  work_off();
  State state;
  for (const std::string& bytes : rig.log) {
    event::Event event;
    ASSERT_TRUE(event.ParseFromString(bytes));
    const PlanPtr plan = event.has_sweep_submitted() ? rig.plans.at(event.sweep_submitted().resolved()) : nullptr;
    if (event.has_set_chosen()) {
      event::Event stranger = event;
      stranger.mutable_set_chosen()->set_members(0, "nobody");
      State copy = state;
      EXPECT_FALSE(evolve(copy, stranger).ok());
    }
    ASSERT_TRUE(evolve(state, event, plan).ok());
  }
  event::Event again;
  again.mutable_set_chosen()->set_job(last().value());
  again.mutable_set_chosen()->add_members("b");
  again.set_seq(state.seq + 1);
  EXPECT_FALSE(evolve(state, again).ok());
}

}  // namespace
}  // namespace fathom::core::test
