// Writes folders for tests/e2e/interop_files_test.py, which opens them with the real `adapters` package. Skipped unless
// FATHOM_INTEROP_OUT names a folder to write to.
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Parallel.h>

#include "tests/unit/trainer/golden.hpp"
#include "trainer/adapters/prune.hpp"
#include "trainer/checkpoint/adapter_files.hpp"
#include "trainer/checkpoint/safetensors.hpp"

namespace fathom::trainer {
namespace {

using golden::value;
namespace fs = std::filesystem;

// Freshly drawn parts of one seed, saved with the outputs that they give here: the reader must load every tensor bit
// for bit and compute the same.
class Writer {
 public:
  Writer(fs::path out, const char* family)
      : out_(std::move(out)), data_(golden::root() / family), model_(value(load_base_model(data_ / "base"))) {
    batch_ = golden::read_batch(data_ / "inputs.safetensors");
  }

  // The library's twin: torch.manual_seed(SEED), then add_adapter, add_classification_head.
  void adapter_with_head(const char* name, const std::string& preset, std::int64_t labels, Share share = Share::none) {
    at::Generator generator = at::detail::createCPUGenerator(11);
    const auto adapter = std::make_shared<Adapter>(
        value(make_adapter(name, value(adapter_preset(preset)), model_->config, generator, share)));
    HeadConfig config;
    config.num_labels = labels;
    const Head head = value(make_head(name, config, model_->config, generator));
    must(save_adapter(out_ / name, *adapter, model_->config));
    must(save_head(out_ / name, head, model_->config));
    save_expected(out_ / name, Setup::single(adapter), head);
  }

  // Members drawn wide, so that fusion weights are far from equal; one head for the fusion's task.
  void fusions() {
    at::Generator generator = at::detail::createCPUGenerator(12);
    std::vector<Adapter> members;
    std::vector<std::shared_ptr<const Adapter>> shared;
    for (const char* name : {"mr", "sms", "tweets"}) {
      const auto preset = std::string(name) == "sms" ? "seq_bn[reduction_factor=8]" : "seq_bn[reduction_factor=4]";
      members.push_back(value(make_adapter(name, value(adapter_preset(preset)), model_->config, generator)));
      for (const Parameter& p : members.back().parameters(model_->config)) widen(p.value, generator);
      shared.push_back(std::make_shared<Adapter>(members.back()));
    }
    const auto fusion =
        std::make_shared<Fusion>(value(make_fusion("", FusionConfig{}, members, model_->config, generator)));
    for (const Parameter& p : fusion->parameters(model_->config)) widen(p.value, generator);
    const auto head = std::make_shared<Head>(value(make_head("fusion_mr", HeadConfig{}, model_->config, generator)));
    const Setup setup = Setup::fuse(fusion, shared);
    save_fuse("fuse", setup, head);
    save_fuse("keep2", value(prune_fusion(setup, {{"mr", "sms"}, {"sms", "tweets"}, {"mr", "tweets"}, {"mr", "sms"}})),
              head);
    save_fuse("keep1", value(prune_fusion(setup, {{"mr"}, {"sms"}, {"mr"}, {"tweets"}})), head);
    // As a threshold leaves them: layers keep different numbers of members.
    save_fuse("uneven", value(prune_fusion(setup, {{"mr"}, {"mr", "sms", "tweets"}, {"sms", "tweets"}, {"sms"}})),
              head);
    // Fusion and adapters of the lowest two layers left out.
    save_fuse("dropped_fuse", value(prune_fusion(drop(setup, 2), {})), head);
  }

