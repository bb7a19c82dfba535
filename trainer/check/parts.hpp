// The saved parts of a folder of reference data: read strictly, from both weight formats where both are there.
// Thread: plain functions; a Parts refers to the model it was made for.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "trainer/adapters/head.hpp"
#include "trainer/adapters/setup.hpp"
#include "trainer/model/encoder.hpp"

namespace fathom::trainer::check {

// Where parts lie below a folder. Fusions: "," in names is "+" in folder names.
struct PartFolders {
  std::filesystem::path adapters;  // + NAME
  std::filesystem::path heads;     // + NAME
  std::filesystem::path fusions;   // + NAME
  // Trajectories hold one fusion and one head, in folders that do not carry their names.
  bool by_name = true;
};

// Every function throws CheckError: a part that is missing, that does not fit the model, or whose two weight files do
// not hold the same bits.
class Parts {
 public:
  Parts(PartFolders folders, const ModelConfig& model) : folders_(std::move(folders)), model_(model) {}

  // A manifest's setup tree, checked against the model. `leave_out`: layers by adapter name, as load_leave_out.
  Setup setup(const nlohmann::json& node, const std::map<std::string, std::vector<std::int64_t>>& leave_out = {}) const;
  [[nodiscard]] std::shared_ptr<const Adapter> adapter(const std::string& name,
                                                       const std::vector<std::int64_t>& leave_out = {}) const;
  [[nodiscard]] std::shared_ptr<const Head> head(const std::string& name) const;
  [[nodiscard]] std::shared_ptr<const Fusion> fusion(const std::string& name) const;

 private:
  PartFolders folders_;
  const ModelConfig& model_;
};

// input_ids, attention_mask and, where it is there, token_type_ids of a file: int64 of one shape [B, T], ids inside the
// model's tables. `rows`: which rows, in this order; empty: all. CheckError names the file.
Batch read_batch(const std::filesystem::path& file, const ModelConfig& model,
                 const std::vector<std::int64_t>& rows = {});
// The same from tensors in memory.
Batch pick_batch(const NamedTensors& tensors, const std::string& file, const ModelConfig& model,
                 const std::vector<std::int64_t>& rows = {});
// Rows of one tensor with a leading dimension.
at::Tensor pick_rows(const NamedTensors& tensors, const std::string& file, const std::string& name,
                     const std::vector<std::int64_t>& rows);

}  // namespace fathom::trainer::check
