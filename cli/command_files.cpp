// data, validate, plan, predict: what needs no coordinator (plan asks one what it has, where there is one).
#include <cerrno>
#include <map>

#include <unistd.h>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "cli/commands.hpp"
#include "cli/estimate.hpp"
#include "cli/plan_graph.hpp"
#include "cli/plan_text.hpp"
#include "cli/reuse.hpp"
#include "cli/sweep_file.hpp"
#include "common/files.hpp"
#include "common/wait_policy.hpp"
#include "data/dataset.hpp"
#include "data/prepare.hpp"
#include "sweeps/import/import.hpp"

namespace fathom::cli {

using nlohmann::json;
using nlohmann::ordered_json;

namespace {

std::string counts_text(const std::vector<std::string>& labels, const std::vector<std::uint64_t>& counts) {
  std::vector<std::string> parts;
  for (std::size_t i = 0; i < counts.size() && i < 20; ++i) parts.push_back(fmt::format("{} {}", labels[i], counts[i]));
  return parts.empty() ? "" : fmt::format(" ({})", fmt::join(parts, ", "));
}

void print_prepared(const data::Recipe& recipe, const data::Prepared& done) {
  fmt::print("{}: {} train rows{}, {} dev rows{} in {}\n", recipe.name, done.train,
             counts_text(done.labels, done.train_counts), done.dev, counts_text(done.labels, done.dev_counts),
             done.folder.string());
  std::vector<std::string> notes;
  if (done.filtered > 0) notes.push_back(fmt::format("{} left out by where", done.filtered));
  if (done.empty > 0) notes.push_back(fmt::format("{} without text", done.empty));
  if (done.duplicates > 0)
    notes.push_back(fmt::format("{} duplicates ({} with another label)", done.duplicates, done.conflicts));
  if (done.replaced > 0) notes.push_back(fmt::format("{} invalid bytes became U+FFFD", done.replaced));
  fmt::print("  of {} rows in the source{}{}\n", done.read, notes.empty() ? "" : ": ", fmt::join(notes, ", "));
}

ordered_json to_json(const data::Recipe& recipe, const data::Prepared& done) {
  return {{"name", recipe.name},
          {"folder", done.folder.string()},
          {"read", done.read},
          {"filtered", done.filtered},
          {"empty", done.empty},
          {"duplicates", done.duplicates},
          {"conflicts", done.conflicts},
          {"replaced", done.replaced},
          {"labels", done.labels},
          {"train", done.train},
          {"dev", done.dev},
          {"train_counts", done.train_counts},
          {"dev_counts", done.dev_counts}};
}

// Prints what is wrong with the file; the exit code that follows.
int print_mistakes(const Context& context, const CheckedSweep& checked) {
  if (context.json) {
    ordered_json errors = ordered_json::array();
    for (const sweeps::Diagnostic& d : checked.errors) {
      errors.push_back({{"file", d.file},
                        {"line", d.line},
                        {"column", d.column},
                        {"length", d.length},
                        {"message", d.message},
                        {"text", d.text}});
    }
    fmt::print(
        "{}\n",
        ordered_json{{"valid", false}, {"errors", errors}, {"more", checked.more}, {"notes", checked.notes}}.dump());
    return 1;
  }
  fmt::print(stderr, "{}", mistakes_text(checked.errors, checked.more));
  for (const std::string& note : checked.notes) fmt::print(stderr, "note: {}\n", note);
  return 1;
}

// Replaces this program by another one of Fathom; returns only when that fails.
Error become(std::vector<std::string> arguments) {
  std::vector<char*> plain;
  for (std::string& argument : arguments) plain.push_back(argument.data());
  plain.push_back(nullptr);
  set_wait_policy();
  ::execv(plain[0], plain.data());
  return system_error(errno, "run", arguments[0]);
}

// The model folder that collected adapters were trained on, below the root.
Result<std::string> model_of(const Context& context, const PredictOptions& options) {
  json path;
  for (const std::string& adapter : options.adapters) {
    const fs::path card = fs::path(adapter) / "fathom.json";
    FATHOM_ASSIGN(const std::string text, read_file(card.string(), 64 << 20));
    const json root = json::parse(text, nullptr, false);
    const json named = root.is_object() ? root.value(json::json_pointer("/settings/model/path"), json()) : json();
    if (!named.is_string())
      return Error{Errc::not_found, card.string() + " does not name the base model: say --model DIR"};
    if (!path.is_null() && named != path) {
      return Error{Errc::invalid_argument, card.string() + " was trained on " + named.dump() + ", " +
                                               options.adapters.front() + " on " + path.dump() +
                                               ": adapters that answer together share a base model"};
    }
    path = named;
  }
  FATHOM_ASSIGN(const fs::path model, data::below_root(data_root(context, options.root), path.get<std::string>()));
  std::error_code ignored;
  if (fs::is_directory(model, ignored)) return model.string();
  return Error{Errc::not_found,
               "the base model is not in " + model.string() + ": say --model DIR, or --root DIR for the data root"};
}

}  // namespace

ExitCode data(const Context& context, const DataOptions& options) {
  FATHOM_ASSIGN(const std::string yaml, read_file(options.recipe, 1 << 20));
  FATHOM_ASSIGN(const data::Recipe recipe, data::parse_recipe(yaml, options.recipe));
  const fs::path out = options.out.empty() ? fs::path(options.root) / "data" / recipe.name : fs::path(options.out);
  FATHOM_ASSIGN(const data::Prepared done, data::prepare(recipe, options.root, out));
  if (context.json) {
    fmt::print("{}\n", to_json(recipe, done).dump());
  } else {
    print_prepared(recipe, done);
  }
  return 0;
}

ExitCode validate(const Context& context, const SweepFile& options) {
  FATHOM_ASSIGN(const CheckedSweep checked, check_sweep(options));
  if (!checked.errors.empty()) return print_mistakes(context, checked);
  if (context.json) {
    fmt::print("{}\n", ordered_json{{"valid", true},
                                    {"name", checked.plan.name},
                                    {"jobs", checked.plan.jobs.size()},
                                    {"notes", checked.plan.notes}}
                           .dump());
    return 0;
  }
  fmt::print("{}: valid, {} jobs\n", options.file, checked.plan.jobs.size());
  for (const std::string& note : checked.plan.notes) fmt::print("note: {}\n", note);
  return 0;
}

ExitCode plan(const Context& context, const SweepFile& options, const PlanOptions& how) {
  FATHOM_ASSIGN(const CheckedSweep checked, check_sweep(options));
  if (!checked.errors.empty()) return print_mistakes(context, checked);
  if (!how.graph.empty()) {
    fmt::print("{}", how.graph == "dot" ? graph_dot(checked.plan) : graph_text(checked.plan));
    return 0;
  }
  ordered_json out = context.json ? plan_json(checked.plan) : ordered_json();
  const Reuse reuse = ask_reuse(context, checked.plan);
  out["cache"] = {{"known", reuse.known ? ordered_json(*reuse.known) : ordered_json()}, {"why", reuse.why}};
  std::string time;
  if (!how.timing.empty()) {
    FATHOM_ASSIGN(const Rates rates, read_rates(how.timing));
    const Estimate took = estimate(checked.plan, rates, how.slots, reuse.ids);
    out["estimate"] = {{"seconds", took.seconds},
                       {"slot_seconds", took.slot_seconds},
                       {"slots", how.slots},
                       {"unknown", took.unknown},
                       {"measured", rates.measured}};
    time = fmt::format("about {} on {} slots ({} of work), as {} measured jobs took, nothing stopped early",
                       time_text(took.seconds), how.slots, time_text(took.slot_seconds), rates.measured);
    if (took.unknown > 0) time += fmt::format("; {} jobs of unknown time left out", took.unknown);
  }
  if (context.json) {
    fmt::print("{}\n", out.dump());
    return 0;
  }
  fmt::print("{}", plan_text(checked.plan));
  fmt::print("{}\n", describe(reuse, checked.plan));
  if (!time.empty()) fmt::print("{}\n", time);
  return 0;
}

ExitCode import_sweep(const Context& context, const ImportOptions& options) {
  FATHOM_ASSIGN(const std::string text, read_file(options.file, 1 << 20));
  FATHOM_ASSIGN(const sweeps::Imported imported, options.from == "wandb"
                                                     ? sweeps::import_wandb(options.file, text)
                                                     : sweeps::import_determined(options.file, text));
  if (context.json) {
    fmt::print("{}\n",
               ordered_json{{"yaml", imported.yaml}, {"notes", imported.notes}, {"changes", imported.changes}}.dump());
    return 0;
  }
  fmt::print("{}", imported.yaml);
  for (const std::string& note : imported.notes) fmt::print(stderr, "not taken over: {}\n", note);
  for (const std::string& change : imported.changes) fmt::print(stderr, "to be changed: {}\n", change);
  return 0;
}

ExitCode simulate(const Context& context, const SimulateOptions& options) {
  std::vector<std::string> arguments = {(context.programs / "fathom-coordinator").string(),
                                        "simulate",
                                        options.file.file,
                                        "--curves",
                                        options.curves,
                                        "--slots",
                                        std::to_string(options.slots)};
  for (const std::string& assignment : options.file.set) arguments.insert(arguments.end(), {"--set", assignment});
  if (context.json) arguments.emplace_back("--json");
  return become(std::move(arguments));
}

ExitCode predict(const Context& context, const PredictOptions& options) {
  if (options.texts.empty() && options.file.empty()) {
    fmt::print(stderr, "fathom: nothing to classify: give a TEXT or --file\n");
    return 2;
  }
  PredictOptions known = options;
  if (known.model.empty()) {
    FATHOM_ASSIGN(known.model, model_of(context, options));
  }
  std::vector<std::string> arguments = {
      (context.programs / "fathom-trainer").string(), "--log-level", "warn", "predict", "--model", known.model};
  for (const std::string& adapter : known.adapters) arguments.insert(arguments.end(), {"--adapter", adapter});
  if (context.json) arguments.emplace_back("--json");
  if (!known.file.empty()) arguments.insert(arguments.end(), {"--file", known.file});
  for (const int depth : known.depths) arguments.insert(arguments.end(), {"--depth", std::to_string(depth)});
  if (known.threads) arguments.insert(arguments.end(), {"--threads", std::to_string(*known.threads)});
  arguments.emplace_back("--");  // what follows is text, even where it begins with a dash
  arguments.insert(arguments.end(), known.texts.begin(), known.texts.end());
  return become(std::move(arguments));
}

ExitCode bench(const Context& context, const BenchOptions& options) {
  std::vector<std::string> arguments = {
      (context.programs / "fathom-trainer").string(), "--log-level", "warn", "bench", "--model", options.model};
  for (const auto& [flag, value] : options.numbers) {
    if (value) arguments.insert(arguments.end(), {flag, std::to_string(*value)});
  }
  if (!options.precision.empty()) arguments.insert(arguments.end(), {"--precision", options.precision});
  if (context.json) arguments.emplace_back("--json");
  return become(std::move(arguments));
}

}  // namespace fathom::cli
