#include "cli/sweep_file.hpp"

#include <filesystem>

#include <nlohmann/json.hpp>

#include "common/files.hpp"
#include "data/dataset.hpp"

namespace fathom::cli {

using nlohmann::json;

namespace {

constexpr std::uint64_t kMaxFile = 4U << 20;

// The number of layers of a sweep's base model below the root.
Result<std::uint32_t> layers_below(const std::string& root, const json& model) {
  std::error_code ignored;
  if (!std::filesystem::is_directory(root, ignored)) return Error{Errc::not_found, root + " is no folder"};
  FATHOM_ASSIGN(const auto found,
                data::below_root(root, model.value("path", model.value("config", json())).get<std::string>()));
  const std::string file = (model.contains("path") ? found / "config.json" : found).string();
  FATHOM_ASSIGN(const std::string text, read_file(file, kMaxFile));
  const json config = json::parse(text, nullptr, false);
  const json layers = config.is_object() ? config.value("num_hidden_layers", json()) : json();
  if (layers.is_number_unsigned() && layers > 0) return layers.get<std::uint32_t>();
  return Error{Errc::corrupt, file + " does not say num_hidden_layers"};
}

// 0 where nobody asks for it (no root), or it cannot be seen, which people are told.
std::uint32_t layers_of(const json& model, const std::string& root, std::vector<std::string>& notes) {
  const bool named = model.value("path", model.value("config", json())).is_string();  // else a mistake of the file
  if (root.empty() || !named) return 0;
  const auto layers = layers_below(root, model);
  if (layers) return *layers;
  notes.push_back("--root: depths were not checked against the model's layers: " + layers.error().message);
  return 0;
}

}  // namespace

std::string mistakes_text(const std::vector<sweeps::Diagnostic>& errors, std::size_t more) {
  std::string out;
  for (const sweeps::Diagnostic& diagnostic : errors) out += sweeps::render(diagnostic) + "\n";
  if (more > 0) out += sweeps::more_mistakes(more) + "\n";
  return out;
}

Result<CheckedSweep> check_sweep(const SweepFile& options) {
  CheckedSweep out;
  FATHOM_ASSIGN(out.yaml, read_file(options.file, kMaxFile));
  sweeps::ParseOptions parse;
  parse.file = options.file;
  parse.set = options.set;
  // Wherever the command was started; the coordinator gets the texts by the names the files use for each other.
  parse.read_include = [&out, folder = std::filesystem::path(options.file).parent_path()](
                           const std::string& path) -> Result<std::string> {
    FATHOM_ASSIGN(std::string text, read_file((folder / path).string(), kMaxFile));
    out.includes[path] = text;
    return text;
  };
  std::uint32_t layers = 0;
  parse.layers = [&](const json& model) { return layers = layers_of(model, options.root, out.notes); };
  sweeps::ParseResult parsed = sweeps::parse(out.yaml, parse);
  out.errors = std::move(parsed.errors);
  out.more = parsed.more;
  if (!out.errors.empty()) return out;
  FATHOM_ASSIGN(out.plan, sweeps::expand(parsed.sweep, layers));
  out.plan.notes.insert(out.plan.notes.end(), out.notes.begin(), out.notes.end());
  if (!options.name.empty()) out.plan.name = options.name;
  return out;
}

}  // namespace fathom::cli
