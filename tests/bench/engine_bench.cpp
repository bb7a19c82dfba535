// Steps and evaluations of one adapter job, timed on request: `engine_bench JOB --root DIR` opens the job's model and
// task and then reads commands, one a line, and answers each with one line of JSON. tests/bench/bench.py asks it and
// the peer in turns, so that both are measured under the same load of the machine.
//   steps N      N optimizer steps, data made ready before   {"seconds", "cpu", "steps", "rows", "tokens", "loss",
//   "gflop"}:
//                the last is what the products with the base's matrices come to
//   evaluate D   the eval rows at depths 0 … D-1 in one go      {"seconds", "cpu", "rows"}
//   separate D   the same, one depth after the other            {"seconds", "cpu", "rows"}
//   gemm         products of this model's size, alone           {"packed", "torch"}: GFLOP per second of CPU, that is
//   per
//                core, at the job's precision
#include <ATen/ops/mm.h>
#include <ATen/ops/randn.h>
#include <c10/core/InferenceMode.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <ctime>
#include <iostream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "common/files.hpp"
#include "common/log.hpp"
#include "trainer/batches/random.hpp"
#include "trainer/engine/engine.hpp"
#include "trainer/engine/errors.hpp"
#include "trainer/engine/evaluation.hpp"
#include "trainer/engine/resources.hpp"
#include "trainer/engine/threads.hpp"
#include "trainer/engine/training.hpp"
#include "trainer/packed/arena.hpp"
#include "trainer/packed/run.hpp"

namespace {

using namespace fathom::trainer;
using nlohmann::json;

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

// Of all threads: what is left of a figure when others use the machine.
double cpu_time() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

class Bench {
 public:
  Bench(JobSpec spec, const std::string& root, EngineKind kind, bool dropout)
      : spec_(std::move(spec)), resources_(root, "cpu", alone(), kind) {
    const auto model = resources_.model(spec_.model);
    spec_.drop = bound_drop(spec_.drop, static_cast<std::uint32_t>(model->base->config.layers));
    train_ = resources_.task(spec_.model, spec_.task, fathom::data::Split::train, spec_.train.max_length);
    eval_ = resources_.task(spec_.model, spec_.task, fathom::data::Split::eval, spec_.train.max_length);
    network_ = make_adapter_network(spec_, model->base, *train_);
    TrainingOptions options;
    options.schedule = {ScheduleKind::constant, spec_.train.lr, 0, 1};
    options.recipe = spec_.frozen_dropout ? Recipe::hf : Recipe::fast;
    options.dropout = dropout;
    training_.emplace(network_, options, alone(), resources_.engine());
    rows_ = epoch_order(train_->rows.size(), spec_.seed, 0);
  }

  json answer(const std::string& command, std::uint32_t count) {
    if (command == "steps") return steps(count);
    if (command == "evaluate") return evaluate(count, /*together=*/true);
    if (command == "separate") return evaluate(count, /*together=*/false);
    if (command == "gemm") return gemm();
    return {{"error", "unknown command " + command}};
  }

 private:
  json steps(std::uint32_t count) {
    // Batches are made before the clock starts, here as at the peer's.
    std::vector<std::vector<LabelledBatch>> batches;
    std::uint64_t tokens = 0, examples = 0;
    for (std::uint32_t i = 0; i < count; ++i) {
      if (next_ + spec_.train.batch > rows_.size()) next_ = 0;
      const auto chosen = std::span(rows_).subspan(next_, spec_.train.batch);
      next_ += spec_.train.batch;
      auto& passes = batches.emplace_back();
      for (const auto& pass : resources_.engine().cut(network_, train_->rows, chosen, spec_.train.batch)) {
        passes.push_back(make_batch(train_->rows, pass));
        tokens += passes.back().tokens;
        examples += passes.back().rows;
      }
    }
    double loss = 0;
    const double start = now(), cpu = cpu_time();
    for (const auto& passes : batches) {
      const auto depth = drawn_depth(spec_.drop.lo, spec_.drop.hi, spec_.seed, step_);
      loss = training_->step(step_++, passes, depth).loss;
    }
    return {{"seconds", now() - start},
            {"cpu", cpu_time() - cpu},
            {"steps", count},
            {"rows", examples},
            {"tokens", tokens},
            {"loss", loss},
            {"gflop", gflop(tokens, examples)}};
  }

