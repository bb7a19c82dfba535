#include "trainer/engine/bench.hpp"

#include <ATen/Parallel.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/randn.h>
#include <c10/core/InferenceMode.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>

#include "trainer/engine/benchmark_job.hpp"
#include "trainer/engine/errors.hpp"
#include "trainer/engine/resources.hpp"

namespace fathom::trainer {
namespace {

using nlohmann::json;

constexpr std::uint32_t kWarmup = 2;

struct Case {
  std::string name, subject, measure;
  std::uint32_t members = 1, depth = 0, length = 0;
};

// What a job says when it has measured.
class Outcome final : public JobEvents {
 public:
  void started(const std::string&, const std::string&, std::uint32_t) override {}
  void report(std::uint32_t, std::uint64_t, double) override {}
  void checkpoint(std::uint32_t, std::uint64_t, const std::string&, double, bool) override {}
  void metric(const MetricPoint& point) override { values[point.name.substr(point.name.find('/') + 1)] = point.value; }
  void log(const std::string&) override {}
  void finished(const std::string&) override {}
  void stopped(std::uint32_t, std::uint64_t, const std::string&) override {}
  void failed(const std::string&, const std::string&, std::uint64_t) override {}

  std::map<std::string, double> values;
};

// A folder that is gone at the end: benchmark jobs leave a final tree as every job does.
class Scratch {
 public:
  Scratch() {
    std::string name = (std::filesystem::temp_directory_path() / "fathom-bench-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw JobError(ErrorClass::disk, "no temporary folder can be made");
    path = name;
  }
  ~Scratch() {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  std::filesystem::path path;
};

std::vector<Case> cases_of(const BenchOptions& options, std::uint32_t layers) {
  const auto half = layers / 2;
  std::vector<Case> cases;
  // The second one is what the others are compared with.
  for (const std::uint32_t length : {16U, options.length, 128U})
    cases.push_back({fmt::format("train an adapter, {} tokens", length), "adapter", "train", 1, 0, length});
  const auto length = options.length;
  cases.push_back({fmt::format("train an adapter, {} layers dropped", half), "adapter", "train", 1, half, length});
  cases.push_back({"train the whole model", "finetune", "train", 1, 0, length});
  cases.push_back({"infer, an adapter", "adapter", "infer", 1, 0, length});
  for (const std::uint32_t members : {2U, 8U})
    cases.push_back({fmt::format("infer, a fusion of {}", members), "fusion", "infer", members, 0, length});
  cases.push_back(
      {fmt::format("infer, 4 tasks in one pass, {} layers dropped", half), "parallel", "infer", 4, half, length});
  cases.push_back({"infer, 4 tasks in 4 passes", "separate", "infer", 4, half, length});
  return cases;
}

BenchmarkSpec spec_of(const Case& one, const BenchOptions& options) {
  json settings = {{"kind", "benchmark"},
                   {"model", {{"path", options.model.filename().string()}}},
                   {"precision", options.precision},
                   {"device", "cpu"},
                   {"adapter", {{"config", "seq_bn"}, {"reduction_factor", 16}}},
                   {"benchmark",
                    {{"subject", one.subject},
                     {"measure", one.measure},
                     {"depth", one.depth},
                     {"members", one.members},
                     {"batch", options.batch},
                     {"length", one.length},
                     {"warmup", kWarmup},
                     {"steps", options.steps},
                     {"repeat", 1}}}};
  if (one.subject == "finetune") settings.erase("adapter");
  return parse_benchmark(settings);
}

// Of the frozen matrices in one training step without dropped layers: forward through all layers and back to the lowest
// adapter, behind the first layer's feed-forward; of the last layer keys and values only, the rest of it sees one
// token.
double step_flops(const ModelConfig& config, double tokens) {
  const auto hidden = static_cast<double>(config.hidden), wide = static_cast<double>(config.intermediate);
  const double layer = 2 * (4 * hidden * hidden + 2 * hidden * wide), last = 2 * 2 * hidden * hidden;
  const auto layers = static_cast<double>(config.layers);
  return tokens * ((layers - 1) * layer + last + std::max(0.0, layers - 2) * layer + last);
}

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

// Products of the model's size with all threads, in GFLOP/s: the best of several, since it is a peak that is asked for.
double gemm_peak(const ModelConfig& config) {
  const c10::InferenceMode inference;
  const auto x = at::randn({1024, config.hidden}), w = at::randn({config.hidden, config.intermediate});
  double best = 0;
  for (int i = 0; i < 30; ++i) {
    const double start = now();
    at::mm(x, w);
    best = std::max(best, 2.0 * 1024 * static_cast<double>(config.hidden * config.intermediate) / (now() - start));
  }
  return best / 1e9;
}

json measure(const Case& one, const BenchOptions& options, Resources& resources, const std::filesystem::path& folder) {
  Outcome outcome;
  BenchmarkJob job(spec_of(one, options), {}, folder, resources, outcome);
  while (job.advance()) {
  }
  json row = {{"name", one.name}, {"tokens_per_s", outcome.values["rows_per_s"] * one.length}};
  for (const char* key : {"seconds", "p10", "p90", "rows_per_s"}) row[key] = outcome.values[key];
  return row;
}

json compare(const std::map<std::string, double>& seconds, const std::vector<Case>& cases) {
  const auto of = [&](std::size_t i) { return seconds.at(cases[i].name); };
  return {{"train an adapter, times faster than the whole model", of(4) / (of(1))},
          {"time saved by dropping layers in training", 1 - of(3) / of(1)},
          {"a fusion of 8, times an adapter", of(7) / of(5)},
          {"a fusion of 2, times an adapter", of(6) / of(5)},
          {"time saved by 4 tasks in one pass", 1 - of(8) / of(9)}};
}

void print(const json& result, std::ostream& out) {
  out << fmt::format("{} thread{}, {}; products of this model's size reach {:.0f} GFLOP/s\n\n",
                     result["threads"].get<int>(), result["threads"] == 1 ? "" : "s",
                     result["precision"].get<std::string>(), result["gemm_gflops"].get<double>());
  for (const auto& row : result["cases"]) {
    out << fmt::format("{:46} {:9.1f} ms {:9.1f} rows/s {:9.0f} tokens/s", row["name"].get<std::string>(),
                       1000 * row["seconds"].get<double>(), row["rows_per_s"].get<double>(),
                       row["tokens_per_s"].get<double>());
    if (row.contains("gflops"))
      out << fmt::format(" {:6.0f} GFLOP/s, {:.0f} %", row["gflops"].get<double>(),
                         100 * row["gflops"].get<double>() / result["gemm_gflops"].get<double>());
    out << "\n";
  }
  out << "\n";
  for (const auto& [what, value] : result["compared"].items())
    out << fmt::format("{:56} {:.2f}\n", what, value.get<double>());
}

json run(const BenchOptions& options) {
  const auto model = std::filesystem::canonical(options.model);
  BenchOptions known = options;
  known.model = model;
  Resources resources(model.parent_path(), "cpu", alone(), options.engine);
  const auto& config = resources.model(model.filename().string())->base->config;
  const auto cases = cases_of(options, static_cast<std::uint32_t>(config.layers));
  json result = {{"model", config.name},   {"threads", at::get_num_threads()}, {"precision", options.precision},
                 {"batch", options.batch}, {"gemm_gflops", gemm_peak(config)}, {"cases", json::array()}};
  const Scratch scratch;
  std::map<std::string, double> seconds;
  for (const auto& one : cases) {
    auto row = measure(one, known, resources, scratch.path);
    seconds[one.name] = row["seconds"];
    if (one.subject == "adapter" && one.measure == "train" && one.depth == 0)
      row["gflops"] = step_flops(config, options.batch * one.length) / seconds[one.name] / 1e9;
    result["cases"].push_back(std::move(row));
  }
  result["compared"] = compare(seconds, cases);
  return result;
}

}  // namespace

int bench(const BenchOptions& options, std::ostream& out) {
  try {
    const json result = run(options);
    if (options.json)
      out << result.dump(1) << "\n";
    else
      print(result, out);
    return 0;
  } catch (...) {
    std::cerr << "fathom-trainer bench: " << failure_of(std::current_exception()).message << "\n";
    return 1;
  }
}

}  // namespace fathom::trainer
