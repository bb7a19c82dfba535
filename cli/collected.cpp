#include "cli/collected.hpp"

#include <algorithm>
#include <limits>
#include <set>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "common/kept_epochs.hpp"

namespace fathom::cli {

using nlohmann::json;

namespace {

std::string text(const json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

std::int64_t whole(const json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_number() ? found->get<std::int64_t>() : 0;
}

// A path segment out of a name that people chose.
std::string segment(const std::string& name) {
  std::string out;
  for (const char c : name) {
    const bool plain = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '-' ||
                       c == '_' || c == '+' || c == '.' || c == '=' || c == ',' ||
                       (static_cast<unsigned char>(c) & 0x80) != 0;
    out.push_back(plain ? c : '_');
  }
  return out.empty() || out[0] == '.' ? "_" + out : out;
}

bool has_weights(const json& job) {
  const std::string kind = text(job, "kind");
  const auto files = job.find("files");
  return text(job, "state") == "succeeded" &&
         (kind == "adapter" || kind == "fusion" || kind == "prune" || kind == "finetune") && files != job.end() &&
         files->is_array() && !files->empty();
}

// The folder that all settings and seeds of a job's place share.
std::string place_of(const json& job) {
  const std::string kind = text(job, "kind");
  const std::string task = segment(text(job, "task"));
  const std::string drop = segment(text(job, "drop").empty() ? "standard" : text(job, "drop"));
  if (kind == "finetune") return "models/" + task;
  if (kind == "adapter") return fmt::format("adapters/{}/{}", task, drop);
  std::string place = fmt::format("fusions/{}/{}/{}", task, segment(text(job, "set")), drop);
  // Below a threshold every layer keeps as many as reach it: its number is a part of the setting.
  const auto kept = whole(job, "keep");
  if (kind == "prune") place += kept > 0 ? fmt::format("/keep-{}", kept) : "/threshold";
  return place;
}

// Setting of a job inside its place: the sampled parameters, and the stage where two stages share the place.
std::string setting_of(const json& job, bool with_stage) {
  const std::string parameters = setting_label(job.value("parameters", json::object()));
  if (!with_stage) return parameters;
  return "stage=" + segment(text(job, "stage")) + (parameters.empty() ? "" : "," + parameters);
}

using Settings = std::vector<std::pair<std::string, std::vector<CollectedJob*>>>;  // in file order

// The setting with the best mean objective; settings without one lose.
void keep_best(Settings& settings, bool maximize) {
  const auto mean = [maximize](const std::vector<CollectedJob*>& jobs) {
    double sum = 0;
    for (const CollectedJob* job : jobs) {
      const json value = job->detail.value("objective", json());
      if (!value.is_number()) return -std::numeric_limits<double>::infinity();
      sum += value.get<double>();
    }
    return (maximize ? 1 : -1) * sum / static_cast<double>(jobs.size());
  };
  // Settings that lost a seed are no candidates while another has them all: the mean would be over easier seeds.
  std::size_t most = 0;
  for (const auto& [label, jobs] : settings) most = std::max(most, jobs.size());
  std::erase_if(settings, [most](const auto& setting) { return setting.second.size() < most; });
  const auto best = std::max_element(settings.begin(), settings.end(),
                                     [&](const auto& a, const auto& b) { return mean(a.second) < mean(b.second); });
  settings = {*best};
}

}  // namespace

std::string setting_label(const json& parameters) {
  std::vector<std::string> parts;
  if (!parameters.is_object()) return "";
  for (const auto& [name, value] : parameters.items()) {
    const std::string shown = value.is_string() ? value.get<std::string>() : value.dump();
    parts.push_back(segment(name.substr(name.find('.') == std::string::npos ? 0 : name.find('.') + 1)) + "=" +
                    segment(shown));
  }
  return fmt::format("{}", fmt::join(parts, ","));
}

void place_jobs(std::vector<CollectedJob>& jobs, bool best, bool maximize) {
  std::map<std::string, std::vector<CollectedJob*>> places;
  for (CollectedJob& job : jobs) {
    if (has_weights(job.detail)) places[place_of(job.detail)].push_back(&job);
  }
  for (const auto& [place, members] : places) {
    std::set<std::string> stages;
    for (const CollectedJob* job : members) stages.insert(text(job->detail, "stage"));
    Settings settings;
    for (CollectedJob* job : members) {
      const std::string label = setting_of(job->detail, stages.size() > 1);
      auto found =
          std::find_if(settings.begin(), settings.end(), [&](const auto& known) { return known.first == label; });
      if (found == settings.end()) found = settings.insert(settings.end(), {label, {}});
      found->second.push_back(job);
    }
    if (best) keep_best(settings, maximize);
    for (const auto& [label, with_it] : settings) {
      const std::string middle = settings.size() > 1 && !label.empty() ? "/" + label : "";
      // Trials that drew the same point have one result: it is there once.
      std::set<std::int64_t> seeds;
      for (CollectedJob* job : with_it) {
        const std::int64_t seed = whole(job->detail, "seed");
        if (seeds.insert(seed).second) job->folder = fmt::format("{}{}/seed{}", place, middle, seed);
      }
    }
  }
}

namespace {

std::string epoch_folder(const CollectedJob& job, const std::string& epoch) {
  return fmt::format("epochs/{}/epoch-{}", job.folder, epoch);
}

}  // namespace

std::string collected_path(const CollectedJob& job, const std::string& path) {
  const auto kept = kept_file(path);
  return kept ? epoch_folder(job, kept->epoch) + "/" + kept->path : job.folder + "/" + path;
}

std::vector<std::pair<std::string, double>> kept_epochs(const CollectedJob& job) {
  std::vector<std::pair<std::string, double>> out;
  const json best = job.detail.value(json::json_pointer("/result/best_epochs"), json::array());
  // The first is the job's own folder.
  for (std::size_t i = 1; i < best.size(); ++i)
    out.emplace_back(epoch_folder(job, std::to_string(whole(best[i], "epoch"))), best[i].value("objective", 0.0));
  return out;
}

// How a folder is opened in Python.
std::string loading_lines(const std::string& kind, const std::string& model, const std::string& folder) {
  if (kind == "finetune") {
    return fmt::format(
        "from transformers import AutoModelForSequenceClassification, AutoTokenizer\n\n"
        "model = AutoModelForSequenceClassification.from_pretrained(\"{0}\")\n"
        "tokenizer = AutoTokenizer.from_pretrained(\"{0}\")\n",
        folder);
  }
  const std::string head =
      fmt::format("from adapters import AutoAdapterModel\n\nmodel = AutoAdapterModel.from_pretrained(\"{}\")\n", model);
  if (kind == "fusion" || kind == "prune")
    return head + fmt::format("model.load_adapter_setup(\"{}\", set_active=True)\n", folder);
  return head + fmt::format("name = model.load_adapter(\"{}\", set_active=True)\n", folder);
}

std::string folder_readme(const CollectedJob& job, const std::string& folder) {
  const json& detail = job.detail;
  const std::string kind = text(detail, "kind");
  const bool fused = kind == "fusion" || kind == "prune";
  const json settings = detail.value("settings", json::object());
  const std::string model = settings.value(json::json_pointer("/model/path"), std::string("MODEL"));
  std::string out =
      fmt::format("# {} of `{}`, {}{}seed {}\n\n",
                  fused                ? "AdapterFusion"
                  : kind == "finetune" ? "Model"
                                       : "Adapter and head",
                  text(detail, "task"), text(detail, "drop").empty() ? "" : text(detail, "drop") + ", ",
                  text(detail, "set").empty() ? "" : "set " + text(detail, "set") + ", ", whole(detail, "seed"));
  out += fmt::format(
      "Job {} of sweep `{}`; base model `{}`; settings and results in `fathom.json`.\n\n## In Python\n\n```python\n",
      text(detail, "id"), text(detail, "sweep"), model);
  out += loading_lines(kind, model, folder);
  if (const json drop = settings.value("drop", json()); drop.is_object() && drop.value("kind", "") == "robust") {
    const std::string setup = fused ? "model.active_adapters" : "name";
    out += fmt::format(
        "# Trained for any drop depth from {} to {}: without the adapters of the lowest n layers it is\n"
        "model.set_active_adapters({}, skip_layers=list(range(n)))\n",
        drop.value("lo", 0), drop.value("hi", json()).is_null() ? "the last" : drop.at("hi").dump(), setup);
  }
  out += fmt::format("```\n\n## On the command line\n\n```\nfathom predict --adapter {} 'some text'\n```\n", folder);
  const auto epochs = kept_epochs(job);
  if (!epochs.empty()) out += fmt::format("\n## Epochs that were kept\n\n- the best: `{}`\n", job.folder);
  for (const auto& [place, objective] : epochs) out += fmt::format("- `{}`, objective {:.4f}\n", place, objective);
  return out;
}

std::string top_readme(const std::string& sweep, const std::vector<CollectedJob>& jobs,
                       const std::string& predictions) {
  const bool further = std::ranges::any_of(
      jobs, [](const CollectedJob& job) { return !job.folder.empty() && !kept_epochs(job).empty(); });
  std::string out = fmt::format(
      "# Results of the sweep `{}`\n\n"
      "| file | what |\n|---|---|\n"
      "| `sweep.yaml`, `resolved.yaml` | the file as it was submitted; with every default filled in |\n"
      "| `results.csv` | every measured value: a row for each job, depth, split and metric |\n"
      "| `summary.csv` | mean and spread over seeds, and the share kept of the score at depth 0 |\n"
      "| `jobs.csv`, `timing.csv` | what ran where, how long, at what speed |\n"
      "| `fusion_attention.csv` | how much each fusion layer attends to each adapter |\n"
      "{}{}| `manifest.json` | SHA-256 of every file |\n\n"
      "Adapters, heads and fusions are AdapterHub folders (`adapters` 1.x); each has a README.md with the lines to "
      "load it. Fine-tuned models (`models/TASK/seed1`) are Hugging Face folders.\n\n",
      sweep,
      predictions.empty()
          ? ""
          : fmt::format("| `predictions/FOLDER.tsv` | what the model in FOLDER says about each row of the split {}: "
                        "label and probabilities, or the value; the gold label where the row has one |\n",
                        predictions),
      further
          ? "| `epochs/FOLDER/epoch-N/` | the next best epochs (`checkpoint.keep.best`) of the job whose best is in "
            "FOLDER, laid out like it |\n"
          : "");
  out +=
      "```python\nfrom adapters import AutoAdapterModel\n\nmodel = AutoAdapterModel.from_pretrained(\"BASE MODEL\")\n"
      "model.load_adapter(\"adapters/TASK/DROP/seed1\", set_active=True)          # one adapter with its head\n"
      "model.load_adapter_setup(\"fusions/TARGET/SET/DROP/seed1\", set_active=True)  # a fusion with members and "
      "head\n```\n\n"
      "On the command line: `fathom predict --adapter FOLDER 'some text'`.\n\n## Folders\n\n| folder | job | objective "
      "|\n|---|---|---|\n";
  for (const CollectedJob& job : jobs) {
    if (job.folder.empty()) continue;
    const json objective = job.detail.value("objective", json());
    out += fmt::format("| `{}` | {} | {} |\n", job.folder, text(job.detail, "id"),
                       objective.is_number() ? fmt::format("{:.4f}", objective.get<double>()) : "");
    for (const auto& [folder, value] : kept_epochs(job))
      out += fmt::format("| `{}` | {} | {:.4f} |\n", folder, text(job.detail, "id"), value);
  }
  return out;
}

}  // namespace fathom::cli
