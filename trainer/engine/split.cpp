#include "trainer/engine/split.hpp"

#include <ATen/Parallel.h>
#include <ATen/ops/full.h>
#include <ATen/ops/randn.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <memory>
#include <numeric>
#include <thread>

#include "trainer/engine/benchmark_job.hpp"

namespace fathom::trainer {
namespace {

// A step of so many rows of so many tokens: what tasks of short sentences have.
constexpr std::uint32_t kRows = 32, kTokens = 16;

Linear drawn_linear(std::int64_t out, std::int64_t in) {
  return {at::randn({out, in}).mul_(0.02), at::full({out}, 0.0)};
}

LayerNorm plain_norm(std::int64_t width) { return {at::full({width}, 1.0), at::full({width}, 0.0), 1e-12}; }

std::shared_ptr<const BaseModel> drawn_model() {
  BaseModel model;
  auto& config = model.config;
  config.name = "measured";
  config.hidden = 384;
  config.layers = 3;
  config.heads = 12;
  config.intermediate = 1536;
  config.vocabulary = 64;
  config.positions = kTokens;
  config.token_types = 2;
  model.word_embeddings = at::randn({config.vocabulary, config.hidden});
  model.position_embeddings = at::randn({config.positions, config.hidden});
  model.type_embeddings = at::randn({config.token_types, config.hidden});
  model.embedding_norm = plain_norm(config.hidden);
  for (std::int64_t i = 0; i < config.layers; ++i) {
    const auto square = [&] { return drawn_linear(config.hidden, config.hidden); };
    model.layers.push_back({square(), square(), square(), square(), plain_norm(config.hidden),
                            drawn_linear(config.intermediate, config.hidden),
                            drawn_linear(config.hidden, config.intermediate), plain_norm(config.hidden)});
  }
  return std::make_shared<const BaseModel>(std::move(model));
}

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

// A trainer's work: steps of one job until told to end. Waits for the others after its first steps.
class Worker {
 public:
  Worker(std::shared_ptr<const BaseModel> base, int number) : base_(std::move(base)) {
    task_.labels = {"0", "1"};
    task_.rows = drawn_rows(base_->config, kRows, kTokens, static_cast<std::uint64_t>(number));
    BenchmarkSpec spec;
    spec.adapter = {{"config", "seq_bn"}, {"reduction_factor", 16}};
    network_ = make_adapter_network(spec.network_spec(), base_, task_);
    std::vector<std::uint32_t> all(kRows);
    std::iota(all.begin(), all.end(), 0U);
    batch_ = make_batch(task_.rows, all);
  }

  void run(int threads, std::atomic<int>& warm, const std::atomic<bool>& go, const std::atomic<bool>& over) {
    at::set_num_threads(threads);
    const auto engine = make_engine(EngineKind::packed);
    TrainingOptions options;
    options.schedule = {ScheduleKind::constant, 1e-4, 0, 1};
    Training training(network_, options, alone(), *engine);
    std::uint64_t step = 0;
    for (; step < 2; ++step) (void)training.step(step, {batch_}, 0);
    ++warm;
    while (!go) std::this_thread::yield();
    const double start = now();
    const auto first = step;
    while (!over) (void)training.step(step++, {batch_}, 0);
    // Its own time: a step that is on its way when the others end still counts.
    rows_per_s = static_cast<double>(kRows) * static_cast<double>(step - first) / (now() - start);
  }

  double rows_per_s = 0;

 private:
  std::shared_ptr<const BaseModel> base_;
  OpenTask task_;
  Network network_;
  LabelledBatch batch_;
};

double measure(const Split& split, const std::shared_ptr<const BaseModel>& base, double seconds) {
  std::vector<std::unique_ptr<Worker>> workers;
  for (int i = 0; i < split.trainers; ++i) workers.push_back(std::make_unique<Worker>(base, i));
  std::atomic<int> warm{0};
  std::atomic<bool> go{false}, over{false};
  std::vector<std::jthread> threads;
  for (const auto& worker : workers) threads.emplace_back([&] { worker->run(split.threads, warm, go, over); });
  while (warm < split.trainers) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  go = true;
  std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
  over = true;
  threads.clear();
  return std::accumulate(workers.begin(), workers.end(), 0.0,
                         [](double sum, const auto& worker) { return sum + worker->rows_per_s; });
}

}  // namespace

std::vector<Split> even_splits(int cores, int most) {
  std::vector<Split> splits;
  for (int trainers = 1; trainers <= std::min(cores, most); ++trainers) {
    if (cores % trainers == 0) splits.push_back({trainers, cores / trainers});
  }
  return splits;
}

std::vector<Split> measure_splits(std::vector<Split> splits, double seconds) {
  const auto base = drawn_model();
  for (auto& split : splits) split.rows_per_s = measure(split, base, seconds);
  std::stable_sort(splits.begin(), splits.end(),
                   [](const Split& a, const Split& b) { return a.rows_per_s > b.rows_per_s; });
  return splits;
}

}  // namespace fathom::trainer
