#include "coordinator/simulate/curves.hpp"

#include <cmath>
#include <limits>

#include "coordinator/core/machine.hpp"
#include "sweeps/expand/expander.hpp"
#include "sweeps/search/random.hpp"
#include "sweeps/setting.hpp"

namespace fathom::simulate {
namespace {

using nlohmann::json;

Error wrong(const std::string& what) { return {Errc::invalid_argument, "curves: " + what}; }

Result<std::vector<double>> values_of(const json& entry) {
  const auto found = entry.find("values");
  if (found == entry.end() || !found->is_array() || found->empty()) return wrong("a curve has no list of values");
  std::vector<double> out;
  for (const json& value : *found) {
    if (!value.is_number() && !value.is_null()) return wrong("a value is neither a number nor null (diverged)");
    out.push_back(value.is_null() ? std::numeric_limits<double>::quiet_NaN() : value.get<double>());
  }
  return out;
}

Result<double> seconds_of(const json& object, double otherwise) {
  const auto found = object.find("epoch_seconds");
  if (found == object.end()) return otherwise;
  if (!found->is_number() || found->get<double>() <= 0) return wrong("epoch_seconds is a number above 0");
  return found->get<double>();
}

bool fits(const json& where, const sweeps::Plan& plan, const sweeps::Job& job) {
  for (const auto& [column, value] : where.items()) {
    std::string name = column;
    if (name.starts_with("param.") && name.find('.', 6) == std::string::npos) {
      // "param.lr" as in a sweep file
      for (const auto& [full, sampled] : job.parameters) {
        if (full.ends_with("." + column.substr(6))) name = "param." + full;
      }
    }
    const auto have = sweeps::column_of(job, plan.stages[job.stage].name, name);
    if (!have || *have != value) return false;
  }
  return true;
}

// Uniform in [0, 1) from a text: the same on every machine.
double uniform(const std::string& text) {
  return sweeps::SplitMix::to_unit(sweeps::SplitMix::mix(core::hash_of(text)));
}

// From the best values: numbers by decades (0 and below: as they are), anything else 1 where it is another one. A
// parameter that the job has not costs 1 too.
double squared_distance(const json& best, const sweeps::Job& job) {
  double sum = 0;
  for (const auto& [name, value] : best.items()) {
    const json* own = nullptr;
    for (const auto& [full, sampled] : job.parameters) {
      if (full == name || full.ends_with("." + name)) own = &sampled;
    }
    double distance = 1;
    if (own != nullptr && *own == value) {
      distance = 0;
    } else if (own != nullptr && own->is_number() && value.is_number()) {
      const double a = own->get<double>(), b = value.get<double>();
      distance = a > 0 && b > 0 ? std::log10(a / b) : a - b;
    }
    sum += distance * distance;
  }
  return sum;
}

}  // namespace

Result<Curves> Curves::read(const std::string& text) {
  const json file = json::parse(text, nullptr, false);
  if (!file.is_object()) return wrong("the file is not a JSON object");
  Curves out;
  FATHOM_ASSIGN(out.epoch_seconds_, seconds_of(file, 1));
  const json entries = file.value("curves", json::array());
  for (const json& entry : entries) {
    if (!entry.is_object()) return wrong("an entry of curves is not an object");
    Entry read;
    read.where = entry.value("where", json::object());
    if (!read.where.is_object()) return wrong("where is not an object {COLUMN: value}");
    FATHOM_ASSIGN(read.curve.values, values_of(entry));
    FATHOM_ASSIGN(read.curve.epoch_seconds, seconds_of(entry, out.epoch_seconds_));
    out.entries_.push_back(std::move(read));
  }
  const json synthetic = file.value("synthetic", json());
  if (synthetic.is_object())
    out.synthetic_ = Synthetic{synthetic.value("seed", std::uint64_t{0}), synthetic.value("noise", 0.0),
                               synthetic.value("best", json())};
  if (out.synthetic_ && !out.synthetic_->best.is_null() && !out.synthetic_->best.is_object())
    return wrong("synthetic.best is not an object {PARAMETER: value}");
  if (out.entries_.empty() && !out.synthetic_) return wrong("the file has neither curves nor synthetic");
  return out;
}

Result<Curve> Curves::of(const sweeps::Plan& plan, const sweeps::Job& job) const {
  for (const Entry& entry : entries_) {
    if (!fits(entry.where, plan, job)) continue;
    if (entry.curve.values.size() >= job.epochs) return entry.curve;
    return Error{Errc::not_found, "the curve of job " + job.id.text() + " has " +
                                      std::to_string(entry.curve.values.size()) + " epochs, the job " +
                                      std::to_string(job.epochs)};
  }
  if (synthetic_) return synthetic(plan, job);
  return Error{Errc::not_found, "no curve fits job " + job.id.text() + " (task " + job.task + ", drop " + job.drop +
                                    ", seed " + std::to_string(job.seed) + "): add one, or synthetic"};
}

// Each setting has its own end and speed, each seed its own end near that, each epoch its own noise: curves cross, as
// real ones do.
Curve Curves::synthetic(const sweeps::Plan& plan, const sweeps::Job& job) const {
  const std::string setting = std::to_string(synthetic_->seed) + "\n" + sweeps::setting_of(job);
  const std::string seed = setting + "\n" + std::to_string(job.seed);
  const auto noise = [&](const std::string& text) { return synthetic_->noise * (2 * uniform(text) - 1); };
  const double place =
      synthetic_->best.is_null() ? uniform(setting + "\nend") : std::exp(-squared_distance(synthetic_->best, job));
  const double end = 0.5 + 0.45 * place + noise(seed);
  const double speed = 0.4 + 1.2 * uniform(setting + "\nspeed");
  Curve out;
  out.epoch_seconds = epoch_seconds_;
  for (std::uint32_t epoch = 1; epoch <= job.epochs; ++epoch) {
    const double value = end - (end - 0.3) * std::exp(-speed * epoch) + noise(seed + "\n" + std::to_string(epoch));
    out.values.push_back(plan.goal == sweeps::Goal::maximize ? value : 1 - value);
  }
  return out;
}

}  // namespace fathom::simulate