  json evaluate(std::uint32_t depths, bool together) {
    std::vector<std::vector<std::uint32_t>> groups;
    for (std::uint32_t depth = 0; depth < depths; ++depth) {
      if (groups.empty() || !together) groups.emplace_back();
      groups.back().push_back(depth);
    }
    const double start = now(), cpu = cpu_time();
    for (const auto& group : groups) {
      Evaluation evaluation(network_, eval_, group, alone(), resources_.engine());
      while (evaluation.advance()) {
      }
    }
    return {{"seconds", now() - start}, {"cpu", cpu_time() - cpu}, {"rows", eval_->rows.size()}};
  }

  // Of steps at depth 0 of an adapter behind the feed-forward: forward through all layers, backward through all but the
  // first; the last layer has one row a sequence behind its keys and values.
  double gflop(std::uint64_t tokens, std::uint64_t sequences) const {
    const auto& config = network_.base->config;
    const double h = static_cast<double>(config.hidden), t = static_cast<double>(tokens);
    const double rest = 2 * h * h + 2 * h * static_cast<double>(config.intermediate);
    const double inner = t * (2 * h * h + rest), last = t * 2 * h * h + static_cast<double>(sequences) * rest;
    const double layers = static_cast<double>(config.layers);
    return 2e-9 * ((2 * layers - 3) * inner + 2 * last);
  }

  template <class Product>
  static double rate(double flop, const Product& product) {
    constexpr int kTimes = 20;
    product();
    const double cpu = cpu_time();
    for (int i = 0; i < kTimes; ++i) product();
    return flop * kTimes / (cpu_time() - cpu) / 1e9;
  }

  json gemm() {
    const c10::InferenceMode inference;
    constexpr std::int64_t kRows = 512;
    const auto& config = network_.base->config;
    const auto type = network_.precision == Precision::bf16 ? at::kBFloat16 : at::kFloat;
    const auto x = at::randn({kRows, config.hidden}), w = at::randn({config.intermediate, config.hidden});
    const auto x_typed = x.to(type), w_typed = w.to(type).t().contiguous();
    const double flop = 2.0 * kRows * static_cast<double>(config.hidden * config.intermediate);
    const double torch = rate(flop, [&] { at::mm(x_typed, w_typed); });
    const packed::FrozenBase base(network_.base, network_.precision);
    const packed::FrozenMatrix matrix(w, network_.precision);
    packed::Arena arena;
    const packed::Run run{base, arena};
    float* c = arena.take(kRows * config.intermediate);
    const double packed = rate(flop, [&] {
      run.product(matrix, packed::Way::forward, {.rows = kRows, .a = x.const_data_ptr<float>(), .c = c});
    });
    return {{"packed", packed}, {"torch", torch}};
  }

  JobSpec spec_;
  Resources resources_;
  std::shared_ptr<const OpenTask> train_, eval_;
  Network network_;
  std::optional<Training> training_;
  std::vector<std::uint32_t> rows_;
  std::size_t next_ = 0;
  std::uint64_t step_ = 0;
};

int run(int argc, char** argv) {
  std::string job, root = ".", engine = "packed";
  int threads = 1;
  bool no_dropout = false;
  CLI::App app("Times steps and evaluations of one adapter job.", "engine_bench");
  app.add_option("JOB", job, "JSON file with the job's settings")->required()->check(CLI::ExistingFile);
  app.add_option("--root", root, "Data root");
  app.add_option("--engine", engine, "packed or reference");
  app.add_option("--threads", threads, "Compute threads");
  app.add_flag("--no-dropout", no_dropout, "Switch every dropout off");
  CLI11_PARSE(app, argc, argv);
  // Standard output is for answers.
  if (const auto logging = fathom::init_log({"engine_bench", "warn", "", false}); !logging)
    throw std::runtime_error(logging.error().message);
  set_threads(threads);
  Bench bench(parse_spec(json::parse(fathom::read_file(job).value())), root, parse_engine(engine).value(), !no_dropout);
  std::cout << json{{"ready", true}}.dump() << std::endl;
  for (std::string line; std::getline(std::cin, line);) {
    std::istringstream words(line);
    std::string command;
    std::uint32_t count = 1;
    words >> command >> count;
    std::cout << bench.answer(command, count).dump() << std::endl;
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  prepare_numerics();
  try {
    return run(argc, argv);
  } catch (const std::exception& error) {
    std::cerr << "engine_bench: " << error.what() << "\n";
    return 1;
  }
}
