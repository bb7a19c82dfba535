// The final/ folder of a job: what collect hands out, other jobs start from and predict reads. Besides the AdapterHub
// files it holds fathom.json with what those cannot say, and in epochs/N/ whole trees of further epochs that are kept.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "trainer/engine/network.hpp"
#include "trainer/engine/spec.hpp"

namespace fathom::trainer {

// fathom.json: {"format": 1, "settings", "result", "labels", "regression", "drop", "max_length", "tokenizer", "model"}.
struct Card {
  nlohmann::json settings;
  nlohmann::json result;
  std::vector<std::string> labels;  // names by id; empty for a regression
  bool regression = false;
  Drop drop;                       // how the model was trained
  std::uint32_t max_length = 128;  // tokens
  std::string model;               // path of the base below the data root
};

// Writes a tree into a folder that holds none: `network` as an adapter folder, a setup or a Hugging Face
// folder (null: fathom.json only).
// fathom.json is written last, so that a tree with it is complete. JobError disk when a file cannot be written.
void write_tree(const std::filesystem::path& tree, const Network* network, const Card& card);
// What an earlier attempt left there, if anything.
void remove_tree(const std::filesystem::path& tree);
// Both in FOLDER/final.
void write_final(const std::filesystem::path& folder, const Network* network, const Card& card);

// Reads TREE/fathom.json. JobError model when it is missing, broken or of a newer format.
Card read_card(const std::filesystem::path& tree);

}  // namespace fathom::trainer
