// A recorded training run of the `adapters` package, opened as a network of ours at its first step.
#pragma once

#include <string>
#include <vector>

#include "tests/unit/trainer/golden.hpp"
#include "trainer/engine/training.hpp"

namespace fathom::trainer::golden {

struct Trajectory {
  nlohmann::json recorded;  // trajectory.json
  std::filesystem::path folder;
  Network network;
  NamedTensors rows;  // input_ids attention_mask token_type_ids labels targets

  // `id` as in the manifest: "bert/seq_bn_wd0".
  explicit Trajectory(const std::string& id);

  // The rows of train.safetensors with these numbers.
  [[nodiscard]] LabelledBatch batch(const nlohmann::json& chosen) const;
  [[nodiscard]] TrainingOptions options() const;
  // n of every step.
  [[nodiscard]] std::vector<std::uint32_t> depths() const;
  // Logits of rows 0-7 in eval mode at depth 0.
  [[nodiscard]] at::Tensor eval_logits() const;

 private:
  std::vector<std::shared_ptr<const Adapter>> stored_members();
  std::vector<std::shared_ptr<const Adapter>> formula_members();
};

// Every id of the manifest, in its order; none where the golden data are absent.
std::vector<std::string> trajectory_ids();

// Whether the base of `id` is on this machine: MiniLM's is put there by the install script.
bool base_present(const std::string& id);

}  // namespace fathom::trainer::golden