  // What the library saved, read and saved by us: on its way back nothing may be lost.
  void resaved() {
    const auto adapter =
        std::make_shared<Adapter>(value(load_adapter(data_ / "adapters_with_head/hou1", model_->config)));
    const Head head = value(load_head(data_ / "adapters_with_head/hou1", model_->config));
    must(save_adapter(out_ / "resaved", *adapter, model_->config));
    must(save_head(out_ / "resaved", head, model_->config));
    save_expected(out_ / "resaved", Setup::single(adapter), head);
    const SavedSetup saved = value(load_setup(data_ / "setups/fuse3", model_->config));
    save_fuse("resaved_fuse", saved.setup, saved.heads.front());
  }

 private:
  static void must(const Status& status) {
    if (!status) throw std::runtime_error(status.error().message);
  }

  static void widen(const at::Tensor& tensor, at::Generator& generator) {
    const c10::NoGradGuard no_grad;
    const at::Tensor noise = tensor.detach().clone().normal_(0, 0.3, generator);
    tensor.add_(noise);
  }

  static Setup drop(const Setup& setup, std::int64_t n) {
    Setup out = setup;
    for (Setup& child : out.children) {
      Adapter adapter = *child.adapter;
      for (std::int64_t layer = 0; layer < n; ++layer) {
        adapter.modules[static_cast<std::size_t>(layer)] = {};
        adapter.config.leave_out.push_back(layer);
      }
      child = Setup::single(std::make_shared<Adapter>(std::move(adapter)));
    }
    return out;
  }

  void save_fuse(const char* name, const Setup& setup, const std::shared_ptr<const Head>& head) {
    must(check_setup(setup, model_->config));
    must(save_setup(out_ / name, {setup, {head}}, model_->config));
    save_expected(out_ / name, setup, *head);
  }

  // expected.safetensors in the form of check_saved.py.
  void save_expected(const fs::path& folder, const Setup& setup, const Head& head) {
    const c10::NoGradGuard no_grad;
    const at::Tensor hidden = forward(*model_, batch_, setup).last_hidden_state;
    must(write_safetensors(
        folder / "expected.safetensors",
        {{"last_hidden_state", hidden}, {"logits." + head.name, head_logits(head, *model_, hidden)}}));
  }

  fs::path out_;
  fs::path data_;
  std::shared_ptr<const BaseModel> model_;
  Batch batch_;
};

TEST(Interop, WriteFolders) {
  REQUIRE_GOLDEN();
  const char* out = std::getenv("FATHOM_INTEROP_OUT");
  if (!out) GTEST_SKIP() << "FATHOM_INTEROP_OUT is not set; tests/e2e/interop_files_test.py runs this";
  at::set_num_threads(1);
  for (const char* family : {"bert", "roberta"}) {
    Writer writer(fs::path(out) / family, family);
    writer.adapter_with_head("sequential", "seq_bn[reduction_factor=4]", 2);
    writer.adapter_with_head("twice", "double_seq_bn[reduction_factor=8]", 3);
    writer.adapter_with_head("beside", "par_bn[reduction_factor=2]", 1);
    // Every depth of one seed: what is not created draws nothing, so all of them start at the same numbers.
    writer.adapter_with_head("dropped1", "seq_bn[reduction_factor=4, leave_out=[0]]", 2);
    writer.adapter_with_head("dropped2", "seq_bn[reduction_factor=4, leave_out=[0, 1]]", 2);
    writer.adapter_with_head("dropped3", "seq_bn[reduction_factor=4, leave_out=[0, 1, 2]]", 2);
    writer.adapter_with_head("twice_dropped2", "double_seq_bn[reduction_factor=8, leave_out=[0, 1]]", 3);
    writer.adapter_with_head("beside_dropped3", "par_bn[reduction_factor=2, leave_out=[0, 1, 2]]", 1);
    writer.adapter_with_head("shared", "seq_bn[reduction_factor=4]", 2, Share::layers);
    writer.adapter_with_head("shared_twice", "double_seq_bn[reduction_factor=8, leave_out=[0]]", 2, Share::layers);
    writer.fusions();
    writer.resaved();
  }
}

}  // namespace
}  // namespace fathom::trainer
