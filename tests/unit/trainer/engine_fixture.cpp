#include "tests/unit/trainer/engine_fixture.hpp"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros.h>
#include <unistd.h>

#include <algorithm>
#include <sstream>

#include "trainer/batches/random.hpp"
#include "trainer/checkpoint/safetensors.hpp"

namespace fathom::trainer::testing_support {
namespace {

constexpr std::int64_t kHidden = 16, kInner = 32, kLayers = 4, kPositions = 32;

const std::vector<std::string>& words() {
  static const std::vector<std::string> all = {"[PAD]", "[UNK]",  "[CLS]", "[SEP]", "[MASK]", "good",  "fine",
                                               "great", "lovely", "bad",   "awful", "poor",   "dull",  "film",
                                               "the",   "a",      "is",    "and",   "plot",   "actor", "."};
  return all;
}

void write_text(const fs::path& file, const std::string& text) { std::ofstream(file) << text; }

NamedTensors tiny_tensors() {
  auto generator = at::detail::createCPUGenerator(7);
  NamedTensors tensors;
  const auto dense = [&](const std::string& name, std::int64_t out, std::int64_t in) {
    tensors[name + ".weight"] = at::randn({out, in}, generator).mul_(0.2);
    tensors[name + ".bias"] = at::randn({out}, generator).mul_(0.02);
  };
  const auto norm = [&](const std::string& name) {
    tensors[name + ".weight"] = at::ones({kHidden});
    tensors[name + ".bias"] = at::zeros({kHidden});
  };
  const auto vocabulary = static_cast<std::int64_t>(words().size());
  tensors["embeddings.word_embeddings.weight"] = at::randn({vocabulary, kHidden}, generator);
  tensors["embeddings.position_embeddings.weight"] = at::randn({kPositions, kHidden}, generator).mul_(0.1);
  tensors["embeddings.token_type_embeddings.weight"] = at::randn({2, kHidden}, generator).mul_(0.1);
  norm("embeddings.LayerNorm");
  for (std::int64_t layer = 0; layer < kLayers; ++layer) {
    const std::string at = "encoder.layer." + std::to_string(layer) + ".";
    for (const auto* part : {"query", "key", "value"}) dense(at + "attention.self." + part, kHidden, kHidden);
    dense(at + "attention.output.dense", kHidden, kHidden);
    norm(at + "attention.output.LayerNorm");
    dense(at + "intermediate.dense", kInner, kHidden);
    dense(at + "output.dense", kHidden, kInner);
    norm(at + "output.LayerNorm");
  }
  return tensors;
}

std::string tiny_rows(std::uint32_t count, std::uint64_t seed) {
  std::ostringstream text;
  text << "text\tlabel\n";
  Xoshiro256 random(seed);
  for (std::uint32_t i = 0; i < count; ++i) {
    const bool positive = i % 2 == 0;
    const auto length = 3 + random.below(8);
    for (std::uint64_t w = 0; w < length; ++w) {
      // Every third word is a filler; the others carry the label.
      const auto pick = w % 3 == 2 ? 13 + random.below(7) : (positive ? 5 : 9) + random.below(4);
      text << (w ? " " : "") << words()[pick];
    }
    text << "\t" << (positive ? "pos" : "neg") << "\n";
  }
  return text.str();
}

}  // namespace

void write_tiny_model(const fs::path& folder) {
  fs::create_directories(folder);
  const json config = {{"model_type", "bert"},
                       {"architectures", {"BertModel"}},
                       {"hidden_size", kHidden},
                       {"num_hidden_layers", kLayers},
                       {"num_attention_heads", 4},
                       {"intermediate_size", kInner},
                       {"vocab_size", words().size()},
                       {"max_position_embeddings", kPositions},
                       {"type_vocab_size", 2},
                       {"pad_token_id", 0},
                       {"layer_norm_eps", 1e-12},
                       {"hidden_dropout_prob", 0.1},
                       {"attention_probs_dropout_prob", 0.1},
                       {"hidden_act", "gelu"}};
  write_text(folder / "config.json", config.dump());
  write_text(folder / "tokenizer_config.json", R"({"do_lower_case": true, "tokenizer_class": "BertTokenizer"})");
  std::string vocabulary;
  for (const auto& word : words()) vocabulary += word + "\n";
  write_text(folder / "vocab.txt", vocabulary);
  const auto written = write_safetensors(folder / "model.safetensors", tiny_tensors());
  if (!written) throw std::runtime_error(written.error().message);
}

void write_tiny_task(const fs::path& folder) {
  fs::create_directories(folder);
  write_text(folder / "train.tsv", tiny_rows(48, 1));
  write_text(folder / "dev.tsv", tiny_rows(24, 2));
}

void RecordingEvents::started(const std::string&, const std::string&, std::uint32_t resumed_epoch) {
  record_->order.push_back("started");
  record_->resumed_epoch = resumed_epoch;
}
void RecordingEvents::report(std::uint32_t epoch, std::uint64_t, double objective) {
  record_->order.push_back("report");
  record_->reports.emplace_back(epoch, objective);
}
void RecordingEvents::checkpoint(std::uint32_t, std::uint64_t, const std::string& path, double, bool) {
  record_->order.push_back("checkpoint");
  record_->checkpoints.push_back(path);
}
void RecordingEvents::finished(const std::string& result) {
  record_->order.push_back("finished");
  record_->result = json::parse(result);
}
void RecordingEvents::stopped(std::uint32_t, std::uint64_t, const std::string& result) {
  record_->order.push_back("stopped");
  if (!result.empty()) record_->result = json::parse(result);
}
void RecordingEvents::failed(const std::string& error_class, const std::string& message, std::uint64_t) {
  record_->order.push_back("failed");
  record_->error_class = error_class;
  record_->message = message;
}

EngineTest::EngineTest() {
  std::string name = (fs::temp_directory_path() / "fathom-engine-XXXXXX").string();
  if (!::mkdtemp(name.data())) throw std::runtime_error("no temporary folder");
  root_ = name;
  write_tiny_model(root_ / "models/tiny");
  write_tiny_task(root_ / "toy");
  resources_ = std::make_unique<Resources>(root_, "cpu");
  runner_ = std::make_unique<Runner>(*resources_);
}

EngineTest::~EngineTest() {
  runner_.reset();
  std::error_code ignored;
  fs::remove_all(root_, ignored);
}

json EngineTest::adapter_settings(const std::string& name) {
  return {{"kind", "adapter"},
          {"model", {{"path", "models/tiny"}}},
          {"recipe", "fast"},
          {"precision", "fp32"},
          {"objective", {{"metric", "primary"}, {"goal", "maximize"}, {"depth", nullptr}}},
          {"task",
           {{"name", name},
            {"train", "toy/train.tsv"},
            {"eval", "toy/dev.tsv"},
            {"text", {"text"}},
            {"label", "label"},
            {"labels", nullptr},
            {"metric", nullptr}}},
          {"drop", {{"kind", "standard"}, {"n", 0}}},
          {"adapter", {{"config", "seq_bn"}, {"reduction_factor", 4}, {"non_linearity", "relu"}}},
          {"train",
           {{"lr", 0.01},
            {"epochs", 3},
            {"batch", 8},
            {"max_length", 24},
            {"schedule", "linear"},
            {"warmup", 0.1},
            {"weight_decay", 0.01},
            {"clip", 1.0},
            {"gradient_accumulation", 1}}},
          {"seed", 1}};
}

json EngineTest::fusion_settings() {
  auto settings = adapter_settings("a");
  settings["kind"] = "fusion";
  settings.erase("adapter");
  settings["fusion"] = {{"set", {"a", "b"}}, {"config", "dynamic"}, {"head", "fresh"}};
  settings["train"]["epochs"] = 1;
  return settings;
}

json EngineTest::make_members(const std::string& job) {
  json members = json::array();
  for (const std::string name : {"a", "b"}) {
    auto settings = adapter_settings(name);
    settings["seed"] = name == "a" ? 1 : 2;
    const bool trained = fs::exists(folder("member-" + name)) || run("member-" + name, settings)->finished();
    EXPECT_TRUE(trained);
    fs::create_directories(folder(job) / "inputs");
    fs::copy(folder("member-" + name) / "final", folder(job) / "inputs" / name);
    members.push_back({{"name", name}, {"job", "0"}, {"folder", "inputs/" + name}});
  }
  return {{"members", members}};
}

json EngineTest::lay_source(const std::string& from, const std::string& job) {
  fs::create_directories(folder(job) / "inputs");
  fs::copy(folder(from) / "final", folder(job) / "inputs/source", fs::copy_options::recursive);
  return {{"source", {{"job", "0"}, {"folder", "inputs/source"}}}};
}

std::shared_ptr<Record> EngineTest::add(const std::string& job, const json& settings, const json& inputs) {
  auto record = std::make_shared<Record>();
  fs::create_directories(folder(job));
  runner_->add(fence(next_job_++), {settings.dump(), inputs.dump(), folder(job)},
               std::make_unique<RecordingEvents>(record));
  return record;
}

std::shared_ptr<Record> EngineTest::run(const std::string& job, const json& settings, const json& inputs) {
  auto record = add(job, settings, inputs);
  run_all();
  return record;
}

std::string EngineTest::weights(const std::string& job) const {
  std::vector<fs::path> files;
  for (const auto& entry : fs::recursive_directory_iterator(folder(job) / "final")) {
    const auto ending = entry.path().extension();
    if (ending == ".safetensors" || ending == ".bin") files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  std::ostringstream bytes;
  for (const auto& file : files) bytes << file.filename() << std::ifstream(file, std::ios::binary).rdbuf();
  return bytes.str();
}

}  // namespace fathom::trainer::testing_support
