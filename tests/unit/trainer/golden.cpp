#include "tests/unit/trainer/golden.hpp"

#include <stdlib.h>

#include <cctype>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <stdexcept>

#include <ATen/TensorOperators.h>
#include <ATen/ops/abs.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/max.h>
#include <ATen/ops/sub.h>

#include "trainer/checkpoint/adapter_files.hpp"
#include "trainer/checkpoint/safetensors.hpp"

namespace fathom::trainer::golden {

namespace fs = std::filesystem;
using nlohmann::json;

fs::path root() { return fs::path(FATHOM_SOURCE_DIR) / ".." / "shared" / "golden" / "adapters"; }

bool present() { return fs::exists(root() / "manifest.json"); }

fs::path minilm_folder() {
  const char* cache = std::getenv("FATHOM_CACHE");
  const char* home = std::getenv("HOME");
  const fs::path folder = cache ? cache : fs::path(home ? home : "/") / ".cache" / "fathom";
  return folder / "demo" / "models" / "minilm";
}

std::string test_name(std::string text) {
  for (char& c : text) c = std::isalnum(static_cast<unsigned char>(c)) ? c : '_';
  return text;
}

json read_json(const fs::path& file) {
  std::ifstream in(file);
  if (!in) throw std::runtime_error("cannot read " + file.string());
  return json::parse(in);
}

NamedTensors read_tensors(const fs::path& file) { return value(read_safetensors(file)).tensors; }

Batch read_batch(const fs::path& file, const std::vector<std::int64_t>& rows) {
  const NamedTensors tensors = read_tensors(file);
  const auto pick = [&](const char* name) {
    const at::Tensor all = tensors.at(name);
    if (rows.empty()) return all;
    const at::Tensor index =
        at::from_blob(const_cast<std::int64_t*>(rows.data()), {static_cast<std::int64_t>(rows.size())}, at::kLong);
    return at::index_select(all, 0, index);
  };
  return {pick("input_ids"), pick("attention_mask"), pick("token_type_ids"), nullptr};
}

double difference(const at::Tensor& a, const at::Tensor& b) {
  if (a.sizes() != b.sizes()) return std::numeric_limits<double>::infinity();
  if (a.numel() == 0) return 0;
  return at::max(at::abs(at::sub(a.detach().to(at::kDouble), b.detach().to(at::kDouble)))).item<double>();
}

std::shared_ptr<const Adapter> Loader::adapter(const std::string& name, const std::vector<std::int64_t>& leave_out) {
  return std::make_shared<Adapter>(value(load_adapter(parts_ / "adapters" / name, model_.config, leave_out)));
}

Result<Head> Loader::load_head(const fs::path& folder) { return ::fathom::trainer::load_head(folder, model_.config); }

std::shared_ptr<const Fusion> Loader::fusion(const std::string& name) {
  std::string folder = name;  // the data spell "," as "+" in folder names
  for (char& c : folder) c = c == ',' ? '+' : c;
  return std::make_shared<Fusion>(value(load_fusion(parts_ / "fusions" / folder, model_.config)));
}

Setup Loader::setup(const json& node, const json& leave_out) {
  if (node.is_null()) return Setup::none();
  const auto type = node.at("type").get<std::string>();
  if (type == "single") {
    const auto name = node.at("children").at(0).get<std::string>();
    return Setup::single(adapter(name, leave_out.value(name, std::vector<std::int64_t>{})));
  }
  static const std::map<std::string, SetupKind> kinds = {{"stack", SetupKind::stack},
                                                         {"fuse", SetupKind::fuse},
                                                         {"average", SetupKind::average},
                                                         {"parallel", SetupKind::parallel},
                                                         {"batchsplit", SetupKind::batch_split}};
  Setup setup;
  setup.kind = kinds.at(type);
  for (const json& child : node.at("children")) setup.children.push_back(this->setup(child, leave_out));
  const json kwargs = node.value("kwargs", json::object());
  setup.batch_sizes = kwargs.value("batch_sizes", std::vector<std::int64_t>{});
  if (setup.kind == SetupKind::fuse) setup.fusion = fusion(kwargs.at("name").get<std::string>());
  if (setup.kind == SetupKind::average) {
    const double share = 1.0 / static_cast<double>(setup.children.size());
    setup.weights = kwargs.value("weights", std::vector<double>(setup.children.size(), share));
    double sum = 0;
    for (const double w : setup.weights) sum += w;
    for (double& w : setup.weights) w /= sum;
  }
  return setup;
}

TempFolder::TempFolder() {
  std::string pattern = (fs::temp_directory_path() / "fathom-test-XXXXXX").string();
  if (!::mkdtemp(pattern.data())) throw std::runtime_error("mkdtemp failed");
  path_ = pattern;
}

TempFolder::~TempFolder() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

}  // namespace fathom::trainer::golden
