// Any bytes as config.json, adapter_config.json, head_config.json, adapter_fusion_config.json, adapter_setup.json: an
// error, or a config that comes back from its own JSON unchanged.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include <nlohmann/json.hpp>

#include "trainer/adapters/fusion.hpp"
#include "trainer/adapters/head.hpp"
#include "trainer/checkpoint/config_id.hpp"
#include "trainer/checkpoint/json_text.hpp"
#include "trainer/checkpoint/setup_tree.hpp"
#include "trainer/model/config.hpp"

namespace {

using namespace fathom::trainer;
using nlohmann::json;

void require(bool so) {
  if (!so) std::abort();
}

template <class Read>
void there_and_back(const json& value, const Read& read) {
  const auto config = read(value);
  if (!config) return require(!config.error().message.empty());
  const json written = to_json(*config);
  const auto again = read(written);
  require(again.ok() && to_json(*again) == written && config_id(written).size() == 16);
}

// Parts without weights, named as asked for.
void setups(const json& value) {
  SetupParts parts;
  parts.adapter = [](const std::string& name) -> fathom::Result<std::shared_ptr<const Adapter>> {
    auto adapter = std::make_shared<Adapter>();
    adapter->name = name;
    return std::shared_ptr<const Adapter>(std::move(adapter));
  };
  parts.fusion = [](const std::optional<std::string>&,
                    const std::vector<std::string>& members) -> fathom::Result<std::shared_ptr<const Fusion>> {
    auto fusion = std::make_shared<Fusion>();
    fusion->adapters = members;
    return std::shared_ptr<const Fusion>(std::move(fusion));
  };
  const auto setup = read_setup_tree(value, parts);
  if (!setup || setup->kind == SetupKind::none) return;
  const auto tree = setup_tree(*setup);
  require(tree.ok() && read_setup_tree(*tree, parts).ok());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(bytes), size);
  if (const auto model = parse_model_config(text, "fuzz")) require(model->layers > 0 && model->max_length() > 0);
  const auto file = parse_json_object(text, "fuzz");
  if (!file) return 0;
  there_and_back(*file, [](const json& v) { return adapter_config_from_json(v); });
  there_and_back(*file, [](const json& v) { return head_config_from_json(v); });
  there_and_back(*file, [](const json& v) { return fusion_config_from_json(v); });
  setups(*file);
  return 0;
}
