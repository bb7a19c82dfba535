#include "sweeps/resolve/stages.hpp"

#include <algorithm>
#include <set>

namespace fathom::sweeps {
namespace {

using nlohmann::json;

unsigned bit_of(Kind kind) {
  switch (kind) {
    case Kind::adapter:
      return kAdapter;
    case Kind::fusion:
      return kFusion;
    case Kind::prune:
      return kPrune;
    case Kind::evaluate:
      return kEvaluate;
    case Kind::finetune:
      return kFinetune;
    case Kind::benchmark:
      return kBenchmark;
  }
  return 0;
}

// The kind of a stage: `kind`, else its name. Nothing after reporting.
std::optional<Kind> kind_of(const Node& name, const Node& stage, Report& report) {
  const Node* given = stage.is_map() ? stage.find("kind") : nullptr;
  const Node& word = given ? *given : name;
  const Key& key = *find_key(Section::stage, "kind");
  for (const Kind kind : {Kind::adapter, Kind::fusion, Kind::prune, Kind::evaluate, Kind::finetune, Kind::benchmark}) {
    if (word.is_scalar() && word.text == name_of(kind)) return kind;
  }
  if (given) {
    typed(key, word, report);
  } else {
    report.error(name.mark,
                 "stage '" + name.text +
                     "': its name is no kind; add kind: adapter, fusion, prune, evaluate, finetune or benchmark" +
                     hint(name.text, split_words(key.words)));
  }
  return std::nullopt;
}

class StageReader {
 public:
  StageReader(const Node& name, const Node& node, Kind kind, const Surroundings& around,
              const std::vector<EarlierStage>& earlier, Report& report)
      : name_(name),
        kind_(kind),
        around_(around),
        earlier_(earlier),
        report_(report),
        fields_(Section::stage, &node, report, bit_of(kind)) {}

  json read() {
    json out = {{"name", name_.text}, {"kind", name_of(kind_)}};
    if (bit_of(kind_) & kTrained) read_training(out);
    if (kind_ == Kind::fusion) read_fusion(out);
    if (kind_ == Kind::prune) read_prune(out);
    if (kind_ == Kind::evaluate) read_evaluate(out);
    if (kind_ == Kind::benchmark)
      out["benchmark"] = parse_benchmark(fields_, root_adapter(), earlier_, *around_.tasks, report_);
    return out;
  }

 private:
  [[nodiscard]] json root_adapter() const {
    json adapter = defaults_of(Section::adapter);
    adapter.update(around_.adapter);
    return adapter;
  }

  [[nodiscard]] bool takes_root() const { return kind_ == Kind::adapter || kind_ == Kind::finetune; }

  // Precedence per key: root < task < stage (rule 4); one object for each task.
  json trains() {
    const json own = Fields(Section::train, fields_.node("train"), report_).settings();
    json out = json::array();
    for (const Task& task : *around_.tasks) {
      json train = defaults_of(Section::train);
      train.update(around_.train);
      train.update(task.train);
      train.update(own);
      out.push_back(std::move(train));
    }
    return out;
  }

  // Root parameters first, then the stage's own in place of those of the same name.
  std::vector<Parameter> parameters() {
    std::vector<Parameter> out;
    if (takes_root()) out = around_.parameters;
    for (Parameter& own : parse_parameters(fields_.node("parameters"), report_)) {
      std::erase_if(out, [&](const Parameter& known) { return known.full == own.full; });
      if (kind_ != Kind::adapter && own.section == Section::adapter) {
        report_.error(own.mark, "parameters: '" + own.name + "' belongs to an adapter; a " + name_of(kind_) +
                                    " stage trains none");
        continue;
      }
      out.push_back(std::move(own));
    }
    // A root parameter of the adapter means nothing to a finetune stage.
    if (kind_ != Kind::adapter)
      std::erase_if(out, [](const Parameter& one) { return one.section == Section::adapter; });
    return out;
  }

  const Node* own_or_root(const char* key, const Node* root) {
    const Node* own = fields_.node(key);
    return own || !takes_root() ? own : root;
  }

