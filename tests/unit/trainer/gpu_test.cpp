// A GPU against the CPU: the same masks bit for bit, the same logits, losses and scores within rounding. Skipped,
// saying why, where there is no CUDA module or no device.
#include <ATen/TensorOperators.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/ones.h>

#include <cmath>

#include "tests/unit/trainer/engine_fixture.hpp"
#include "trainer/engine/network.hpp"
#include "trainer/gpu/gpu_module.hpp"
#include "trainer/model/dropout.hpp"
#include "trainer/model/encoder.hpp"

namespace fathom::trainer {
namespace {

using testing_support::EngineTest;
using testing_support::json;
using testing_support::Record;

// Sums of a few hundred products in another order, through a few layers and a few steps.
constexpr double kLogits = 1e-4;
constexpr double kTraining = 1e-3;

// Why there is no GPU; empty: there is one.
std::string no_gpu() {
  std::string error;
  const auto* module = open_gpu_module(&error);
  if (module == nullptr) return error;
  return module->devices(&error).empty() ? error : std::string();
}

#define SKIP_WITHOUT_GPU() \
  if (const auto why = no_gpu(); !why.empty()) GTEST_SKIP() << "no GPU: " << why

class Gpu : public EngineTest {
 protected:
  // Points and result of the job on a device.
  std::shared_ptr<Record> run_on(const std::string& device, const json& settings, const json& inputs = json::object()) {
    resources_ = std::make_unique<Resources>(root_, device);
    runner_ = std::make_unique<Runner>(*resources_);
    return run(settings.at("kind").get<std::string>() + "-" + device, settings, inputs);
  }
  static void expect_equal(const Record& cpu, const Record& gpu) {
    ASSERT_TRUE(cpu.finished());
    ASSERT_TRUE(gpu.finished()) << gpu.message;
    ASSERT_EQ(cpu.metrics.size(), gpu.metrics.size());
    for (std::size_t i = 0; i < cpu.metrics.size(); ++i) {
      const auto& [name, step, value, depth] = cpu.metrics[i];
      EXPECT_EQ(gpu.metrics[i].name, name);
      EXPECT_NEAR(gpu.metrics[i].value, value, kTraining * std::max(1.0, std::abs(value)))
          << name << " at step " << step << ", depth " << depth;
    }
    EXPECT_EQ(gpu.result.at("device"), "cuda:0");
  }
};

TEST_F(Gpu, DropoutDrawsTheSameMasks) {
  SKIP_WITHOUT_GPU();
  const DropoutSource source{7, 3, 5};
  for (const auto& shape : {std::vector<std::int64_t>{3, 8}, {4, 9, 33}, {2, 3, 17, 17}}) {
    for (const auto type : {at::kFloat, at::kDouble}) {
      const auto x = at::ones(shape, type);
      const auto on_gpu = dropout(x.to(at::Device("cuda:0")), 0.3, source, dropout_site::in_layer(1, 2));
      EXPECT_TRUE(at::equal(dropout(x, 0.3, source, dropout_site::in_layer(1, 2)), on_gpu.cpu()));
    }
  }
}

TEST_F(Gpu, LogitsAreTheCpus) {
  SKIP_WITHOUT_GPU();
  const auto spec = parse_spec(adapter_settings());
  std::vector<at::Tensor> logits;
  for (const std::string device : {"cpu", "cuda:0"}) {
    Resources resources(root_, device);
    const auto model = resources.model(spec.model);
    const auto task = resources.task(spec.model, spec.task, data::Split::eval, spec.train.max_length);
    const auto network = make_adapter_network(spec, model->base, *task);
    const std::vector<std::uint32_t> rows = {0, 1, 2, 3, 4};
    const auto batch = on_device(make_batch(task->rows, rows), resources.place());
    const auto hidden = forward(*network.base, batch.input, network.setup).last_hidden_state;
    EXPECT_EQ(hidden.device().str(), device);
    logits.push_back(head_logits(*network.head, *network.base, hidden).detach().cpu());
  }
  EXPECT_LE((logits[0] - logits[1]).abs().max().item<double>(), kLogits);
}

TEST_F(Gpu, TrainingIsTheCpus) {
  SKIP_WITHOUT_GPU();
  auto settings = adapter_settings();
  expect_equal(*run_on("cpu", settings), *run_on("cuda:0", settings));
  settings["drop"] = {{"kind", "robust"}, {"lo", 0}, {"hi", 3}};
  expect_equal(*run_on("cpu", settings), *run_on("cuda:0", settings));
}

// Tensor cores round factors to 10 bits: near the CPU's float32, and not its neighbours' bits.
TEST_F(Gpu, Tf32IsNearFloat32AndLeavesNeighboursAlone) {
  SKIP_WITHOUT_GPU();
  auto settings = adapter_settings();
  const auto exact = run_on("cuda:0", settings);
  settings["precision"] = "tf32";
  const auto rough = run_on("cuda:0", settings);
  ASSERT_TRUE(exact->finished() && rough->finished()) << rough->message;
  settings["precision"] = "fp32";
  const auto again = run_on("cuda:0", settings);
  ASSERT_EQ(exact->metrics.size(), rough->metrics.size());
  bool differs = false;
  for (std::size_t i = 0; i < exact->metrics.size(); ++i) {
    EXPECT_EQ(exact->metrics[i].value, again->metrics[i].value);
    if (exact->metrics[i].name.find("loss") == std::string::npos) continue;
    EXPECT_NEAR(exact->metrics[i].value, rough->metrics[i].value, 0.02);
    differs = differs || exact->metrics[i].value != rough->metrics[i].value;
  }
  EXPECT_TRUE(differs);
}

}  // namespace
}  // namespace fathom::trainer
