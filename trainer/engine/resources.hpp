// What the jobs of one trainer share: frozen base models with their tokenizers, and tokenised tasks. Everything handed
// out is constant and shared; a job keeps what it uses alive.
// Thread: compute thread only. Errors: JobError of class config, data or model with a sentence that names the file.
#pragma once

#include <cstddef>
#include <filesystem>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "data/dataset.hpp"
#include "data/identity.hpp"
#include "trainer/batches/tokenized.hpp"
#include "trainer/engine/engine_kind.hpp"
#include "trainer/model/base_model.hpp"
#include "trainer/parallel/gang.hpp"
#include "trainer/tokenizer/tokenizer.hpp"

namespace fathom::trainer {

class Engine;

struct OpenModel {
  std::shared_ptr<const BaseModel> base;
  std::shared_ptr<const Tokenizer> tokenizer;  // null: a random model without one
  std::string sha256;                          // of the weights; of a random model of its config
  std::string tokenizer_sha256;                // of the tokenizer's files
  std::filesystem::path folder;
};

// One split of a task, tokenised for one model.
struct OpenTask {
  TokenizedRows rows;
  std::vector<std::string> labels;  // names by id; empty for a regression
  bool regression = false;
  std::string data_sha256;    // of both splits' files
  std::uint64_t skipped = 0;  // malformed rows that the preset leaves out
  // Eval split only: other files that score, by their split's name (MNLI: "eval_mismatched").
  std::vector<std::pair<std::string, std::shared_ptr<const OpenTask>>> more;
  // Outputs of the head: one per label, one for a regression.
  [[nodiscard]] std::int64_t outputs() const { return regression ? 1 : static_cast<std::int64_t>(labels.size()); }
};

// Opens a model folder. JobError model: missing or broken files, or a tokenizer whose ids the embeddings do not cover.
OpenModel open_model(const std::filesystem::path& folder);
// A model of these sizes with drawn weights (random_base_model), and the tokenizer beside its config, if there is one.
OpenModel open_random_model(const std::filesystem::path& config);

class Resources {
 public:
  // `root`: what model paths and task files are relative to. `device`: "cpu" or "cuda:N", whose module is
  // open; models go there, and its name into results. `gang`: the ranks that
  // share this trainer's job; it outlives the resources. `engine` computes the passes of all jobs and keeps
  // the frozen base's outputs as `prefix` says.
  Resources(std::filesystem::path root, std::string device, Gang& gang = alone(),
            EngineKind engine = EngineKind::packed, PrefixOptions prefix = {});
  ~Resources();

  // `path`: a folder relative to the root, or "random:" and the path of a config.json. Held for the life of the
  // process; read again when the file on disk has changed.
  std::shared_ptr<const OpenModel> model(const std::string& path);

  // max_length in tokens, special ones included. The tasks used last stay tokenised.
  std::shared_ptr<const OpenTask> task(const std::string& model, const nlohmann::json& task, data::Split split,
                                       std::size_t max_length);

  // The folder of an existing adapter, relative to the root, and its hash (data::adapter_sha256).
  struct AdapterFolder {
    std::filesystem::path path;
    std::string sha256;
  };
  AdapterFolder adapter_folder(const std::string& path);

  [[nodiscard]] const std::string& device() const { return device_; }
  // Where models are, and everything that is computed with them.
  [[nodiscard]] at::Device place() const { return place_; }
  [[nodiscard]] Gang& gang() const { return gang_; }
  [[nodiscard]] Engine& engine() const { return *engine_; }

 private:
  // One split, from the file that an earlier trainer left or read and tokenised anew.
  std::shared_ptr<OpenTask> open_split(const OpenModel& model, const nlohmann::json& task, data::Split split,
                                       std::size_t max_length, const std::string& data_sha256);

  const std::filesystem::path root_;
  const std::string device_;
  const at::Device place_;
  Gang& gang_;
  const PrefixOptions prefix_;
  const std::unique_ptr<Engine> engine_;
  data::HashCache hashes_;
  std::map<std::string, std::shared_ptr<const OpenModel>> models_;  // by path relative to the root
  // Newest use first: (key, task). Short, so a list is searched.
  std::list<std::pair<std::string, std::shared_ptr<const OpenTask>>> tasks_;
};

}  // namespace fathom::trainer
