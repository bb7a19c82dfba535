// Valid sweep files from a number, for tests that need many. The same number gives the same file everywhere.
#pragma once

#include <cstdint>
#include <random>
#include <string>
#include <vector>

namespace fathom::sweeps::testing {

class RandomFile {
 public:
  explicit RandomFile(std::uint64_t number) : random_(number * 2654435761U + 17) {}

  std::string text() {
    out_ = "version: 1\nname: random\nmodel: " +
           (one_in(6) ? std::string("{config: models/m/config.json, init: random}") : "{path: models/m}") + "\n";
    if (one_in(3)) out_ += "recipe: hf\n";
    precision_ = one_in(4) ? pick({"bf16", "tf32"}) : "";
    if (!precision_.empty()) out_ += "precision: " + precision_ + "\n";
    if (one_in(4)) out_ += "objective: {goal: minimize, depth: 1}\n";
    add_tasks();
    if (one_in(2)) out_ += "adapter: {config: " + pick({"seq_bn", "double_seq_bn", "par_bn"}) + "}\n";
    out_ += "train: {epochs: " + number(1, 9) + ", lr: " + pick({"1e-4", "0.001", "2.5e-5"}) + "}\n";
    add_parameters();
    if (one_in(2)) out_ += "seeds: " + pick({"[1, 2]", "1..3", "[7]", "3..2"}) + "\n";
    out_ += "stages:\n";
    add_adapters();
    if (one_in(5)) add_whole();
    if (tasks_ > 1 && one_in(2)) add_fusion();
    if (tasks_ > 1 && one_in(3)) add_outside();
    if (one_in(6)) add_benchmark();
    return out_;
  }

 private:
  std::uint64_t below(std::uint64_t n) { return random_() % n; }  // a bias nobody sees; distributions differ by library
  bool one_in(std::uint64_t n) { return below(n) == 0; }
  std::string number(std::uint64_t low, std::uint64_t high) { return std::to_string(low + below(high - low + 1)); }
  std::string pick(const std::vector<std::string>& of) { return of[below(of.size())]; }

  void add_tasks() {
    tasks_ = 1 + below(3);
    out_ += "tasks:\n";
    const std::vector<std::string> forms = {"{path: data/x}", "{preset: glue/rte, path: data/RTE}",
                                            "{data: x.tsv, split: 0.1, text: message, label: class}",
                                            "{data: {train: a.tsv, eval: b.tsv}, text: [q, a], metric: f1}"};
    for (std::size_t i = 0; i < tasks_; ++i) {
      std::string form = pick(forms);
      if (one_in(4)) {
        form.pop_back();
        form += ", train: {" + pick({"max_length: 64", "schedule: cosine, warmup: 0.1", "batch: 8"}) + "}}";
      }
      out_ += "  " + std::string(1, static_cast<char>('a' + i)) + ": " + form + "\n";
    }
  }

  void add_parameters() {
    const bool draws = one_in(3);
    if (draws) {
      const std::string sampler = pick({"random", "sobol", "tpe"});
      out_ += "search: {sampler: " + sampler + ", trials: " + number(1, 6) + ", seed: " + number(0, 9) +
              (sampler == "tpe" && one_in(2) ? ", startup: 3" : "") + "}\n";
      drawn_later_ = sampler == "tpe";
    }
    if (!draws && one_in(3)) return;
    const std::string rates =
        pick(draws ? std::vector<std::string>{"{min: 1e-5, max: 1e-3, scale: log}", "{min: 0.001, max: 0.01}"}
                   : std::vector<std::string>{"[1e-3, 1e-4]", "{min: 1e-5, max: 1e-3, scale: log, samples: 3}",
                                              "{min: 0.001, max: 0.002, step: 0.0005}"});
    out_ += "parameters:\n  lr: " + rates + "\n";
    const bool batch = one_in(2), warmup = one_in(3);
    if (batch) out_ += "  batch: {values: [16, 32]}\n";
    if (warmup) out_ += "  warmup: {values: [0.1], when: {lr: {gt: 1e-4}}}\n";
    only_rates_ = !batch && !warmup;
    if (batch && rates == "[1e-3, 1e-4]" && one_in(2)) out_ += "zip: [[lr, batch]]\n";
    if (one_in(4)) out_ += "exclude: [{lr: {gt: 0.5}}]\n";
  }

