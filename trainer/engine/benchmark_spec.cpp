#include "trainer/engine/benchmark_spec.hpp"

#include "trainer/engine/settings_object.hpp"

namespace fathom::trainer {
namespace {

Subject parse_subject(const SettingsObject& benchmark) {
  const auto word = benchmark.word("subject", "", {"finetune", "adapter", "fusion", "parallel", "separate"});
  if (word == "finetune") return Subject::finetune;
  if (word == "adapter") return Subject::adapter;
  if (word == "fusion") return Subject::fusion;
  return word == "parallel" ? Subject::parallel : Subject::separate;
}

}  // namespace

BenchmarkSpec parse_benchmark(const nlohmann::json& settings) {
  const SettingsObject root(settings, "");
  const auto benchmark = root.object("benchmark");
  BenchmarkSpec spec;
  spec.settings = settings;
  spec.model = model_in(settings);
  spec.frozen_dropout = root.word("recipe", "fast", {"fast", "hf"}) == "hf";
  spec.precision = precision_of(settings);
  spec.device = root.word("device", "cpu", {"cpu", "cuda"});
  spec.subject = parse_subject(benchmark);
  spec.train = benchmark.word("measure", "infer", {"train", "infer"}) == "train";
  spec.all_depths = benchmark.find("depth") && benchmark.at("depth") == "all";
  if (!spec.all_depths) spec.depth = benchmark.count("depth", 0, 0);
  const bool many = spec.subject != Subject::finetune && spec.subject != Subject::adapter;
  if (many) spec.members = benchmark.count("members", 1);
  spec.trained = benchmark.word("members_init", "random", {"random", "trained"}) == "trained";
  spec.batch = benchmark.count("batch", 1);
  spec.length = benchmark.count("length", 1);
  spec.warmup = benchmark.count("warmup", 0, 0);
  spec.steps = benchmark.count("steps", 1);
  spec.repeat = benchmark.count("repeat", 1, 1);
  if (spec.train && (spec.subject == Subject::parallel || spec.subject == Subject::separate))
    benchmark.refuse("measure", "is 'train', but several tasks on one input are measured by inference only");
  if (spec.subject != Subject::finetune) {
    spec.adapter = root.at("adapter");
    (void)root.object("adapter").text("config");
  }
  return spec;
}

JobSpec BenchmarkSpec::network_spec() const {
  JobSpec spec;
  spec.kind = subject == Subject::finetune ? JobKind::finetune
              : subject == Subject::fusion ? JobKind::fusion
                                           : JobKind::adapter;
  spec.task_name = "benchmark";
  spec.precision = precision;
  spec.drop = {depth, depth, false};
  spec.fusion_config = "dynamic";
  if (subject == Subject::finetune) return spec;
  spec.adapter = adapter;
  if (spec.adapter.value("share", "none") == "layers") spec.share = Share::layers;
  spec.adapter.erase("share");
  return spec;
}

}  // namespace fathom::trainer