  void read_training(json& out) {
    out["train"] = trains();
    if (kind_ == Kind::adapter) {
      json adapter = root_adapter();
      adapter.update(Fields(Section::adapter, fields_.node("adapter"), report_).settings());
      out["adapter"] = adapter;
    }
    if (bit_of(kind_) & (kAdapter | kFusion)) out["drops"] = parse_drops(fields_.node("drop"), report_);
    const auto sampled = parameters();
    const Node* zip = own_or_root("zip", around_.zip);
    const Mark at = fields_.given("parameters") ? fields_.mark("parameters") : around_.parameters_mark;
    const Search search = read_search(own_or_root("search", around_.search), report_);
    const SampleOptions options{search, zip, at};
    // Draws of nothing are one job, whatever the sampler.
    const json space = search.sampler == "tpe" ? search_space(sampled, options, report_) : json();
    if (space.is_object()) {
      out["tpe"] = {{"trials", search.trials}, {"space", space}};
      out["points"] = json::array();
    } else {
      out["points"] =
          search.sampler == "tpe" ? json::array({json::object()}) : sample_points(sampled, options, report_);
    }
    json names = json::array();
    for (const Parameter& parameter : sampled) names.push_back(parameter.full);
    out["parameters"] = names;
    out["exclude"] = parse_exclude(own_or_root("exclude", around_.exclude), *around_.tasks, report_);
    out["seeds"] = seeds();
    const std::size_t seed_count = out["seeds"].is_null() ? 1 : out["seeds"].size();
    out["stop"] = parse_stop(fields_, out["train"], sampled, seed_count, report_);
    if (is_population(out)) read_population(out, sampled, options);
  }

  static bool is_population(const json& out) { return out.at("stop").is_object() && out.at("stop")["method"] == "pbt"; }

  // What members draw from when they are cloned.
  void read_population(json& out, const std::vector<Parameter>& sampled, SampleOptions options) {
    if (options.search.sampler == "tpe")
      report_.error(fields_.mark("stop"),
                    "stop: method pbt changes parameters while jobs run, sampler tpe draws them from what whole jobs "
                    "came to; take another sampler");
    if (!report_.clean()) return;  // what is wrong with the parameters was told when they were sampled
    options.search.seed = out["stop"]["seed"];
    out["stop"]["space"] = search_space(sampled, options, report_);
  }

  json seeds() {
    if (!fields_.has("seeds")) return takes_root() ? around_.seeds : json(nullptr);
    check_unique(fields_.value("seeds"), fields_.mark("seeds"), "seeds", report_);
    return fields_.value("seeds");
  }

  void read_fusion(json& out) {
    out["needs"] = parse_needs(fields_, earlier_, *around_.tasks, around_.seeds, report_);
    const json sets = parse_sets(fields_, *around_.tasks, report_);
    out["sets"] = sets.at("sets");
    out["targets"] = sets.at("targets");
    out["fusion"] = {{"config", fields_.value("config")}, {"head", fields_.value("head")}};
    const json& all = out["sets"];
    const bool chosen = std::any_of(all.begin(), all.end(), [](const json& set) { return set.is_object(); });
    if (chosen && (out["needs"].contains("elsewhere") || out["needs"].contains("folders")))
      report_.error(fields_.mark("sets"), "sets: {greedy: k} tries adapters of stages of this file only");
    if (out.contains("tpe") && chosen) {
      report_.error(fields_.mark("sets"),
                    "sets: {greedy: k} is chosen by fusions with fixed parameters; sampler tpe draws them later. Take "
                    "another sampler");
    }
    if (chosen && is_population(out))
      report_.error(fields_.mark("sets"), "sets: {greedy: k} does not go with stop.method pbt; list the sets");
  }

  void read_prune(json& out) {
    out["source"] = parse_source(fields_, kFusion, earlier_, *around_.tasks, report_);
    out["keep"] = fields_.value("keep").is_null() ? json::array() : fields_.value("keep");
    check_unique(out["keep"], fields_.mark("keep"), "keep", report_);
    out["threshold"] = thresholds();
    if (!fields_.given("keep") && !fields_.given("threshold"))
      report_.error(name_.mark, "'keep' is missing (adapters kept in each layer), or 'threshold' (of mean attention)");
    json prune = json::object();
    for (const char* key : {"by", "data", "rows", "pad"}) prune[key] = fields_.value(key);
    out["prune"] = prune;
    if (fields_.value("retrain") == true)
      report_.error(fields_.mark("retrain"), std::string("retrain: true ") + kUnavailable);
  }

  json thresholds() {
    json out = json::array();
    const Node* node = fields_.node("threshold");
    if (!node) return out;
    Key key;
    key.name = "threshold";
    key.type = Type::number;
    key.low = 0;
    key.high = 1 - 1e-9;  // every layer would keep its best adapter: that is keep: 1
    key.open = true;
    const auto add = [&](const Node& one) {
      if (auto value = typed(key, one, report_)) out.push_back(*std::move(value));
    };
    if (!node->is_list()) add(*node);
    for (const Node& one : node->is_list() ? node->items : std::vector<Node>{}) add(one);
    check_unique(out, node->mark, "threshold", report_);
    return out;
  }

