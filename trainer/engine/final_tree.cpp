#include "trainer/engine/final_tree.hpp"

#include "common/files.hpp"
#include "trainer/checkpoint/adapter_files.hpp"
#include "trainer/engine/errors.hpp"
#include "trainer/engine/model_folder.hpp"

namespace fathom::trainer {
namespace {

using nlohmann::json;
constexpr int kFormat = 1;

void save_network(const std::filesystem::path& tree, const Network& network) {
  const auto& config = network.base->config;
  if (network.whole) {
    save_model_folder(tree, network);
  } else if (network.adapter) {
    value_or_fail(save_adapter(tree, *network.adapter, config), ErrorClass::disk);
    value_or_fail(save_head(tree, *network.head, config), ErrorClass::disk);
  } else {
    value_or_fail(save_setup(tree, {network.setup, {network.head}}, config), ErrorClass::disk);
  }
}

json to_json(const Card& card) {
  // Only the last part of the model's path: collected trees leave this machine.
  const auto tokenizer = std::filesystem::path(card.model).filename().string();
  return {{"format", kFormat},
          {"settings", card.settings},
          {"result", card.result},
          {"labels", card.labels},
          {"regression", card.regression},
          {"drop", to_json(card.drop)},
          {"max_length", card.max_length},
          {"tokenizer", tokenizer},
          {"model", card.model}};
}

}  // namespace

void remove_tree(const std::filesystem::path& tree) {
  std::error_code ignored;
  std::filesystem::remove_all(tree, ignored);
}

void write_final(const std::filesystem::path& folder, const Network* network, const Card& card) {
  remove_tree(folder / "final");
  write_tree(folder / "final", network, card);
}

void write_tree(const std::filesystem::path& tree, const Network* network, const Card& card) {
  value_or_fail(make_folders(tree.string()), ErrorClass::disk);
  if (network) save_network(tree, *network);
  value_or_fail(write_file_atomic((tree / "fathom.json").string(), to_json(card).dump(2) + "\n"), ErrorClass::disk);
}

Card read_card(const std::filesystem::path& tree) {
  const auto file = tree / "fathom.json";
  const auto text = value_or_fail(read_file(file.string(), 64U << 20), ErrorClass::model);
  try {
    const auto object = json::parse(text);
    // A newer format may mean other things by the same keys.
    if (object.at("format").get<int>() > kFormat)
      throw JobError(ErrorClass::model, file.string() + " was written by a newer Fathom (format " +
                                            object.at("format").dump() + "); this one reads up to 1");
    Card card;
    card.settings = object.at("settings");
    card.result = object.at("result");
    card.labels = object.at("labels").get<std::vector<std::string>>();
    card.regression = object.at("regression").get<bool>();
    card.drop = parse_drop(object.at("drop"), file.string() + ": drop");
    card.max_length = object.at("max_length").get<std::uint32_t>();
    card.model = object.at("model").get<std::string>();
    return card;
  } catch (const json::exception& error) {
    throw JobError(ErrorClass::model, file.string() + " is not what Fathom writes: " + error.what());
  }
}

}  // namespace fathom::trainer
