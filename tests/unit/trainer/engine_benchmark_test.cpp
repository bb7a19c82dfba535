// Benchmark jobs: every subject is measured on both engines, parts add up, and what is measured is what real jobs do:
// several tasks in one pass answer as each of them alone. No absolute time is asserted.
#include <c10/core/InferenceMode.h>
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "tests/unit/trainer/engine_fixture.hpp"
#include "tests/unit/trainer/golden.hpp"
#include "trainer/engine/benchmark_job.hpp"
#include "trainer/report/step_times.hpp"

namespace fathom::trainer::testing_support {
namespace {

class EngineBenchmark : public EngineTest {
 protected:
  static json settings(const std::string& subject, const std::string& measure, std::uint32_t depth = 0) {
    json out = {{"kind", "benchmark"},
                {"model", {{"path", "models/tiny"}}},
                {"recipe", "fast"},
                {"precision", "fp32"},
                {"device", "cpu"},
                {"adapter", {{"config", "seq_bn"}, {"reduction_factor", 4}, {"non_linearity", "relu"}}},
                {"benchmark",
                 {{"subject", subject},
                  {"measure", measure},
                  {"depth", depth},
                  {"batch", 3},
                  {"length", 7},
                  {"warmup", 2},
                  {"steps", 4},
                  {"repeat", 2}}}};
    if (subject == "fusion" || subject == "parallel" || subject == "separate") out["benchmark"]["members"] = 3;
    return out;
  }

