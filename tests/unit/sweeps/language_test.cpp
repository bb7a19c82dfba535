// What a sweep file can say: values and their types, ranges, precedence, includes and overrides.
#include <gmock/gmock.h>

#include "sweeps/places.hpp"
#include "tests/unit/sweeps/support.hpp"

namespace fathom::sweeps::testing {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<std::string> ids(const Plan& plan) {
  std::vector<std::string> out;
  for (const Job& job : plan.jobs) out.push_back(job.id.text());
  return out;
}

// Ids of a one-stage file with these lines before `stages`.
std::vector<std::string> ids_with(const std::string& lines) {
  return ids(planned(file_with(lines + "stages:\n  adapter: {}\n")));
}

json settings_with(const std::string& lines, const std::string& stages = "  adapter: {}\n") {
  const Plan plan = planned(file_with(lines + "stages:\n" + stages));
  return plan.jobs.empty() ? json() : plan.jobs.front().settings.whole();
}

TEST(Values, EqualNumbersAreOneValueHoweverWritten) {
  const auto plain = ids_with("train: {batch: 16, lr: 0.0001}\n");
  EXPECT_EQ(ids_with("train: {batch: 16.0, lr: 1e-4}\n"), plain);
  EXPECT_EQ(ids_with("train: {batch: 1.6e1, lr: +1.0E-4}\n"), plain);
  EXPECT_NE(ids_with("train: {batch: 17, lr: 1e-4}\n"), plain);
}

TEST(Values, TheCacheIsOnUnlessToldAndMayHaveAnAge) {
  const auto cache = [](const std::string& line) {
    return planned(file_with(line + "stages:\n  adapter: {}\n")).cache;
  };
  EXPECT_TRUE(cache("").use);
  EXPECT_EQ(cache("").ttl_seconds, 0);
  EXPECT_FALSE(cache("cache: false\n").use);
  EXPECT_TRUE(cache("cache: {ttl: 2h}\n").use);
  EXPECT_EQ(cache("cache: {ttl: 2h}\n").ttl_seconds, 7200);
  EXPECT_FALSE(cache("cache: {use: false}\n").use);
  EXPECT_EQ(ids_with("cache: {ttl: 2h}\n"), ids_with(""));
}

TEST(Values, ThePrecisionIsThePlansAndTheJobs) {
  EXPECT_EQ(planned(file_with("stages:\n  adapter: {}\n")).precision, Precision::fp32);
  for (const auto& [word, precision] : {std::pair{"bf16", Precision::bf16}, {"tf32", Precision::tf32}}) {
    const Plan plan = planned(file_with("precision: " + std::string(word) + "\nstages:\n  adapter: {}\n"));
    EXPECT_EQ(plan.precision, precision);
    EXPECT_EQ(plan.jobs.at(0).settings.whole().at("precision"), word);
  }
}

TEST(Values, TextStaysText) {
  const std::string yaml =
      "version: 1\nname: t\nmodel: {path: m}\ntasks:\n  a: {path: d, text: 2024, label: no, labels: [yes, no, null, "
      "1e-3]}\nstages:\n  adapter: {}\n";
  const json task = planned(yaml).jobs.at(0).settings.whole().at("task");
  EXPECT_EQ(task.at("text"), json::array({"2024"}));
  EXPECT_EQ(task.at("label"), "no");
  EXPECT_EQ(task.at("labels"), json::array({"yes", "no", "null", "1e-3"}));
}

TEST(Values, DefaultsAreFilledIn) {
  const json settings = settings_with("");
  EXPECT_EQ(settings.at("train"),
            json::parse(R"({"lr":0.0001,"epochs":3,"batch":32,"max_length":128,"schedule":"linear","warmup":0,
      "weight_decay":0,"clip":1,"gradient_accumulation":1})"));
  EXPECT_EQ(settings.at("adapter"), json::parse(R"({"config":"seq_bn","reduction_factor":16,"non_linearity":"relu"})"));
  EXPECT_EQ(settings.at("objective"), json::parse(R"({"metric":"primary","goal":"maximize","depth":null})"));
  EXPECT_EQ(settings.at("recipe"), "fast");
  EXPECT_EQ(settings.at("seed"), 1);
  EXPECT_EQ(settings.at("drop"), json::parse(R"({"kind":"standard","n":0})"));
  EXPECT_EQ(ids_with("train: {lr: 1e-4, epochs: 3}\nseeds: 1\nrecipe: fast\n"), ids_with(""));
}

TEST(Values, AdapterPresetsBringTheirOwnDefaults) {
  EXPECT_EQ(settings_with("adapter: {config: double_seq_bn}\n").at("adapter").at("non_linearity"), "swish");
  EXPECT_EQ(settings_with("adapter: {config: par_bn}\n").at("adapter").at("reduction_factor"), 2);
  EXPECT_EQ(settings_with("adapter: {config: par_bn, reduction: 1.5}\n").at("adapter").at("reduction_factor"), 1.5);
}

TEST(Values, RangesCountUpAndDownWithBothEnds) {
  const Plan plan = planned(file_with("seeds: 3..1\nstages:\n  adapter: {drop: {specialized: [7, 2..4]}}\n"));
  ASSERT_EQ(plan.jobs.size(), 2u * 4 * 3);
  EXPECT_EQ(plan.jobs[0].drop, "specialized-02");
  EXPECT_EQ(plan.jobs[9].drop, "specialized-07");
  EXPECT_EQ(plan.jobs[0].seed, 3);
  EXPECT_EQ(plan.jobs[2].seed, 1);
}

TEST(Values, MetricsOfPointsAreMetrics) {
  const std::string tasks =
      "version: 1\nname: t\nmodel: {path: m}\ntasks:\n  a: {path: d, metric: eval/f1}\nstages:\n  adapter: {}\n";
  EXPECT_EQ(planned(tasks).jobs.at(0).settings.whole().at("task").at("metric"), "f1");
}

TEST(Places, AreWhereTheFileSaysItForItself) {
  const std::string yaml = file_with(
      "train: {epochs: 3}\nstages:\n  one: {kind: adapter, seeds: 1..2, train: {epochs: 5}}\n  two: {kind: adapter, "
      "parameters: {lr: {min: 1e-4, max: 1e-2, samples: 3}}}\n  fusion: {needs: {from: one}, seeds: match}\n");
  EXPECT_THAT(places_of(yaml, "seeds"), ElementsAre("stages.one.seeds"));
  EXPECT_THAT(places_of(yaml, "train.epochs"), ElementsAre("train.epochs", "stages.one.train.epochs"));
  EXPECT_THAT(places_of(yaml, "parameters.lr.samples"), ElementsAre("stages.two.parameters.lr.samples"));
  EXPECT_TRUE(places_of(yaml, "search.trials").empty());
  EXPECT_TRUE(places_of("[1, 2", "seeds").empty());
}

TEST(Tasks, FormsOfData) {
  const std::string yaml =
      "version: 1\nname: t\nmodel: {path: m}\ntasks:\n  folder: {path: data/x/}\n  files: {data: {train: a.csv, eval: "
      "b.csv}, text: [q, p], label: y}\n"
      "  split: {data: c.tsv, split: 0.1, text: m}\n  cola: {preset: glue/cola, path: G}\n  stsb: {preset: glue/stsb, "
      "path: G}\nstages:\n  adapter: {}\n";
  const Plan plan = planned(yaml);
  const auto task = [&](std::size_t i) { return plan.jobs.at(i).settings.whole().at("task"); };
  EXPECT_EQ(
      task(0),
      json::parse(
          R"({"name":"folder","train":"data/x/train.tsv","eval":"data/x/dev.tsv","text":["text"],"label":"label","labels":null,"metric":null})"));
  EXPECT_EQ(
      task(1),
      json::parse(
          R"({"name":"files","train":"a.csv","eval":"b.csv","text":["q","p"],"label":"y","labels":null,"metric":null})"));
  EXPECT_EQ(task(2).at("eval"), nullptr);
  EXPECT_EQ(task(2).at("split"), 0.1);
  EXPECT_EQ(task(2).at("split_seed"), 0);
  EXPECT_EQ(task(3).at("text"), json::array({4}));
  EXPECT_EQ(task(3).at("header"), false);
  EXPECT_EQ(task(3).at("metric"), "matthews");
  EXPECT_EQ(task(3).at("train"), "G/train.tsv");
  EXPECT_EQ(task(4).at("regression"), true);
  EXPECT_EQ(task(4).at("labels"), nullptr);
  EXPECT_EQ(task(4).at("metric"), "spearman");
}

TEST(Tasks, WarnsWhenOneNameBeginsAnother) {
  const Plan plan = planned(
      "version: 1\nname: t\nmodel: {path: m}\ntasks:\n  sst: {path: a}\n  sst2: {path: b}\nstages:\n  adapter: {}\n");
  ASSERT_EQ(plan.notes.size(), 1u);
  EXPECT_THAT(plan.notes[0], HasSubstr("'sst' begins the name of task 'sst2'"));
}

TEST(Precedence, RootThenTaskThenStageThenSample) {
  const std::string yaml =
      "version: 1\nname: t\nmodel: {path: m}\ntasks:\n  a: {path: a, train: {epochs: 5, batch: 5}}\n  b: {path: b}\n"
      "train: {epochs: 1, batch: 1, warmup: 1, lr: 1}\nparameters: {lr: [0.5]}\nstages:\n  adapter: {train: {batch: 7, "
      "lr: 7}}\n";
  const Plan plan = planned(yaml);
  const json a = plan.jobs.at(0).settings.whole().at("train");
  const json b = plan.jobs.at(1).settings.whole().at("train");
  EXPECT_EQ(a.at("epochs"), 5);
  EXPECT_EQ(b.at("epochs"), 1);
  EXPECT_EQ(a.at("batch"), 7);
  EXPECT_EQ(a.at("warmup"), 1);
  EXPECT_EQ(a.at("lr"), 0.5);
  EXPECT_EQ(plan.jobs[0].epochs, 5u);
  EXPECT_EQ(plan.jobs[1].epochs, 1u);
}

TEST(Precedence, RootParametersAndSeedsReachAdapterAndFinetuneOnly) {
  const Plan plan = planned(file_with(
      "parameters: {lr: [1e-3, 1e-4], reduction: [8, 16]}\nseeds: [1, 2]\nstages:\n  adapter: {}\n  finetune: {}\n"
      "  fusion: {needs: {from: adapter}, sets: [all], targets: [a]}\n"));
  // finetune has no adapter: its points that differ in reduction only are one.
  EXPECT_THAT(counts(plan), ElementsAre(2 * 4 * 2, 2 * 2 * 2, 1 * 2));
}

TEST(Precedence, StageParametersReplaceThoseOfTheSameName) {
  const Plan plan =
      planned(file_with("parameters: {lr: [1e-3, 1e-4], batch: [8, 16]}\nstages:\n  adapter: {parameters: {train.lr: "
                        "[1, 2, 3]}, seeds: [5]}\n"));
  EXPECT_EQ(plan.jobs.size(), 2u * 6);
  EXPECT_EQ(plan.jobs[0].seed, 5);
}

TEST(Include, MergesKeyByKeyAndTheIncludingFileWins) {
  ParseOptions options;
  std::vector<std::string> asked;
  options.read_include = [&](const std::string& path) -> Result<std::string> {
    asked.push_back(path);
    if (path == "parts/base.yaml")
      return std::string("include: more.yaml\nversion: 1\ntrain: {lr: 1, epochs: 4}\nseeds: [1, 2, 3]\n");
    if (path == "parts/more.yaml")
      return std::string("model: {path: m}\ntasks:\n  z: {path: z}\ntrain: {batch: 2, lr: 9}\n");
    return Error{Errc::not_found, "no such file"};
  };
  const Plan plan = planned(
      "include: parts/base.yaml\nname: t\ntasks:\n  a: {path: a}\ntrain: {epochs: 6}\nseeds: [7]\nstages:\n  adapter: "
      "{}\n",
      options);
  EXPECT_THAT(asked, ElementsAre("parts/base.yaml", "parts/more.yaml"));  // each against the file it stands in
  ASSERT_EQ(plan.jobs.size(), 2u);
  EXPECT_EQ(plan.jobs[0].task, "z");
  const json train = plan.jobs[0].settings.whole().at("train");
  EXPECT_EQ(train.at("lr"), 1);
  EXPECT_EQ(train.at("batch"), 2);
  EXPECT_EQ(train.at("epochs"), 6);
  EXPECT_EQ(plan.jobs[0].seed, 7);  // lists are replaced
}

TEST(Checkpoints, KeptEpochsArePartOfJobsThatTrainWhereThereAreSeveral) {
  const std::string rest =
      "seeds: [1]\nstages:\n  adapter: {}\n  fusion: {needs: {from: adapter}, sets: [all]}\n  whole: {kind: finetune}\n"
      "  prune: {from: fusion, keep: 1}\n  evaluate: {from: adapter}\n";
  const Plan plain = planned(file_with(rest)), one = planned(file_with(rest + "checkpoint: {keep: {best: 1}}\n")),
             three = planned(file_with(rest + "checkpoint: {keep: {best: 3}}\n"));
  ASSERT_EQ(three.jobs.size(), plain.jobs.size());
  for (std::size_t i = 0; i < plain.jobs.size(); ++i) {
    EXPECT_EQ(one.jobs[i].id, plain.jobs[i].id);
    EXPECT_NE(three.jobs[i].id, plain.jobs[i].id);  // of those that measure: by what they measure
    const json settings = three.jobs[i].settings.whole();
    const bool trains = three.jobs[i].kind != Kind::prune && three.jobs[i].kind != Kind::evaluate;
    EXPECT_EQ(settings.value("keep_best", json()), trains ? json(3) : json());
    EXPECT_FALSE(one.jobs[i].settings.whole().contains("keep_best"));
  }
}

TEST(Include, IsRefusedWhereNoFileMayBeRead) {
  const ParseResult result = parse("include: x.yaml\n" + file_with("stages:\n  adapter: {}\n"), {});
  ASSERT_EQ(result.errors.size(), 1u);
  EXPECT_EQ(result.errors[0].line, 1);
  EXPECT_THAT(result.errors[0].message, HasSubstr("merged by `fathom`"));
}

TEST(Include, MistakesNameTheFileTheyStandIn) {
  ParseOptions options;
  options.file = "main.yaml";
  options.read_include = [](const std::string&) -> Result<std::string> { return std::string("\ntrian: {}\n"); };
  const ParseResult result = parse("include: part.yaml\n" + file_with("stages:\n  adapter: {}\n"), options);
  ASSERT_EQ(result.errors.size(), 1u);
  EXPECT_EQ(result.errors[0].file, "part.yaml");
  EXPECT_EQ(result.errors[0].line, 2);
  EXPECT_EQ(result.errors[0].text, "trian: {}");
}

TEST(Set, OverridesBeforeChecking) {
  ParseOptions options;
  options.set = {"train.epochs=7", "stages.adapter.drop.robust=0..3", "parameters.lr=[1, 2]", "name=other"};
  const Plan plan = planned(file_with("stages:\n  adapter: {}\n"), options);
  EXPECT_EQ(plan.name, "other");
  EXPECT_EQ(plan.jobs.size(), 4u);
  EXPECT_EQ(plan.jobs[0].drop, "robust-00-03");
  EXPECT_EQ(plan.jobs[0].epochs, 7u);
}

TEST(Set, MistakesPointIntoTheOverride) {
  ParseOptions options;
  options.set = {"train.epoch=7"};
  EXPECT_THAT(rendered(parse(file_with("stages:\n  adapter: {}\n"), options)),
              HasSubstr("--set train.epoch:1:1: error: unknown key 'train.epoch' (did you mean 'epochs'?)"));
  options.set = {"nonsense", "name.x=1"};
  const std::string text = rendered(parse(file_with("stages:\n  adapter: {}\n"), options));
  EXPECT_THAT(text, HasSubstr("expected KEY=VALUE"));
  EXPECT_THAT(text, HasSubstr("not a map"));
}

TEST(Header, LimitsRetryAndPriority) {
  const Plan plan = planned(
      file_with("objective: {metric: mse, goal: minimize}\nlimits: {concurrency: 4, wall: 1h30m, job_wall: "
                "45s, failed: 2}\nretry: {max: 1, not_on: [oom]}\npriority: 7\nweight: 3\nstages:\n  adapter: {}\n"));
  EXPECT_EQ(plan.limits.concurrency, 4u);
  EXPECT_EQ(plan.limits.wall_seconds, 5400);
  EXPECT_EQ(plan.limits.job_wall_seconds, 45);
  EXPECT_EQ(plan.limits.failed, 2u);
  EXPECT_EQ(plan.retry.max, 1u);
  EXPECT_THAT(plan.retry.not_on, ElementsAre("oom"));
  EXPECT_EQ(plan.priority, 7u);
  EXPECT_EQ(plan.weight, 3u);
  EXPECT_EQ(plan.goal, Goal::minimize);
}

TEST(Conventions, StandInTheSettingsOnlyWhereTheyChangeSomething) {
  const std::string stages =
      "stages:\n  adapter: {drop: {standard: true, robust: 0..3}}\n"
      "  fusion: {needs: {from: adapter, where: {drop: standard}}, sets: [all], targets: [a], config: CONFIG}\n";
  const auto made = [&](const std::string& train, const std::string& config) {
    std::string text = stages;
    text.replace(text.find("CONFIG"), 6, config);
    return planned(file_with(train + text));
  };
  const auto plain = made("", "dynamic");
  const auto asked = made("train: {grads: zero, regularizer: lagged}\n", "dynamic");
  const auto spelled = made("train: {grads: none, regularizer: before}\n", "dynamic");
  ASSERT_EQ(asked.jobs.size(), 5u);
  for (std::size_t i = 0; i < plain.jobs.size(); ++i) {
    const json train = asked.jobs[i].settings.whole().at("train");
    const bool robust = asked.jobs[i].drop == "robust-00-03", fusion = asked.jobs[i].kind == Kind::fusion;
    EXPECT_EQ(train.value("grads", "none"), robust ? "zero" : "none");
    EXPECT_EQ(train.value("regularizer", "before"), fusion ? "lagged" : "before");
    EXPECT_EQ(asked.jobs[i].id == plain.jobs[i].id, !robust && !fusion);
    EXPECT_EQ(spelled.jobs[i].id, plain.jobs[i].id);
  }
  // A static fusion has no value matrices to regularise.
  EXPECT_EQ(made("train: {regularizer: lagged}\n", "static").jobs.back().id, made("", "static").jobs.back().id);
}

TEST(Drop, RobustTrueIsEveryLayerOfWhateverModel) {
  const std::string yaml =
      file_with("stages:\n  adapter: {drop: {robust: true}}\n  evaluate: {from: adapter, where: {drop: robust-all}}\n");
  const Plan plan = planned(yaml);
  EXPECT_EQ(plan.jobs[0].drop, "robust-all");
  EXPECT_EQ(plan.jobs[0].settings.whole().at("drop"), json::parse(R"({"kind":"robust","lo":0,"hi":null})"));
  // Symbolic: the same job with and without the model at hand.
  EXPECT_EQ(planned(yaml, {}, 12).jobs[0].id, plan.jobs[0].id);
  EXPECT_THAT(rendered(parse(file_with("stages:\n  adapter: {drop: {robust: false}}\n"), {})),
              HasSubstr("robust: expected"));
}

TEST(Conventions, CanBeSampled) {
  const Plan plan = planned(
      file_with("parameters: {grads: [none, zero]}\nstages:\n  adapter: {drop: {standard: true, robust: 0..3}}\n"));
  // One standard job a task, two robust ones.
  EXPECT_EQ(plan.jobs.size(), 6u);
}

}  // namespace
}  // namespace fathom::sweeps::testing
