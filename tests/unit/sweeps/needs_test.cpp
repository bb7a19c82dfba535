// What fusions, prunes and evaluations ask of earlier stages, and the choice among results.
#include "sweeps/select.hpp"

#include <map>

#include <gmock/gmock.h>

#include "tests/unit/sweeps/support.hpp"

namespace fathom::sweeps::testing {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::string seeds_of(const Plan& plan, std::size_t stage) {
  std::string out;
  for (JobIndex i = plan.stages[stage].first; i < plan.stages[stage].first + plan.stages[stage].count; ++i) {
    const Need& need = plan.jobs[i].needs.at(0);
    out += std::to_string(plan.jobs[i].seed) + (need.best_seed ? "b" : ":" + std::to_string(need.seed_place)) + " ";
  }
  return out;
}

// Two lr, three seeds; a fusion of a and b for a.
Plan fusion_plan(const std::string& needs, const std::string& more = "") {
  return planned(
      file_with("parameters: {lr: [1, 2]}\nseeds: [4, 5, 6]\nstages:\n  adapter: {}\n  fusion: {needs: {from: adapter" +
                needs + "}, sets: [all], targets: [a]" + more + "}\n"));
}

TEST(Needs, ContendersAreSettingsWithAllTheirSeeds) {
  const Plan plan = fusion_plan("");
  const Job& fusion = plan.jobs[plan.stages[1].first];
  ASSERT_EQ(fusion.needs.size(), 2u);
  EXPECT_EQ(fusion.needs[0].name, "a");
  EXPECT_EQ(fusion.needs[1].name, "b");
  for (const Need& need : fusion.needs) {
    ASSERT_EQ(need.contenders.size(), 2u);
    for (const Contender& contender : need.contenders) {
      ASSERT_EQ(contender.jobs.size(), 3u);
      for (std::size_t i = 0; i < 3; ++i) {
        EXPECT_EQ(plan.jobs[contender.jobs[i]].seed, 4 + static_cast<int>(i));
        EXPECT_EQ(plan.jobs[contender.jobs[i]].task, need.name);
      }
    }
  }
}

TEST(Needs, SeedModes) {
  EXPECT_EQ(seeds_of(fusion_plan(""), 1), "4:0 5:1 6:2 ");
  EXPECT_EQ(seeds_of(fusion_plan("", ", seeds: [6, 4]"), 1), "6:2 4:0 ");
  EXPECT_EQ(seeds_of(fusion_plan(", seeds: best"), 1), "4b ");
  EXPECT_EQ(seeds_of(fusion_plan(", seeds: best", ", seeds: [9, 8]"), 1), "9b 8b ");
  EXPECT_EQ(seeds_of(fusion_plan(", seeds: all", ", seeds: [9]"), 1), "9:0 9:1 9:2 ");
  EXPECT_EQ(seeds_of(fusion_plan(", seeds: all"), 1), "4:0 4:1 4:2 5:0 5:1 5:2 6:0 6:1 6:2 ");
}

TEST(Needs, PerSeedChoosesForEachSeedAlone) {
  const Plan plan = fusion_plan(", per: [task, seed]");
  EXPECT_EQ(seeds_of(plan, 1), "4:0 5:0 6:0 ");
  const Job& second = plan.jobs[plan.stages[1].first + 1];
  ASSERT_EQ(second.needs[0].contenders.size(), 2u);
  EXPECT_THAT(second.needs[0].contenders[0].jobs, ElementsAre(1));
}

TEST(Needs, PerDropTakesMembersOfTheFusionsOwnDrop) {
  const Plan plan =
      planned(file_with("stages:\n  adapter: {drop: {standard: true, specialized: 2}}\n"
                        "  fusion: {needs: {from: adapter, per: [task, drop]}, sets: [all], targets: [b], drop: "
                        "{standard: true, specialized: 2}}\n"));
  ASSERT_EQ(plan.stages[1].count, 2u);
  for (JobIndex i = plan.stages[1].first; i < plan.jobs.size(); ++i) {
    for (const Need& need : plan.jobs[i].needs) {
      ASSERT_EQ(need.contenders.size(), 1u);
      EXPECT_EQ(plan.jobs[need.contenders[0].jobs[0]].drop, plan.jobs[i].drop);
    }
  }
}

TEST(Needs, OptionsReachTheNeed) {
  const Plan plan = fusion_plan(", stopped: true, on_missing: fail");
  const Need& need = plan.jobs.back().needs[0];
  EXPECT_TRUE(need.accept_stopped);
  EXPECT_EQ(need.on_missing, OnMissing::fail);
  EXPECT_EQ(need.rank, 0u);
}

TEST(Needs, SelectorIsInTheIdentity) {
  const JobId plain = fusion_plan("").jobs.back().id;
  EXPECT_NE(fusion_plan(", stopped: true").jobs.back().id, plain);
  EXPECT_NE(fusion_plan(", seeds: best", ", seeds: [6]").jobs.back().id, plain);
  EXPECT_EQ(fusion_plan(", on_missing: fail").jobs.back().id,
            plain);  // when nothing is there to fuse, not what is fused
  const json from = fusion_plan("").jobs.back().settings.whole().at("from");
  ASSERT_EQ(from.size(), 2u);
  EXPECT_EQ(from[0].at("contenders").size(), 2u);
  EXPECT_EQ(from[0].at("contenders")[0].size(), 3u);
}

TEST(Fusion, OneNeedOfOneJobIsAPlainDependency) {
  const Plan plan = planned(file_with("stages:\n  adapter: {}\n  fusion: {needs: {from: adapter}, sets: [[b, a]]}\n"));
  ASSERT_EQ(plan.stages[1].count, 2u);
  const json settings = plan.jobs[2].settings.whole();
  EXPECT_EQ(plan.jobs[2].task, "a");
  EXPECT_EQ(plan.jobs[2].set, "b+a");  // the set's own order
  EXPECT_EQ(settings.at("fusion"), json::parse(R"({"set":["b","a"],"config":"dynamic","head":"fresh"})"));
  EXPECT_EQ(settings.at("from"),
            json::array({{{"name", "b"}, {"job", plan.jobs[1].id}}, {{"name", "a"}, {"job", plan.jobs[0].id}}}));
}

TEST(Fusion, TargetsMayStandOutsideTheSet) {
  const Plan plan =
      planned(file_with("stages:\n  adapter: {}\n  fusion: {needs: {from: adapter}, sets: [[a]], targets: all}\n"));
  EXPECT_THAT(counts(plan), ElementsAre(2, 2));
}

TEST(Prune, KeepsBelowMembersOnlyAndSaysSo) {
  const Plan plan =
      planned(file_with("stages:\n  adapter: {}\n  fusion: {needs: {from: adapter}, sets: [[a, b]], targets: [a]}\n  "
                        "prune: {from: fusion, keep: [2, 1]}\n"));
  EXPECT_THAT(counts(plan), ElementsAre(2, 1, 1));
  const Job& prune = plan.jobs.back();
  EXPECT_EQ(prune.keep, 1u);
  EXPECT_EQ(prune.settings.whole().at("prune"),
            json::parse(R"({"keep":1,"by":"layer","data":"train","rows":"all","pad":"masked"})"));
  ASSERT_EQ(plan.notes.size(), 1u);
  EXPECT_THAT(plan.notes[0], HasSubstr("pruning a+b to 2 adapters keeps all; 1 jobs are not made"));
}

TEST(Prune, ThresholdsAreSettingsBesideKeep) {
  const auto with = [](const std::string& prune) {
    return file_with(
        "stages:\n  adapter: {}\n  fusion: {needs: {from: adapter}, sets: [[a, b]], targets: [a]}\n  prune: "
        "{from: fusion" +
        prune + "}\n  evaluate: {from: prune}\n");
  };
  const Plan plan = planned(with(", keep: 1, threshold: [0.1, 0.25]"));
  EXPECT_THAT(counts(plan), ElementsAre(2, 1, 3, 3));
  const Job& prune = plan.jobs[plan.stages[2].first + 2];
  EXPECT_EQ(prune.keep, 0u);
  EXPECT_EQ(prune.settings.whole().at("prune"),
            json::parse(R"({"threshold":0.25,"by":"layer","data":"train","rows":"all","pad":"masked"})"));
  EXPECT_EQ(prune.parameters.at("prune.threshold"), 0.25);
  // What is measured of it is told apart in the tables too.
  EXPECT_EQ(plan.jobs.back().parameters.at("prune.threshold"), 0.25);
  EXPECT_THAT(rendered(parse(with(", threshold: [0.1, 1]"), {})), HasSubstr("threshold: expected a number"));
  EXPECT_THAT(rendered(parse(with(", threshold: 0"), {})), HasSubstr("threshold: expected a number"));
  EXPECT_THAT(rendered(parse(with(", threshold: [0.2, 0.20]"), {})), HasSubstr("threshold: 0.2 stands twice"));
  EXPECT_THAT(rendered(parse(with(""), {})), HasSubstr("'keep' is missing"));
}

TEST(Evaluate, BestMakesOneJobPerGroupRankAndSeed) {
  const std::string head =
      "parameters: {lr: [1, 2, 3]}\nseeds: [1, 2]\nstages:\n  adapter: {drop: {standard: true, specialized: 1}}\n";
  EXPECT_EQ(planned(file_with(head + "  evaluate: {from: adapter, best: 1, per: [task, drop]}\n")).stages[1].count,
            2u * 2 * 1 * 2);
  EXPECT_EQ(planned(file_with(head + "  evaluate: {from: adapter, best: 2, per: [task]}\n")).stages[1].count,
            2u * 2 * 2);
  EXPECT_EQ(planned(file_with(head + "  evaluate: {from: adapter, best: 9, per: [task, drop]}\n")).stages[1].count,
            2u * 2 * 3 * 2);
  EXPECT_EQ(
      planned(file_with(head + "  evaluate: {from: adapter, best: 1, per: [task, drop, seed]}\n")).stages[1].count,
      2u * 2 * 2);
  const Plan plan = planned(file_with(head + "  evaluate: {from: adapter, best: 1, per: [task]}\n"));
  const Job& job = plan.jobs.back();
  EXPECT_EQ(job.needs[0].contenders.size(), 6u);
  EXPECT_EQ(job.drop, "");  // not known before one is chosen
  EXPECT_EQ(job.seed, 2);
  EXPECT_EQ(job.needs[0].seed_place, 1u);
}

TEST(Evaluate, JobsStandByTaskThenDropThenSet) {
  const Plan plan =
      planned(file_with("stages:\n  adapter: {drop: {specialized: 1, robust: 0..1}}\n  fusion: {needs: {from: adapter, "
                        "where: {drop: robust}}, sets: [all]}\n"
                        "  evaluate: {from: [fusion, adapter]}\n"));
  std::string order;
  for (JobIndex i = plan.stages[2].first; i < plan.jobs.size(); ++i)
    order += plan.jobs[i].task + "/" + plan.jobs[i].drop + "/" + plan.jobs[i].set + " ";
  EXPECT_EQ(order,
            "a/standard/a+b a/specialized-01/ a/robust-00-01/ b/standard/a+b b/specialized-01/ b/robust-00-01/ ");
}

TEST(Evaluate, SpecializedModelsFromTheirNOn) {
  const Plan plan =
      planned(file_with("stages:\n  adapter: {drop: {standard: true, specialized: [2, 5]}}\n  evaluate: {from: "
                        "adapter, where: {task: a}, depths: [0, 3]}\n"));
  ASSERT_EQ(plan.stages[1].count, 2u);  // n = 5 has no depth left
  EXPECT_EQ(plan.jobs[6].settings.whole().at("evaluate").at("depths"), json::array({0, 3}));
  EXPECT_EQ(plan.jobs[7].settings.whole().at("evaluate").at("depths"), json::array({3}));
  EXPECT_THAT(plan.notes.at(0), HasSubstr("1 specialised models"));
}

TEST(Evaluate, WhereKnowsPlannedColumns) {
  const auto count = [](const std::string& where) {
    return planned(file_with("parameters: {lr: [1, 2]}\nseeds: [1, 2]\nstages:\n  adapter: {drop: {standard: true, "
                             "specialized: [1, 3], robust: 0..2}}\n  evaluate: {from: adapter, where: {" +
                             where + "}}\n"))
        .stages[1]
        .count;
  };
  EXPECT_EQ(count("param.lr: 2"), 16u);
  EXPECT_EQ(count("param.train.lr: {lt: 2}"), 16u);
  EXPECT_EQ(count("drop: [standard, robust]"), 16u);
  EXPECT_EQ(count("drop: {ne: specialized}"), 16u);
  EXPECT_EQ(count("n: {ge: 1}"), 16u);
  EXPECT_EQ(count("n: 0..1"), 16u);
  EXPECT_EQ(count("hi: 2, seed: 1"), 4u);
  EXPECT_EQ(count("task: a, seed: 1, drop: specialized-03"), 2u);
  EXPECT_EQ(count("recipe: fast"), 32u);
}

TEST(Depths, BeyondTheModelAreErrors) {
  const auto message = [](const std::string& stages, std::uint32_t layers) {
    const auto plan = expand(parsed(file_with("stages:\n" + stages)), layers);
    return plan.ok() ? std::string() : plan.error().message;
  };
  EXPECT_EQ(message("  adapter: {drop: {specialized: 5}}\n", 6), "");
  EXPECT_THAT(message("  adapter: {drop: {specialized: 6}}\n", 6),
              HasSubstr("stage 'adapter': drop depth 6 is more than the model allows: it has 6 layers"));
  EXPECT_THAT(message("  adapter: {drop: {robust: 0..6}}\n", 6), HasSubstr("drop depth 6"));
  EXPECT_THAT(message("  adapter: {}\n  evaluate: {from: adapter, depths: 0..12}\n", 12), HasSubstr("depth 12"));
  EXPECT_EQ(message("  adapter: {drop: {specialized: 6}}\n", 0), "") << "L is not known yet";
}

TEST(Groups, DifferInParametersOnly) {
  const std::string head = "parameters: {lr: [1, 2, 3]}\n";
  const std::string stage =
      "stages:\n  adapter: {drop: {standard: true, specialized: 1}, stop: {method: asha, eta: 3}}\n";
  const auto groups = [](const Plan& plan) {
    std::map<std::string, int> out;
    for (const Job& job : plan.jobs) ++out[job.group];
    return out;
  };
  const auto one_seed = groups(planned(file_with(head + stage)));
  EXPECT_EQ(one_seed.size(), 4u);  // task x drop
  for (const auto& [group, jobs] : one_seed) EXPECT_EQ(jobs, 3) << group;
  const auto seeds = groups(planned(file_with(head + "seeds: [1, 2]\n" + stage)));
  EXPECT_EQ(seeds.size(), 4u);  // judged by the mean over seeds
  for (const auto& [group, jobs] : seeds) EXPECT_EQ(jobs, 6) << group;
  const Plan alone = planned(
      file_with(head + "seeds: [1, 2]\nstages:\n  adapter: {stop: {method: asha, per: [task, drop, set, seed]}}\n"));
  EXPECT_EQ(groups(alone).size(), 4u);
}

TEST(Groups, SmallerThanEtaGiveANote) {
  const Plan plan = planned(
      file_with("parameters: {lr: [1, 2]}\nseeds: [1, 2]\nstages:\n  adapter: {stop: {method: asha, eta: 3}}\n"));
  ASSERT_EQ(plan.notes.size(), 1u);
  EXPECT_THAT(plan.notes[0], HasSubstr("as few as 2 settings with each other, fewer than eta = 3"));
}

// What a person should know before the first job runs.
TEST(Groups, NotesWhereNothingCanEverStop) {
  const auto notes = [](const std::string& train, const std::string& stop) {
    std::string all;
    for (const std::string& note : planned(file_with("parameters: {lr: [1, 2, 3, 4]}\ntrain: {epochs: " + train +
                                                     "}\nstages:\n  adapter: {stop: " + stop + "}\n"))
                                       .notes)
      all += note + "\n";
    return all;
  };
  EXPECT_EQ(notes("3", "{method: asha}"), "");
  EXPECT_EQ(notes("3", "{method: asha, min: 5}"),
            "stage 'adapter': nothing is ever stopped early: jobs end at epoch 3, and the first verdict would be at "
            "epoch 5\n");
  EXPECT_EQ(notes("27", "{method: hyperband, eta: 3, rungs: 2}"), "");
  EXPECT_THAT(notes("27", "{method: asha, eta: 3, rungs: 1}"), HasSubstr("nothing is ever stopped early"));
  EXPECT_EQ(notes("6", "{method: median, startup: 3}"), "");
  EXPECT_EQ(notes("6", "{method: median, startup: 9}"),
            "stage 'adapter': stopping waits for startup = 9 settings to compare with, and some groups have 3 beside "
            "the one that is judged: nothing is stopped there\n");
  EXPECT_EQ(notes("6", "{method: threshold, lower: 0.5}"), "") << "it compares with nobody";
  EXPECT_EQ(notes("6", "{method: patience, patience: 4}"), "");
  EXPECT_THAT(notes("6", "{method: patience, patience: 5}"),
              HasSubstr("jobs end at epoch 6, and the first verdict would be at epoch 6"));
  EXPECT_THAT(notes("6", "{method: patience, patience: 3, every: 5}"), HasSubstr("would be at epoch 6"));
  EXPECT_EQ(notes("4", "{method: pbt, interval: 2}"), "");
  EXPECT_EQ(
      notes("4", "{method: pbt, interval: 4}"),
      "stage 'adapter': nothing is ever cloned: jobs end at epoch 4, and the first verdict would be at epoch 4\n");
  EXPECT_EQ(notes("4", "{method: asha, unit: step, min: 100}"), "") << "how many steps there are is not known";
  EXPECT_THAT(notes("4", "{method: median, unit: step, min: 100, max: 100}"), HasSubstr("jobs end at step 100"));
}

TEST(Groups, NotesWhereOneTaskOfTwoEndsTooEarly) {
  const Plan plan = planned(
      "version: 1\nname: t\nmodel: {path: m}\ntasks:\n  a: {path: a, train: {epochs: 2}}\n  b: {path: b, train: "
      "{epochs: 8}}\nparameters: {lr: [1, 2, 3, 4]}\nstages:\n  adapter: {stop: {method: asha, min: 2}}\n");
  ASSERT_EQ(plan.notes.size(), 1u);
  EXPECT_THAT(plan.notes[0], HasSubstr("jobs end at epoch 2, and the first verdict would be at epoch 2"));
}

TEST(Traps, HaveNotes) {
  const auto notes = [](const std::string& rest) { return planned(file_with(rest)).notes; };
  const std::string stages = "stages: {adapter: {}}\n";
  EXPECT_THAT(
      notes("objective: {metric: mse}\n" + stages),
      ElementsAre("objective: mse is better where it is smaller, and the goal is to maximize: the worst settings "
                  "win; say goal: minimize"));
  EXPECT_THAT(notes("objective: {metric: mse, goal: minimize}\n" + stages), IsEmpty());
  EXPECT_THAT(notes("objective: {metric: accuracy, goal: minimize}\n" + stages),
              ElementsAre(HasSubstr("say goal: maximize")));
  EXPECT_THAT(planned("version: 1\nname: t\nmodel: {path: m}\ntasks: {a: {path: a, metric: mse}}\n" + stages).notes,
              ElementsAre(HasSubstr("mse is better where it is smaller")));
  const std::string four = "parameters: {lr: [1, 2, 3, 4]}\n";
  EXPECT_THAT(notes(four + "stages: {adapter: {stop: {method: asha, per: [drop]}}}\n"),
              ElementsAre(HasSubstr("stop.per has no task: scores of different tasks are compared")));
  EXPECT_THAT(notes(four + "stages: {adapter: {stop: {method: asha, per: [task]}}}\n"), IsEmpty());
  EXPECT_THAT(notes("precision: tf32\nstages: {benchmark: {device: [cuda, cpu], subjects: {adapter: {}}}}\n"),
              ElementsAre(HasSubstr("stage 'benchmark': no CPU has precision tf32")));
  EXPECT_THAT(notes("precision: tf32\nstages: {benchmark: {device: cuda, subjects: {adapter: {}}}}\n"), IsEmpty());
}

TEST(Traps, AnExcludeThatRemovesNothingHasANote) {
  const std::string head = "parameters: {lr: [1, 2, 3, 4]}\n";
  const auto notes = [&](const std::string& exclude, const std::string& stages) {
    return planned(file_with(head + "exclude: " + exclude + "\nstages:\n" + stages)).notes;
  };
  EXPECT_THAT(notes("[{lr: 7}, {lr: {gt: 3}}]", "  adapter: {}\n"), ElementsAre("exclude: {lr: 7} removes nothing"));
  EXPECT_THAT(notes("[{lr: {gt: 5}, task: [a, b]}]", "  adapter: {}\n"),
              ElementsAre("exclude: {lr: {gt: 5}, task: [a,b]} removes nothing"));
  // One for two stages need not have an effect in both; what is drawn later may still be removed.
  EXPECT_THAT(notes("[{lr: 2}]", "  adapter: {}\n  finetune: {parameters: {lr: [1]}}\n"), IsEmpty());
  EXPECT_THAT(notes("[{lr: 7}]", "  adapter: {search: {sampler: tpe, trials: 2}}\n"), IsEmpty());
}

TEST(Groups, StopRuleOfTheStage) {
  const Plan plan =
      planned(file_with("train: {epochs: 9}\nstages:\n  adapter: {stop: {method: asha, min: 2, ties: first}}\n"));
  ASSERT_TRUE(plan.stages[0].stop.has_value());
  EXPECT_EQ(plan.stages[0].stop->eta, 4u);
  EXPECT_EQ(plan.stages[0].stop->min, 2u);
  EXPECT_EQ(plan.stages[0].stop->max, 9u);
  EXPECT_FALSE(plan.stages[0].stop->ties_continue);
}

}  // namespace
}  // namespace fathom::sweeps::testing