  void expect_refused(const json& settings, const std::string& part) {
    const auto record = run("refused-" + std::to_string(next_job_), settings);
    EXPECT_EQ(record->error_class, "config") << record->message;
    EXPECT_NE(record->message.find(part), std::string::npos) << record->message;
  }
};

std::map<std::string, double> values_of(const json& result, const std::string& split) {
  std::map<std::string, double> out;
  for (const auto& row : result.at("rows")) {
    EXPECT_EQ(row.at("split"), split);
    EXPECT_FALSE(row.at("primary").get<bool>());
    out[row.at("metric").get<std::string>()] = row.at("value").get<double>();
  }
  return out;
}

void expect_whole(const json& result, const std::string& measure) {
  const auto values = values_of(result, measure);
  for (const auto& [name, value] : values) EXPECT_GT(value, 0) << name;
  EXPECT_LE(values.at("p10"), values.at("seconds"));
  EXPECT_LE(values.at("seconds"), values.at("p90"));
  EXPECT_NEAR(values.at("rows_per_s") * values.at("seconds"), 3, 1e-9);
  EXPECT_EQ(values.contains("backward"), measure == "train");
  if (measure == "train") {
    const double sum = values.at("forward") + values.at("backward") + values.at("optimizer");
    EXPECT_NEAR(sum, values.at("seconds"), 1e-9 * sum);
  }
  EXPECT_TRUE(result.at("objective").is_null());
  EXPECT_EQ(result.at("steps"), 8);  // 2 rounds of 4; those of the warm-up are not counted
  EXPECT_EQ(result.at("examples"), 24);
  EXPECT_EQ(result.at("tokens"), 24 * 7);
  EXPECT_GT(result.at("seconds").get<double>(), 0);
}

TEST_F(EngineBenchmark, EverySubjectIsMeasuredOnBothEngines) {
  for (const EngineKind engine : {EngineKind::packed, EngineKind::reference}) {
    resources_ = std::make_unique<Resources>(root_, "cpu", alone(), engine);
    runner_ = std::make_unique<Runner>(*resources_);
    for (const std::string subject : {"finetune", "adapter", "fusion", "parallel", "separate"}) {
      for (const std::string measure : {"train", "infer"}) {
        const bool several = subject == "parallel" || subject == "separate";
        if (several && measure == "train") continue;
        const std::uint32_t depth = subject == "finetune" ? 0 : 2;
        const auto record =
            run(subject + measure + std::to_string(static_cast<int>(engine)), settings(subject, measure, depth));
        ASSERT_TRUE(record->finished()) << subject << ": " << record->message;
        expect_whole(record->result, measure);
        for (const auto& row : record->result.at("rows")) EXPECT_EQ(row.at("depth"), depth);
        const auto tree = folder(subject + measure + std::to_string(static_cast<int>(engine))) / "final";
        EXPECT_TRUE(fs::exists(tree / "fathom.json"));
        EXPECT_FALSE(fs::exists(tree / "adapter_config.json"));
      }
    }
  }
}

TEST_F(EngineBenchmark, MistakesAreNamed) {
  auto wrong = settings("adapter", "train");
  wrong["benchmark"]["subject"] = "adaptor";
  expect_refused(wrong, "benchmark.subject is 'adaptor'");
  wrong = settings("adapter", "train");
  wrong["device"] = "cuda";
  expect_refused(wrong, "device is cuda, but this trainer computes on cpu");
  wrong = settings("adapter", "train", 4);
  expect_refused(wrong, "4 layers");
  wrong = settings("adapter", "infer");
  wrong["benchmark"]["length"] = 64;
  expect_refused(wrong, "positions for 32 tokens");
  expect_refused(settings("parallel", "train"), "by inference only");
}

TEST_F(EngineBenchmark, AStoppedMeasurementLeavesNothing) {
  const auto record = add("stopped", settings("adapter", "train"));
  for (int i = 0; i < 4; ++i) runner_->turn();
  runner_->stop(last_fence(), /*keep_best=*/true);
  EXPECT_EQ(record->order.back(), "stopped");
  EXPECT_FALSE(fs::exists(folder("stopped") / "final"));
}

// AdapterDrop's multi-task inference: the layers below the adapters run once, and every task gets its own answer.
TEST_F(EngineBenchmark, SeveralTasksInOnePassAnswerAsEachAlone) {
  const auto model = resources_->model("models/tiny");
  OpenTask task;
  task.labels = {"0", "1"};
  task.rows = drawn_rows(model->base->config, 5, 9, 1);
  std::vector<std::uint32_t> rows = {0, 1, 2, 3, 4};
  const auto batch = make_batch(task.rows, rows).input;
  JobSpec spec = parse_benchmark(settings("parallel", "infer", 2)).network_spec();
  std::vector<Network> networks;
  for (spec.seed = 1; spec.seed <= 3; ++spec.seed) networks.push_back(make_adapter_network(spec, model->base, task));
  const c10::InferenceMode inference;
  for (const EngineKind kind : {EngineKind::packed, EngineKind::reference}) {
    const auto engine = make_engine(kind);
    std::vector<Branch> branches;
    for (const auto& network : networks) branches.push_back({&network, 2});
    const auto together = engine->logits(branches, batch);
    ASSERT_EQ(together.size(), 3u);
    for (std::size_t i = 0; i < 3; ++i) {
      const auto alone = engine->logits({branches[i]}, batch);
      EXPECT_LE(golden::difference(together[i], alone[0]), 1e-6) << i;
    }
    EXPECT_GT(golden::difference(together[0], together[1]), 1e-4);  // they are different tasks
  }
}

TEST_F(EngineBenchmark, RowsAreDrawnWithoutPadding) {
  ModelConfig config;
  config.vocabulary = 5;
  config.pad_token_id = 1;
  const auto rows = drawn_rows(config, 40, 6, 3);
  ASSERT_EQ(rows.size(), 40u);
  std::set<std::int32_t> seen(rows.ids.begin(), rows.ids.end());
  EXPECT_EQ(seen, (std::set<std::int32_t>{0, 2, 3, 4}));
  for (std::uint32_t i = 0; i < rows.size(); ++i) EXPECT_EQ(rows.length(i), 6u);
  EXPECT_EQ(drawn_rows(config, 40, 6, 3).ids, rows.ids);
  EXPECT_NE(drawn_rows(config, 40, 6, 4).ids, rows.ids);
}

TEST(StepTimes, QuantilesAndPartsThatAddUp) {
  std::vector<StepTimes> steps;
  for (const double seconds : {5.0, 1.0, 2.0, 4.0, 3.0}) steps.push_back({seconds * 0.5, seconds * 0.3, seconds * 0.2});
  const auto summary = summarise(steps);
  EXPECT_DOUBLE_EQ(summary.seconds, 3);
  EXPECT_DOUBLE_EQ(summary.p10, 1.4);
  EXPECT_DOUBLE_EQ(summary.p90, 4.6);
  EXPECT_DOUBLE_EQ(summary.forward, 1.5);
  EXPECT_DOUBLE_EQ(summary.backward, 0.9);
  EXPECT_DOUBLE_EQ(summary.optimizer, 0.6);
  EXPECT_DOUBLE_EQ(quantile({7}, 0.9), 7);
}

// One job measures every depth of whatever model.
TEST_F(EngineBenchmark, AllDepthsOneAfterTheOther) {
  for (const std::string subject : {"adapter", "parallel"}) {
    auto all = settings(subject, "infer");
    all["benchmark"]["depth"] = "all";
    const auto record = run("all-" + subject, all);
    ASSERT_TRUE(record->finished()) << record->message;
    std::map<int, int> rows;
    for (const auto& row : record->result["rows"]) ++rows[row["depth"].get<int>()];
    EXPECT_EQ(rows, (std::map<int, int>{{0, 4}, {1, 4}, {2, 4}, {3, 4}}));
    EXPECT_EQ(record->result["steps"], 4 * 2 * 4);
  }
}

// `members_init: trained`: what jobs trained is measured, in the order of the inputs.
TEST_F(EngineBenchmark, TrainedMembersAreMeasured) {
  const auto trained = [](const std::string& subject, const std::string& measure, std::uint32_t members) {
    auto out = settings(subject, measure, 2);
    out["adapter"] = adapter_settings("a").at("adapter");
    out["benchmark"]["members_init"] = "trained";
    if (subject != "adapter") out["benchmark"]["members"] = members;
    return out;
  };
  for (const std::string subject : {"adapter", "fusion", "parallel", "separate"}) {
    for (const std::string measure : {"train", "infer"}) {
      if (measure == "train" && (subject == "parallel" || subject == "separate")) continue;
      const auto job = "trained-" + subject + measure;
      auto inputs = make_members(job);
      if (subject == "adapter") inputs["members"].erase(1);
      const auto record = run(job, trained(subject, measure, 2), inputs);
      ASSERT_TRUE(record->finished()) << subject << ": " << record->message;
      expect_whole(record->result, measure);
    }
  }
  const auto few = run("few", trained("fusion", "infer", 3), make_members("few"));
  EXPECT_EQ(few->message, "inputs: the benchmark measures 3 trained members, found 2");
  auto other = trained("adapter", "infer", 1);
  other["adapter"]["non_linearity"] = "swish";
  auto one = make_members("other");
  one["members"].erase(1);
  const auto refused = run("other", other, one);
  EXPECT_EQ(refused->error_class, "config");
  EXPECT_NE(refused->message.find("'a' is an adapter of another configuration"), std::string::npos) << refused->message;
}

TEST_F(EngineBenchmark, AMemberHasItsTrainedWeights) {
  (void)make_members("weights");
  const auto model = resources_->model("models/tiny");
  OpenTask task;
  task.labels = {"0", "1"};
  auto wanted = settings("adapter", "train", 2);
  wanted["adapter"] = adapter_settings("b").at("adapter");
  const JobSpec spec = parse_benchmark(wanted).network_spec();
  const auto made = make_member_network(spec, model->base, task, {"b", "0", "inputs/b"}, folder("weights"));
  const auto saved = load_network(folder("member-b") / "final", model->base);
  std::map<std::string, at::Tensor> by_name;
  for (const auto& parameter : saved.adapter->parameters(model->base->config)) {
    std::string name = parameter.name;
    by_name[name.replace(name.find(".b."), 3, ".benchmark.")] = parameter.value;
  }
  const auto parameters = made.adapter->parameters(model->base->config);
  ASSERT_EQ(parameters.size() * 2, by_name.size());  // two of four layers are below the depth
  for (const auto& parameter : parameters) {
    ASSERT_TRUE(by_name.contains(parameter.name)) << parameter.name;
    EXPECT_EQ(golden::difference(parameter.value.detach(), by_name.at(parameter.name)), 0) << parameter.name;
    EXPECT_TRUE(parameter.value.requires_grad());
  }
}

// A config.json is enough: no weights, no tokenizer.
TEST_F(EngineBenchmark, ConfigurationsWithoutWeightsAreMeasured) {
  fs::create_directories(root_ / "sizes");
  fs::copy(root_ / "models/tiny/config.json", root_ / "sizes/four.json");
  auto random = settings("adapter", "train");
  random["model"] = {{"config", "sizes/four.json"}, {"init", "random"}};
  const auto record = run("random", random);
  ASSERT_TRUE(record->finished()) << record->message;
  expect_whole(record->result, "train");
  EXPECT_NE(record->result["base_sha256"], run("real", settings("adapter", "train"))->result["base_sha256"]);
  // The same weights whoever draws them.
  Resources other(root_, "cpu");
  const auto drawn = resources_->model("random:sizes/four.json"), again = other.model("random:sizes/four.json");
  EXPECT_EQ(drawn->sha256, again->sha256);
  EXPECT_TRUE(drawn->base->layers[3].query.weight.equal(again->base->layers[3].query.weight));
  EXPECT_NEAR(drawn->base->word_embeddings.std().item<double>(), 0.02, 0.004);
  // Text needs a tokenizer; beside the config of a whole model there is one.
  auto text = adapter_settings();
  text["model"] = random["model"];
  EXPECT_NE(run("text", text)->message.find("no tokenizer beside it"), std::string::npos);
  text["model"]["config"] = "models/tiny/config.json";
  EXPECT_TRUE(run("text-too", text)->finished());
  random["model"].erase("init");
  EXPECT_EQ(run("no-init", random)->error_class, "config");
}

}  // namespace
}  // namespace fathom::trainer::testing_support
