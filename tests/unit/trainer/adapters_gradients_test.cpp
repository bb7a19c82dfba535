// Gradients of the first step of every golden training run, before clipping.
#include <gtest/gtest.h>

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/index_select.h>

#include "tests/unit/trainer/golden.hpp"
#include "trainer/checkpoint/adapter_files.hpp"

namespace fathom::trainer {
namespace {

using golden::value;
using nlohmann::json;
namespace fs = std::filesystem;

void require_grad(const Parameters& parameters) {
  for (const Parameter& p : parameters) p.value.set_requires_grad(true);
}

// The parts of a run at its start, and what trains.
struct Run {
  Setup setup;
  Head head;
  Parameters trained;
};

Run load_run(const fs::path& folder, const json& about, const ModelConfig& model) {
  Run run;
  std::vector<std::shared_ptr<const Adapter>> adapters;
  for (const auto& name : about.at("adapters")) {
    adapters.push_back(
        std::make_shared<Adapter>(value(load_adapter(folder / "init" / name.get<std::string>(), model))));
  }
  run.head = value(load_head(folder / "init_head", model));
  if (about.at("fusions").empty()) {
    run.setup = Setup::single(adapters.front());
    run.trained = adapters.front()->parameters(model);
  } else {
    const auto fusion = std::make_shared<Fusion>(value(load_fusion(folder / "init_fusion", model)));
    run.setup = Setup::fuse(fusion, adapters);
    run.trained = fusion->parameters(model);
  }
  for (const Parameter& p : run.head.parameters()) run.trained.push_back(p);
  require_grad(run.trained);
  return run;
}

at::Tensor labels_of(const fs::path& file, const json& about, const std::vector<std::int64_t>& rows) {
  const bool regression = about.at("options").value("regression", false);
  const at::Tensor all = golden::read_tensors(file).at(regression ? "targets" : "labels");
  const at::Tensor index =
      at::from_blob(const_cast<std::int64_t*>(rows.data()), {static_cast<std::int64_t>(rows.size())}, at::kLong);
  return at::index_select(all, 0, index);
}

void check_run(const fs::path& family, const fs::path& folder, const BaseModel& model) {
  const json about = golden::read_json(folder / "trajectory.json");
  const auto rows = about.at("order").at(0).get<std::vector<std::int64_t>>();
  const Run run = load_run(folder, about, model.config);
  ForwardOptions options;
  const json skip = about.at("options").value("skip", json());
  if (skip.is_array()) options.drop_depth = skip.at(0).get<std::int64_t>();
  const Batch batch = golden::read_batch(family / "train.safetensors", rows);
  const ForwardResult result = forward(model, batch, run.setup, options);
  const at::Tensor labels = labels_of(family / "train.safetensors", about, rows);
  at::Tensor loss = head_loss(run.head, head_logits(run.head, model, result.last_hidden_state), labels);
  EXPECT_NEAR(loss.item<double>(), about.at("loss").at(0).get<double>(),
              about.at("tolerance").at("loss").get<double>());
  loss.backward();
  if (about.at("options").value("fusion_reg", json()) == "before") {
    fusion_regularization(*run.setup.fusion).backward();
  }
  const NamedTensors expected = golden::read_tensors(folder / "first_grads.safetensors");
  std::size_t with_gradient = 0;
  for (const Parameter& p : run.trained) {
    const auto found = expected.find(p.name);
    if (found == expected.end()) {
      EXPECT_FALSE(p.value.grad().defined()) << p.name << " must have no gradient";
      continue;
    }
    ++with_gradient;
    ASSERT_TRUE(p.value.grad().defined()) << p.name;
    EXPECT_LE(golden::difference(found->second, p.value.grad()), about.at("tolerance").at("grad_norm").get<double>())
        << p.name;
  }
  EXPECT_EQ(with_gradient, expected.size());
}

class FirstGradients : public testing::TestWithParam<const char*> {};

TEST_P(FirstGradients, EqualTheLibrary) {
  REQUIRE_GOLDEN();
  at::set_num_threads(1);
  const fs::path family = golden::root() / GetParam();
  const auto model = value(load_base_model(family / "base"));
  int runs = 0;
  for (const auto& entry : fs::directory_iterator(family / "trajectories")) {
    SCOPED_TRACE(entry.path().filename().string());
    check_run(family, entry.path(), *model);
    ++runs;
  }
  EXPECT_EQ(runs, 12);
}

INSTANTIATE_TEST_SUITE_P(Families, FirstGradients, testing::Values("bert", "roberta"),
                         [](const auto& family) { return std::string(family.param); });

// Names, order and weight decay of what trains, as the library's Trainer groups them.
TEST_P(FirstGradients, TrainedAndDecayedNames) {
  REQUIRE_GOLDEN();
  const fs::path family = golden::root() / GetParam();
  const auto model = value(load_base_model(family / "base"));
  for (const auto& entry : fs::directory_iterator(family / "trajectories")) {
    SCOPED_TRACE(entry.path().filename().string());
    const json about = golden::read_json(entry.path() / "trajectory.json");
    std::vector<std::string> trained, decayed;
    for (const Parameter& p : load_run(entry.path(), about, model->config).trained) {
      trained.push_back(p.name);
      if (p.decay) decayed.push_back(p.name);
    }
    EXPECT_EQ(trained, about.at("trained").get<std::vector<std::string>>());
    EXPECT_EQ(decayed, about.at("decayed").get<std::vector<std::string>>());
  }
}

}  // namespace
}  // namespace fathom::trainer
