#include "cli/sweep_file.hpp"

#include <filesystem>

#include <nlohmann/json.hpp>

#include "common/files.hpp"
#include "data/dataset.hpp"

namespace fathom::cli {

using nlohmann::json;

namespace {

constexpr std::uint64_t kMaxFile = 4U << 20;

// The number of layers of the sweep's base model, 0 where it cannot be seen from here.
std::uint32_t layers_of(const sweeps::Sweep& sweep, const std::string& root) {
  const json model = sweep.resolved.value(json::json_pointer("/common/model"), json::object());
  const json path = model.value("path", model.value("config", json()));
  if (root.empty() || !path.is_string()) return 0;
  const auto found = data::below_root(root, path.get<std::string>());
  if (!found) return 0;
  const auto text = read_file((model.contains("path") ? *found / "config.json" : *found).string(), kMaxFile);
  const json config = text ? json::parse(*text, nullptr, false) : json();
  const json layers = config.is_object() ? config.value("num_hidden_layers", json()) : json();
  return layers.is_number_unsigned() ? layers.get<std::uint32_t>() : 0;
}

}  // namespace

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
  sweeps::ParseResult parsed = sweeps::parse(out.yaml, parse);
  out.errors = std::move(parsed.errors);
  if (!out.errors.empty()) return out;
  FATHOM_ASSIGN(out.plan, sweeps::expand(parsed.sweep, layers_of(parsed.sweep, options.root)));
  if (!options.name.empty()) out.plan.name = options.name;
  return out;
}

}  // namespace fathom::cli