  // What a stage may say for itself beside the root.
  void add_own_training() {
    if (one_in(4))
      out_ += "    train: {" + pick({"weight_decay: 0.01", "patience: 2", "clip: 0.5, grads: zero"}) + "}\n";
    if (one_in(5)) out_ += "    parameters: {clip: " + pick({"[0.5, 1]", "{values: [0, 2, 4]}"}) + "}\n";
    if (one_in(5)) out_ += "    seeds: " + pick({"[4, 5]", "9"}) + "\n";
  }

  void add_adapters() {
    out_ += "  adapter:\n    drop: {standard: true";
    if (one_in(2)) out_ += ", specialized: " + pick({"[1, 3]", "2..4", "5"});
    if (one_in(3)) out_ += ", robust: " + pick({"0..5", "[1, 4]", "true"});
    out_ += "}\n";
    add_own_training();
    if (only_rates_ && !drawn_later_ && one_in(2)) {
      out_ += "    stop: {method: pbt, interval: 2, resample: 0.5}\n";
    } else if (one_in(2)) {
      out_ += "    stop: " +
              pick({"{method: asha, eta: 3}", "{method: asha, eta: 2, bootstrap: 2, ties: first}",
                    "{method: asha, variant: promote, eta: 2}", "{method: hyperband}", "{method: median, startup: 2}",
                    "{method: percentile, percentile: 30, among: all}", "{method: threshold, lower: 0.2}",
                    "{method: patience, patience: 2}", "{method: asha, eta: 3, unit: step, min: 100}",
                    "{method: halving, unit: step, rungs: 3, max: 400}",
                    "{method: median, unit: step, min: 20, every: 50, max: 300}"}) +
              "\n";
    }
  }

  void add_whole() {
    out_ += "  whole:\n    kind: finetune\n";
    add_own_training();
  }

  void add_fusion() {
    out_ +=
        "  fusion: {needs: {from: adapter, where: {drop: standard}, stat: " + pick({"mean", "median", "min", "max"}) +
        ", seeds: " + pick({"match", "best", "all"}) + "}, sets: " +
        pick({"all", "[[a, b]]", "[{subsets: 2}]", "leave_one_out", "{greedy: 2}", "[{greedy: 2, budget: 2}, all]"}) +
        "}\n";
    if (one_in(2))
      out_ += "  prune: {from: fusion, " + pick({"keep: [1]", "threshold: 0.2", "keep: [1], threshold: [0.1, 0.3]"}) +
              pick({"", ", best: 1, per: [task, set]"}) + "}\n";
    if (one_in(2))
      out_ += "  evaluate: {from: [adapter, fusion], depths: " + pick({"all", "[0, 2]", "0..3"}) +
              pick({"", ", best: 2", ", best: 1, per: [task, drop]"}) + "}\n";
  }

  // Fusions of adapters that the file does not train, or not alone.
  void add_outside() {
    out_ += "  outside: {kind: fusion, needs: {from: " +
            pick({"'sweep:old/adapter'", "['sweep:old/adapter', 'sweep:older/more']", "{a: adapters/a, b: adapters/b}",
                  "[{b: adapters/b}, 'sweep:old/adapter']", "[adapter, {a: adapters/a}]",
                  "[adapter, 'sweep:old/adapter', {b: adapters/b}]"}) +
            ", where: {drop: standard}, seeds: " + pick({"match", "best"}) +
            ", on_missing: " + pick({"skip", "fail", "wait"}) + ", stat: " + pick({"mean", "median"}) +
            "}, sets: [[b, a]]}\n";
    if (one_in(2)) out_ += "  outside-curves: {kind: evaluate, from: outside}\n";
  }

  void add_benchmark() {
    const bool pairs = tasks_ > 1;
    out_ += "  speed: {kind: benchmark, subjects: {adapter: {depths: " + pick({"all", "[0, 2]", "0..3"}) + "}" +
            (pairs ? ", fusion: {members: 2}" : "") + "}, shape: {batch: " + pick({"8", "[8, 16]"}) + "}" +
            pick({"", ", members_init: random", ", members_init: trained, from: adapter"}) +
            (precision_ == "tf32" ? ", device: [cuda]" : "") + "}\n";
  }

  std::mt19937_64 random_;
  std::string out_;
  std::size_t tasks_ = 1;
  bool only_rates_ = false;   // the one parameter is lr: a population may have it
  bool drawn_later_ = false;  // by tpe
  std::string precision_;     // empty: not said
};

}  // namespace fathom::sweeps::testing