  void read_evaluate(json& out) {
    out["source"] = parse_source(fields_, kAdapter | kFusion | kPrune | kFinetune, earlier_, *around_.tasks, report_);
    out["depths"] = "all";
    const Node* depths = fields_.node("depths");
    if (!depths || (depths->is_scalar() && depths->text == "all")) return;
    Key key;
    key.name = "depths";
    key.type = Type::integers;
    key.low = 0;
    key.high = 1000;
    if (const auto list = typed(key, *depths, report_)) {
      const std::set<json> sorted(list->begin(), list->end());
      out["depths"] = sorted;  // rising, each once: the same rows in any order are the same job
    }
  }

  const Node& name_;
  Kind kind_;
  const Surroundings& around_;
  const std::vector<EarlierStage>& earlier_;
  Report& report_;
  Fields fields_;
};

bool takes_from_sound(json& stage, const std::vector<EarlierStage>& earlier) {
  const auto inputs = inputs_of(stage);
  return std::all_of(inputs.begin(), inputs.end(), [&](const json* from) {
    return std::all_of(from->begin(), from->end(),
                       [&](const json& place) { return earlier[place.get<std::size_t>()].sound; });
  });
}

// The fusions that are tried for sets that are chosen by results, as a stage of their own before the one that asks for
// them: with its settings but no parameters. Null: it lists all its sets.
json tries_of(const json& stage) {
  json out = stage;
  out["sets"] = json::array(), out["targets"] = json::array();
  for (std::size_t i = 0; i < stage.at("sets").size(); ++i) {
    if (!stage.at("sets")[i].is_object()) continue;
    out["sets"].push_back(stage.at("sets")[i]);
    out["targets"].push_back(stage.at("targets")[i]);
  }
  if (out["sets"].empty()) return nullptr;
  out["name"] = stage.at("name").get<std::string>() + ".greedy";
  out["tries"] = true;
  out["points"] = json::array({json::object()});
  out["parameters"] = json::array();
  out["stop"] = nullptr;
  // What takes out whole tasks and drops does so here too.
  out["exclude"] = json::array();
  for (const json& conditions : stage.at("exclude")) {
    const bool coarse = std::all_of(conditions.items().begin(), conditions.items().end(),
                                    [](const auto& one) { return one.key() == "task" || one.key() == "drop"; });
    if (coarse) out["exclude"].push_back(conditions);
  }
  return out;
}

}  // namespace

void check_unique(const json& list, const Mark& at, const std::string& what, Report& report) {
  std::set<json> seen;
  for (const json& one : list) {
    if (!seen.insert(one).second) report.error(at, what + ": " + one.dump() + " stands twice");
  }
}

Stages parse_stages(const Node* node, const Surroundings& around, Report& report) {
  Stages out;
  if (!node) return out;
  if (!node->is_map() || node->items.empty()) {
    report.error(node->mark, "stages: expected a map NAME: {…} of at least one stage, found " + describe(*node));
    return out;
  }
  for (std::size_t i = 0; i < node->items.size(); ++i) {
    const Node& name = node->keys[i];
    if (!is_name(name.text, false)) {
      report.error(name.mark, "stage '" + name.text + "': expected letters, digits, '-' and '_', at most 64");
      continue;
    }
    const Node& written = node->items[i];
    const std::size_t told = report.told();
    const auto kind = kind_of(name, written, report);
    if (!kind) {
      check_any_kind(written, around, out.marks, report);
      // Its name stays known, so that `from` does not complain as well.
      out.marks.push_back({name.text, Kind::benchmark, name.mark, kAnyKind, false, &written});
      out.resolved.push_back(nullptr);
      continue;
    }
    json stage = StageReader(name, written, *kind, around, out.marks, report).read();
    const bool sound = report.told() == told && around.sound && takes_from_sound(stage, out.marks);
    if (json tries = *kind == Kind::fusion ? tries_of(stage) : json(); tries.is_object()) {
      out.marks.push_back({tries.at("name"), *kind, name.mark, 0, sound, &written});  // nothing takes from it by name
      out.resolved.push_back(std::move(tries));
    }
    out.resolved.push_back(std::move(stage));
    out.marks.push_back({name.text, *kind, name.mark, bit_of(*kind), sound, &written});
  }
  return out;
}

}  // namespace fathom::sweeps
