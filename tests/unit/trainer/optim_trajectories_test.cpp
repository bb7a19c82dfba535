// Whole training runs against the `adapters` package: learning rate, loss and gradient norm of every step, and every
// weight at the end. The reference data is not part of the repository; without it the tests are skipped.
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "trainer/checkpoint/adapter_files.hpp"
#include "trainer/checkpoint/safetensors.hpp"
#include "trainer/engine/training.hpp"

namespace fathom::trainer {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

const fs::path kGolden = fs::path(FATHOM_SOURCE_DIR) / "../shared/golden/adapters";

template <class T>
T unwrap(Result<T> result) {
  if (!result) throw std::runtime_error(result.error().message);
  return std::move(result).value();
}

void require_gradients(const Parameters& parameters) {
  for (const auto& parameter : parameters) parameter.value.requires_grad_(true);
}

struct Reference {
  json trajectory;
  fs::path folder;
  Network network;
  NamedTensors rows;  // input_ids attention_mask token_type_ids labels targets
  bool regression = false;

  explicit Reference(const fs::path& at) : folder(at) {
    trajectory = json::parse(std::ifstream(folder / "trajectory.json"));
    regression = trajectory["options"].value("regression", false);
    network.base = unwrap(load_base_model(kGolden / trajectory["base"].get<std::string>()));
    rows = unwrap(read_safetensors(folder.parent_path().parent_path() / "train.safetensors")).tensors;
    const auto& config = network.base->config;
    std::vector<std::shared_ptr<const Adapter>> adapters;
    for (const auto& name : trajectory["adapters"])
      adapters.push_back(
          std::make_shared<Adapter>(unwrap(load_adapter(folder / "init" / name.get<std::string>(), config))));
    network.head = std::make_shared<Head>(unwrap(load_head(folder / "init_head", config)));
    if (fs::exists(folder / "init_fusion")) {
      network.fusion = std::make_shared<Fusion>(unwrap(load_fusion(folder / "init_fusion", config)));
      network.setup = Setup::fuse(network.fusion, adapters);
      network.trained = network.fusion->parameters(config);
    } else {
      network.adapter = adapters.front();
      network.setup = Setup::single(network.adapter);
      network.trained = network.adapter->parameters(config);
    }
    const auto head = network.head->parameters();
    network.trained.insert(network.trained.end(), head.begin(), head.end());
    require_gradients(network.trained);
  }

  [[nodiscard]] LabelledBatch batch(const json& chosen) const {
    const auto index = at::tensor(chosen.get<std::vector<std::int64_t>>(), at::kLong);
    const auto take = [&](const char* name) { return rows.at(name).index_select(0, index); };
    LabelledBatch batch;
    batch.input = {take("input_ids"), take("attention_mask"), take("token_type_ids")};
    batch.labels = take(regression ? "targets" : "labels");
    batch.rows = chosen.size();
    return batch;
  }

  [[nodiscard]] TrainingOptions options() const {
    const auto& given = trajectory["options"];
    TrainingOptions options;
    options.schedule = {ScheduleKind::linear, given.value("lr", 1e-3), given.value("warmup", 5U),
                        trajectory["loss"].size()};
    options.adamw.weight_decay = given.value("weight_decay", 0.01);
    options.dropout = false;
    return options;
  }
};

class Trajectory : public testing::TestWithParam<const char*> {};

TEST_P(Trajectory, FollowsTheReferenceStepByStep) {
  const auto folder = kGolden / GetParam();
  if (!fs::exists(folder)) GTEST_SKIP() << "no reference data at " << folder;
  const Reference run(folder);
  const auto& expected = run.trajectory;
  const double loss_tolerance = expected["tolerance"]["loss"], norm_tolerance = expected["tolerance"]["grad_norm"];
  const auto skip = expected["options"].value("skip", std::vector<std::uint32_t>(expected["loss"].size(), 0));
  Training training(run.network, run.options());
  for (std::size_t step = 0; step < expected["loss"].size(); ++step) {
    const auto report = training.step(step, {run.batch(expected["order"][step])}, skip[step]);
    EXPECT_NEAR(report.lr, expected["lr"][step].get<double>(), 1e-12) << "step " << step;
    EXPECT_NEAR(report.loss, expected["loss"][step].get<double>(), loss_tolerance) << "step " << step;
    EXPECT_NEAR(report.grad_norm, expected["grad_norm"][step].get<double>(), norm_tolerance) << "step " << step;
  }
  const auto final = unwrap(read_safetensors(folder / "final.safetensors")).tensors;
  const double final_tolerance = expected["tolerance"]["final"];
  for (const auto& parameter : run.network.trained) {
    // Its true gradient is zero; AdamW makes real steps of rounding noise.
    if (parameter.name.ends_with("key.bias")) continue;
    ASSERT_TRUE(final.contains(parameter.name)) << parameter.name;
    const auto gap = (parameter.value.detach().sub(final.at(parameter.name))).abs().max().item<double>();
    EXPECT_LE(gap, final_tolerance) << parameter.name;
  }
}

INSTANTIATE_TEST_SUITE_P(Bert, Trajectory,
                         testing::Values("bert/trajectories/seq_bn_wd0.01", "bert/trajectories/seq_bn_wd0",
                                         "bert/trajectories/seq_bn_strong", "bert/trajectories/double_seq_bn",
                                         "bert/trajectories/par_bn", "bert/trajectories/head2_scaling",
                                         "bert/trajectories/robust_grads_none", "bert/trajectories/specialised_n2",
                                         "bert/trajectories/regression", "bert/trajectories/fusion_reg_before",
                                         "roberta/trajectories/seq_bn_wd0.01", "roberta/trajectories/robust_grads_none",
                                         "roberta/trajectories/fusion_reg_before"),
                         [](const auto& test) {
                           std::string name = test.param;
                           for (char& c : name) c = std::isalnum(static_cast<unsigned char>(c)) ? c : '_';
                           return name;
                         });

TEST(TrajectoryDecay, NamesThatDecayAreTheReferences) {
  const auto folder = kGolden / "bert/trajectories/head2_scaling";
  if (!fs::exists(folder)) GTEST_SKIP() << "no reference data at " << folder;
  const Reference run(folder);
  const auto decayed = run.trajectory["decayed"].get<std::vector<std::string>>();
  for (const auto& parameter : run.network.trained) {
    const bool expected = std::find(decayed.begin(), decayed.end(), parameter.name) != decayed.end();
    EXPECT_EQ(parameter.decay, expected) << parameter.name;
  }
}

}  // namespace
}  // namespace fathom::trainer
