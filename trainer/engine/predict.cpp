#include "trainer/engine/predict.hpp"

#include <ATen/ops/softmax.h>
#include <c10/core/InferenceMode.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <tuple>

#include "common/files.hpp"
#include "data/dataset.hpp"
#include "trainer/adapters/label_order.hpp"
#include "trainer/checkpoint/adapter_files.hpp"
#include "trainer/engine/engine.hpp"
#include "trainer/engine/errors.hpp"
#include "trainer/engine/final_tree.hpp"

namespace fathom::trainer {
namespace {

using nlohmann::json;
constexpr std::size_t kPredictBatch = 32;  // texts of one pass

struct Row {
  std::string text;
  std::optional<std::string> pair;
  std::string gold;  // of a split's row that has a label
};

// One of the adapters that answer.
struct Member {
  std::string folder;  // as given
  Network network;
  Card card;
  std::int64_t depth = 0;
};

// What one member says about one row.
struct Answer {
  std::vector<float> logits, probabilities;
};

Row row_of(const std::string& line) {
  const auto tab = line.find('\t');
  if (tab == std::string::npos) return {line, std::nullopt, ""};
  return {line.substr(0, tab), line.substr(tab + 1), ""};
}

std::vector<Row> read_rows(const PredictOptions& options) {
  std::vector<Row> rows;
  for (const auto& text : options.texts) rows.push_back({text, std::nullopt, ""});
  if (options.file.empty()) return rows;
  const auto bytes = value_or_fail(read_file(options.file.string()), ErrorClass::data);
  for (std::size_t begin = 0; begin < bytes.size();) {
    auto end = bytes.find('\n', begin);
    if (end == std::string::npos) end = bytes.size();
    auto line = bytes.substr(begin, end - begin);
    if (line.ends_with('\r')) line.pop_back();
    if (!line.empty()) rows.push_back(row_of(line));
    begin = end + 1;
  }
  return rows;
}

// Labels and limits of the model: from fathom.json, or for a folder of another origin from its head.
Card card_of(const std::filesystem::path& folder, const Network& network) {
  const auto& head = network.head->config;
  if (std::filesystem::exists(folder / "fathom.json")) {
    Card known = read_card(folder);
    // The head itself says best which output is which: its order may differ from the card's.
    if (has_label_names(*network.head) && head.labels.size() == known.labels.size()) known.labels = head.labels;
    return known;
  }
  Card card;
  card.regression = head.num_labels == 1;
  card.labels = head.labels;
  for (auto i = static_cast<std::int64_t>(card.labels.size()); i < head.num_labels; ++i)
    card.labels.push_back("LABEL_" + std::to_string(i));
  card.max_length = static_cast<std::uint32_t>(std::min<std::int64_t>(128, network.base->config.max_length()));
  return card;
}

// A folder's models: one, or the children of a saved parallel setup, each with its own head.
std::vector<Network> networks_in(const std::filesystem::path& folder, const std::shared_ptr<const BaseModel>& base) {
  if (!std::filesystem::exists(folder / "adapter_setup.json")) return {load_network(folder, base)};
  auto saved = value_or_fail(load_setup(folder, base->config), ErrorClass::model);
  const auto& children = saved.setup.children;
  if (saved.setup.kind != SetupKind::parallel || saved.heads.size() != children.size())
    return {load_network(folder, base)};
  std::vector<Network> networks;
  for (std::size_t i = 0; i < children.size(); ++i)
    networks.push_back({base,
                        children[i],
                        children[i].adapter,
                        children[i].fusion,
                        saved.heads[i],
                        {},
                        Precision::fp32,
                        /*whole=*/false,
                        {}});
  return networks;
}

std::vector<Member> load_members(const PredictOptions& options, const std::shared_ptr<const BaseModel>& base) {
  const auto& depths = options.depths;
  if (depths.size() > 1 && depths.size() != options.adapters.size())
    throw JobError(ErrorClass::config,
                   fmt::format("--depth is given {} times for {} adapters: once for all, or once each", depths.size(),
                               options.adapters.size()));
  std::vector<Member> members;
  for (std::size_t i = 0; i < options.adapters.size(); ++i) {
    const auto& folder = options.adapters[i];
    for (auto& network : networks_in(folder, base)) {
      Member member{folder.string(), std::move(network), {}, 0};
      member.card = card_of(folder, member.network);
      // What it was trained in; folders of another origin say nothing and mean float32.
      if (!member.card.settings.is_null()) member.network.precision = precision_of(member.card.settings);
      // A specialised adapter has nothing below its n; a robust one is best with all its layers.
      member.depth = depths.empty() ? member.card.drop.lo : depths[depths.size() == 1 ? 0 : i];
      if (member.depth > base->config.layers)
        throw JobError(ErrorClass::config,
                       fmt::format("--depth {}: the model has {} layers", member.depth, base->config.layers));
      members.push_back(std::move(member));
    }
  }
  return members;
}

// Members of one base, one precision and one length of text share a pass; each runs at its own depth.
struct Group {
  std::vector<const Member*> members;
  std::vector<Branch> branches;
};

// A fine-tuned model has a base of its own.
using GroupKey = std::tuple<std::uint32_t, Precision, const BaseModel*>;

std::map<GroupKey, Group> group(const std::vector<Member>& members) {
  std::map<GroupKey, Group> groups;
  for (const auto& member : members) {
    auto& group = groups[{member.card.max_length, member.network.precision, member.network.base.get()}];
    group.members.push_back(&member);
    group.branches.push_back({&member.network, member.depth});
  }
  return groups;
}

std::vector<float> floats(const at::Tensor& row) {
  const auto values = row.contiguous();
  return {values.const_data_ptr<float>(), values.const_data_ptr<float>() + values.numel()};
}

// Answers of a group to some rows, member by member.
std::vector<std::vector<Answer>> ask(const Group& group, std::uint32_t max_length, const Tokenizer& tokenizer,
                                     std::span<const Row> rows, Engine& engine) {
  std::vector<Encoding> encodings;
  for (const auto& row : rows) {
    std::optional<std::string_view> pair;
    if (row.pair) pair = *row.pair;
    encodings.push_back(tokenizer.encode(row.text, pair, max_length));
  }
  const auto batch = make_batch(encodings, tokenizer.pad_id());
  const auto count = static_cast<std::int64_t>(rows.size());
  std::vector<std::vector<Answer>> answers;
  for (const auto& logits : engine.logits(group.branches, batch.input)) {
    const auto probabilities = at::softmax(logits, -1);
    auto& list = answers.emplace_back();
    for (std::int64_t i = 0; i < count; ++i) list.push_back({floats(logits[i]), floats(probabilities[i])});
  }
  return answers;
}

// The first of equal logits, as the evaluation counts it.
const std::string& label_of(const Card& card, const Answer& answer) {
  const auto best = std::max_element(answer.logits.begin(), answer.logits.end()) - answer.logits.begin();
  return card.labels.at(static_cast<std::size_t>(best));
}

json to_json(const Member& member, const Answer& answer) {
  json object = {{"logits", answer.logits}};
  if (member.card.regression) {
    object["value"] = answer.logits.front();
    return object;
  }
  object["label"] = label_of(member.card, answer);
  object["probabilities"] = json::object();
  for (std::size_t i = 0; i < answer.probabilities.size(); ++i)
    object["probabilities"][member.card.labels.at(i)] = answer.probabilities[i];
  return object;
}

std::string to_text(const Member& member, const Answer& answer) {
  if (member.card.regression) return fmt::format("{:.4f}", answer.logits.front());
  std::string shares;
  for (std::size_t i = 0; i < answer.probabilities.size(); ++i)
    shares += fmt::format("{}{} {:.4f}", i ? "  " : "", member.card.labels.at(i), answer.probabilities[i]);
  return label_of(member.card, answer) + "\t" + shares;
}

// `answers` in the order of `members`.
void print(const Row& row, const std::vector<Member>& members, const std::vector<Answer>& answers, bool as_json,
           std::ostream& out) {
  const bool alone = members.size() == 1;
  if (!as_json) {
    for (std::size_t m = 0; m < members.size(); ++m)
      out << (alone ? "" : members[m].folder + "\t") << to_text(members[m], answers[m]) << "\t" << row.text << "\n";
    return;
  }
  json object = alone ? to_json(members[0], answers[0]) : json{{"results", json::array()}};
  object["text"] = row.text;
  if (row.pair) object["pair"] = *row.pair;
  for (std::size_t m = 0; m < members.size() && !alone; ++m) {
    auto result = to_json(members[m], answers[m]);
    result["adapter"] = members[m].folder;
    result["head"] = members[m].network.head->name;
    result["depth"] = members[m].depth;
    object["results"].push_back(std::move(result));
  }
  // Invalid UTF-8 in a text must not end the program.
  out << object.dump(-1, ' ', false, json::error_handler_t::replace) << "\n";
}

// Calls `told` with each row and the answers to it in the order of `members`.
void ask_all(const PredictOptions& options, const OpenModel& model, const std::vector<Member>& members,
             const std::vector<Row>& rows,
             const std::function<void(const Row& row, const std::vector<Answer>& answers)>& told) {
  const auto groups = group(members);
  const auto engine = make_engine(options.engine);
  for (std::size_t first = 0; first < rows.size(); first += kPredictBatch) {
    const auto batch = std::span(rows).subspan(first, std::min(kPredictBatch, rows.size() - first));
    std::vector<std::vector<Answer>> by_row(batch.size(), std::vector<Answer>(members.size()));
    for (const auto& [key, group] : groups) {
      const auto answers = ask(group, std::get<0>(key), *model.tokenizer, batch, *engine);
      for (std::size_t m = 0; m < answers.size(); ++m) {
        const auto place = static_cast<std::size_t>(group.members[m] - members.data());
        for (std::size_t i = 0; i < batch.size(); ++i) by_row[i][place] = answers[m][i];
      }
    }
    for (std::size_t i = 0; i < batch.size(); ++i) told(batch[i], by_row[i]);
  }
}

// The rows of a split of the task that the model was trained for.
std::vector<Row> rows_of_split(const PredictOptions& options, const Card& card) {
  if (!card.settings.contains("task"))
    throw JobError(ErrorClass::config, options.adapters.front().string() + "/fathom.json names no task");
  auto dataset = value_or_fail(
      data::load_task(options.root, card.settings.at("task"), data::split_named(options.split)), ErrorClass::data);
  std::vector<Row> rows;
  for (auto& example : dataset.examples) {
    auto& row = rows.emplace_back(Row{std::move(example.text), std::move(example.pair), ""});
    if (dataset.regression && std::isfinite(example.value)) row.gold = fmt::format("{}", example.value);
    if (example.label >= 0) row.gold = dataset.labels.at(static_cast<std::size_t>(example.label));
  }
  return rows;
}

// A label's name may hold what ends a cell.
std::string cell(std::string name) {
  std::replace_if(
      name.begin(), name.end(), [](char c) { return c == '\t' || c == '\n' || c == '\r'; }, ' ');
  return name;
}

void predict_split(const PredictOptions& options) {
  const auto model = open_model(options.model);
  const auto members = load_members(options, model.base);
  if (members.size() != 1) throw JobError(ErrorClass::config, "--split asks one adapter at a time");
  const auto& member = members.front();
  const auto& card = member.card;
  const auto rows = rows_of_split(options, card);
  const bool gold = std::any_of(rows.begin(), rows.end(), [](const Row& row) { return !row.gold.empty(); });
  std::string table = gold ? "row\tpredicted\tgold" : "row\tpredicted";
  if (!card.regression) {
    for (const auto& label : card.labels) table += "\tp." + cell(label);
  }
  std::size_t number = 0;
  ask_all(options, model, members, rows, [&](const Row& row, const std::vector<Answer>& answers) {
    const auto& answer = answers.front();
    const auto said = card.regression ? fmt::format("{}", answer.logits.front()) : cell(label_of(card, answer));
    table += fmt::format("\n{}\t{}", number++, said);
    if (gold) table += "\t" + cell(row.gold);
    if (!card.regression) table += fmt::format("\t{}", fmt::join(answer.probabilities, "\t"));
  });
  value_or_fail(write_file_atomic(options.out.string(), table + "\n"), ErrorClass::disk);
}

void predict_rows(const PredictOptions& options, std::ostream& out) {
  const auto model = open_model(options.model);
  const auto members = load_members(options, model.base);
  ask_all(options, model, members, read_rows(options),
          [&](const Row& row, const std::vector<Answer>& answers) { print(row, members, answers, options.json, out); });
}

}  // namespace

int predict(const PredictOptions& options, std::ostream& out) {
  try {
    const c10::InferenceMode inference;
    options.split.empty() ? predict_rows(options, out) : predict_split(options);
    return 0;
  } catch (...) {
    std::cerr << "fathom-trainer predict: " << failure_of(std::current_exception()).message << "\n";
    return 1;
  }
}

}  // namespace fathom::trainer
