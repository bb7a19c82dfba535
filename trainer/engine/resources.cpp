#include "trainer/engine/resources.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "common/canonical_json.hpp"
#include "common/files.hpp"
#include "common/sha256.hpp"
#include "data/links.hpp"
#include "trainer/engine/engine.hpp"
#include "trainer/engine/errors.hpp"
#include "trainer/engine/rows_file.hpp"
#include "trainer/engine/spec.hpp"

namespace fathom::trainer {
namespace {

// Splits of tasks kept tokenised; a GLUE task of 400,000 rows is about 100 MB of ids.
constexpr std::size_t kTasksKept = 24;
constexpr std::uint64_t kMaxConfig = 4U << 20;
// Goes up whenever reading or tokenising makes other rows of the same files.
constexpr int kRowsVersion = 1;

// Of the files that a tokenizer is read from, those that are there.
std::string tokenizer_sha256(data::HashCache& hashes, const std::filesystem::path& folder) {
  std::string lines;
  for (const char* name : {"added_tokens.json", "config.json", "merges.txt", "special_tokens_map.json",
                           "tokenizer.json", "tokenizer_config.json", "vocab.json", "vocab.txt"}) {
    if (const auto hash = hashes.file(folder / name)) lines += std::string(name) + " " + *hash + "\n";
  }
  return sha256_hex(lines);
}

void check_length(const OpenModel& model, std::size_t max_length) {
  const auto limit = model.base->config.max_length();
  if (static_cast<std::int64_t>(max_length) <= limit) return;
  throw JobError(ErrorClass::config, "train.max_length is " + std::to_string(max_length) + ", but the model " +
                                         model.base->config.name + " has positions for " + std::to_string(limit) +
                                         " tokens only");
}

std::shared_ptr<OpenTask> open_task(const std::filesystem::path& root, const nlohmann::json& task, data::Split split,
                                    const Tokenizer& tokenizer, std::size_t max_length) {
  const auto dataset = value_or_fail(data::load_task(root, task, split), ErrorClass::data);
  const std::string name = task.value("name", "");
  if (dataset.examples.empty())
    throw JobError(ErrorClass::data,
                   "task " + name + ": the " + (split == data::Split::train ? "train" : "eval") + " split has no rows");
  if (!dataset.regression && dataset.labels.size() < 2)
    throw JobError(ErrorClass::data, "task " + name + ": a classification needs at least two labels, found " +
                                         std::to_string(dataset.labels.size()));
  auto open = std::make_shared<OpenTask>();
  open->rows = tokenize(dataset, tokenizer, max_length);
  open->labels = dataset.labels;
  open->regression = dataset.regression;
  open->skipped = dataset.skipped;
  return open;
}

}  // namespace

OpenModel open_model(const std::filesystem::path& folder) {
  OpenModel model;
  model.folder = folder;
  model.base = value_or_fail(load_base_model(folder), ErrorClass::model);
  model.tokenizer = value_or_fail(Tokenizer::load(folder), ErrorClass::model);
  // Found here with both numbers, not later as an index error deep in the first batch.
  value_or_fail(check_tokenizer(model.base->config, model.tokenizer->vocab_size()), ErrorClass::model);
  return model;
}

OpenModel open_random_model(const std::filesystem::path& config) {
  const auto text = value_or_fail(read_file(config.string(), kMaxConfig), ErrorClass::model);
  ModelConfig sizes = value_or_fail(parse_model_config(text, config.string()), ErrorClass::model);
  sizes.name = config.stem().string();
  OpenModel model;
  model.folder = config.parent_path();
  model.base = std::make_shared<const BaseModel>(random_base_model(sizes));
  // Drawn rows need none, and a config is often all there is.
  if (auto tokenizer = Tokenizer::load(model.folder)) {
    model.tokenizer = std::move(tokenizer).value();
    value_or_fail(check_tokenizer(sizes, model.tokenizer->vocab_size()), ErrorClass::model);
  }
  return model;
}

Resources::Resources(std::filesystem::path root, std::string device, Gang& gang, EngineKind engine,
                     PrefixOptions prefix)
    : root_(std::move(root)),
      device_(std::move(device)),
      place_(device_.starts_with("cuda") ? at::Device(device_) : at::Device(at::kCPU)),
      gang_(gang),
      prefix_(std::move(prefix)),
      engine_(make_engine(engine, prefix_)) {}

Resources::~Resources() = default;

std::shared_ptr<const OpenModel> Resources::model(const std::string& path) {
  const bool random = path.starts_with(kRandom);
  const auto place = random ? path.substr(std::string_view(kRandom).size()) : path;
  const auto folder = value_or_fail(data::below_root(root_, place), ErrorClass::config);
  value_or_fail(random ? data::check_links(folder) : data::check_links_below(folder), ErrorClass::config);
  const auto hash = random ? hashes_.file(folder) : data::model_sha256(hashes_, folder);
  auto sha256 = value_or_fail(hash, ErrorClass::model);
  if (random) sha256 = sha256_hex("random " + sha256);
  // Jobs that still use the older weights keep them alive; new jobs get the new ones.
  auto& held = models_[path];
  if (!held || held->sha256 != sha256) {
    OpenModel opened = random ? open_random_model(folder) : open_model(folder);
    opened.sha256 = sha256;
    opened.tokenizer_sha256 = tokenizer_sha256(hashes_, opened.folder);
    if (place_ != opened.base->word_embeddings.device())
      opened.base = std::make_shared<const BaseModel>(opened.base->to(place_));
    spdlog::info("base model opened path={} layers={} hidden={}", path, opened.base->config.layers,
                 opened.base->config.hidden);
    held = std::make_shared<const OpenModel>(std::move(opened));
  }
  return held;
}

Resources::AdapterFolder Resources::adapter_folder(const std::string& path) {
  const auto folder = value_or_fail(data::below_root(root_, path), ErrorClass::config);
  value_or_fail(data::check_links_below(folder), ErrorClass::config);
  return {folder, value_or_fail(data::adapter_sha256(hashes_, folder), ErrorClass::config)};
}

std::shared_ptr<OpenTask> Resources::open_split(const OpenModel& model, const nlohmann::json& task, data::Split split,
                                                std::size_t max_length, const std::string& data_sha256) {
  const bool kept = !prefix_.folder.empty() && prefix_.limit > 0;
  const nlohmann::json parts = {kRowsVersion, model.tokenizer_sha256,     task, data_sha256,
                                max_length,   split == data::Split::train};
  const auto key = sha256_hex(canonical_json(parts));
  if (auto there = kept ? load_rows(prefix_.folder, key) : nullptr) return there;
  auto made = open_task(root_, task, split, *model.tokenizer, max_length);
  if (kept) save_rows(prefix_.folder, key, *made, prefix_.limit);
  return made;
}

std::shared_ptr<const OpenTask> Resources::task(const std::string& model_path, const nlohmann::json& task,
                                                data::Split split, std::size_t max_length) {
  const auto opened = model(model_path);
  check_length(*opened, max_length);
  if (!opened->tokenizer)
    throw JobError(ErrorClass::config,
                   "model.config has no tokenizer beside it, so only benchmarks can use it; found none in " +
                       opened->folder.string());
  // Hashes are remembered by size and time of the file, so this costs a stat() for a task that is known.
  const auto data_sha256 = value_or_fail(data::data_sha256(hashes_, root_, task), ErrorClass::data);
  const nlohmann::json key_parts = {opened->sha256, model_path, task,
                                    data_sha256,    max_length, split == data::Split::train ? "train" : "eval"};
  const auto key = canonical_json(key_parts);
  const auto found = std::find_if(tasks_.begin(), tasks_.end(), [&](const auto& entry) { return entry.first == key; });
  if (found != tasks_.end()) {
    // Used last goes to the front; the back is dropped first.
    tasks_.splice(tasks_.begin(), tasks_, found);
    return tasks_.front().second;
  }
  auto made = open_split(*opened, task, split, max_length, data_sha256);
  made->data_sha256 = data_sha256;
  for (const auto& more : split == data::Split::eval ? data::more_evals(root_, task) : std::vector<data::MoreEval>{}) {
    nlohmann::json other = task;
    other["eval"] = more.path;
    made->more.emplace_back(more.split, open_split(*opened, other, split, max_length, data_sha256));
  }
  tasks_.emplace_front(key, made);
  if (tasks_.size() > kTasksKept) tasks_.pop_back();
  return made;
}

}  // namespace fathom::trainer
