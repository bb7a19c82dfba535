#include "trainer/engine/predict.hpp"

#include <ATen/ops/softmax.h>
#include <c10/core/InferenceMode.h>
#include <fmt/format.h>

#include <algorithm>
#include <iostream>
#include <nlohmann/json.hpp>

#include "common/files.hpp"
#include "trainer/adapters/label_order.hpp"
#include "trainer/engine/errors.hpp"
#include "trainer/engine/final_tree.hpp"
#include "trainer/model/encoder.hpp"

namespace fathom::trainer {
namespace {

using nlohmann::json;
constexpr std::size_t kPredictBatch = 32;  // texts of one pass

struct Row {
  std::string text;
  std::optional<std::string> pair;
};

Row row_of(const std::string& line) {
  const auto tab = line.find('\t');
  if (tab == std::string::npos) return {line, std::nullopt};
  return {line.substr(0, tab), line.substr(tab + 1)};
}

std::vector<Row> read_rows(const PredictOptions& options) {
  std::vector<Row> rows;
  for (const auto& text : options.texts) rows.push_back({text, std::nullopt});
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

std::vector<float> floats(const at::Tensor& row) {
  const auto values = row.contiguous();
  return {values.const_data_ptr<float>(), values.const_data_ptr<float>() + values.numel()};
}

void print_json(const Row& row, const Card& card, const std::vector<float>& logits,
                const std::vector<float>& probabilities, std::ostream& out) {
  json object = {{"text", row.text}, {"logits", logits}};
  if (row.pair) object["pair"] = *row.pair;
  if (card.regression) {
    object["value"] = logits.front();
  } else {
    const auto best = std::max_element(logits.begin(), logits.end()) - logits.begin();
    object["label"] = card.labels.at(static_cast<std::size_t>(best));
    object["probabilities"] = json::object();
    for (std::size_t i = 0; i < probabilities.size(); ++i)
      object["probabilities"][card.labels.at(i)] = probabilities[i];
  }
  // Invalid UTF-8 in a text must not end the program.
  out << object.dump(-1, ' ', false, json::error_handler_t::replace) << "\n";
}

void print_text(const Row& row, const Card& card, const std::vector<float>& logits,
                const std::vector<float>& probabilities, std::ostream& out) {
  if (card.regression) {
    out << fmt::format("{:.4f}\t{}\n", logits.front(), row.text);
    return;
  }
  // The first of equal logits, as the evaluation counts it.
  const auto best = std::max_element(logits.begin(), logits.end()) - logits.begin();
  std::string shares;
  for (std::size_t i = 0; i < probabilities.size(); ++i)
    shares += fmt::format("{}{} {:.4f}", i ? "  " : "", card.labels.at(i), probabilities[i]);
  out << fmt::format("{}\t{}\t{}\n", card.labels.at(static_cast<std::size_t>(best)), shares, row.text);
}

void predict_batch(const Network& network, const Card& card, const Tokenizer& tokenizer, std::span<const Row> rows,
                   std::int64_t depth, bool as_json, std::ostream& out) {
  std::vector<Encoding> encodings;
  for (const auto& row : rows) {
    std::optional<std::string_view> pair;
    if (row.pair) pair = *row.pair;
    encodings.push_back(tokenizer.encode(row.text, pair, card.max_length));
  }
  ForwardOptions options;
  options.drop_depth = depth;
  const auto batch = make_batch(encodings, tokenizer.pad_id());
  const auto hidden = forward(*network.base, batch.input, network.setup, options).last_hidden_state;
  const auto logits = head_logits(*network.head, *network.base, hidden);
  const auto probabilities = at::softmax(logits, -1);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const auto line = static_cast<std::int64_t>(i);
    (as_json ? print_json : print_text)(rows[i], card, floats(logits[line]), floats(probabilities[line]), out);
  }
}

}  // namespace

int predict(const PredictOptions& options, std::ostream& out) {
  try {
    const c10::InferenceMode inference;
    const auto model = open_model(options.model);
    const auto network = load_network(options.adapter, model.base);
    const auto card = card_of(options.adapter, network);
    // A specialised adapter has nothing below its n; a robust one is best with all its layers.
    const auto depth = options.depth.value_or(card.drop.lo);
    if (depth > network.layers())
      throw JobError(ErrorClass::config, fmt::format("--depth {}: the model has {} layers", depth, network.layers()));
    const auto rows = read_rows(options);
    for (std::size_t first = 0; first < rows.size(); first += kPredictBatch) {
      const auto count = std::min(kPredictBatch, rows.size() - first);
      predict_batch(network, card, *model.tokenizer, std::span(rows).subspan(first, count), depth, options.json, out);
    }
    return 0;
  } catch (...) {
    std::cerr << "fathom-trainer predict: " << failure_of(std::current_exception()).message << "\n";
    return 1;
  }
}

}  // namespace fathom::trainer
