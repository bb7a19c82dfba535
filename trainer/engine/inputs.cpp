// What the worker laid into the job's folder, checked against what the settings ask for.
#include <algorithm>

#include "trainer/engine/errors.hpp"
#include "trainer/engine/spec.hpp"

namespace fathom::trainer {
namespace {

using nlohmann::json;

Input parse_input(const json& value, const std::string& name) {
  Input input;
  input.name = name;
  input.job = value.value("job", "");
  input.folder = value.value("folder", "inputs/" + name);
  // The folder is joined to the job's own: it must stay below it.
  const bool leaves = input.folder.starts_with("/") || input.folder.find("..") != std::string::npos;
  if (leaves) throw JobError(ErrorClass::config, "inputs: folder '" + input.folder + "' leaves the job's folder");
  return input;
}

// Members that the settings take from folders.
std::vector<Input> folders_in(const JobSpec& spec) {
  std::vector<Input> out;
  for (const auto& from : spec.settings.value("from", json::array())) {
    if (from.is_object() && from.contains("folder"))
      out.push_back({from.value("name", ""), "", from.value("folder", ""), true});
  }
  return out;
}

}  // namespace

std::vector<Input> parse_inputs(const JobSpec& spec, const json& inputs) {
  if (spec.kind == JobKind::adapter || spec.kind == JobKind::finetune) return {};
  if (spec.kind != JobKind::fusion) {
    if (!inputs.contains("source")) throw JobError(ErrorClass::config, "inputs: the source model is missing");
    return {parse_input(inputs.at("source"), "source")};
  }
  const auto members = inputs.value("members", json::array());
  std::vector<Input> ordered;
  const auto folders = folders_in(spec);
  for (const auto& name : spec.set) {
    const auto folder =
        std::find_if(folders.begin(), folders.end(), [&](const Input& input) { return input.name == name; });
    if (folder != folders.end()) {
      ordered.push_back(*folder);
      continue;
    }
    const auto found = std::find_if(members.begin(), members.end(),
                                    [&](const json& member) { return member.value("name", "") == name; });
    if (found == members.end())
      throw JobError(ErrorClass::config, "inputs: member '" + name + "' of the set is missing");
    ordered.push_back(parse_input(*found, name));
  }
  return ordered;
}

std::vector<Input> parse_members(std::size_t count, const json& inputs) {
  const auto members = inputs.value("members", json::array());
  if (members.size() != count)
    throw JobError(ErrorClass::config, "inputs: the benchmark measures " + std::to_string(count) +
                                           " trained members, found " + std::to_string(members.size()));
  std::vector<Input> out;
  for (const json& member : members) out.push_back(parse_input(member, member.value("name", "")));
  return out;
}

std::vector<std::uint64_t> parse_rungs(const json& inputs) {
  std::vector<std::uint64_t> rungs;
  const auto wrong = [] { return JobError(ErrorClass::config, "inputs: rungs must be rising steps from 1 on"); };
  const auto asked = inputs.value("rungs", json::array());
  if (!asked.is_array()) throw wrong();
  for (const auto& rung : asked) {
    if (!rung.is_number_unsigned() || rung.get<std::uint64_t>() <= (rungs.empty() ? 0 : rungs.back())) throw wrong();
    rungs.push_back(rung.get<std::uint64_t>());
  }
  return rungs;
}

std::vector<std::string> parse_explored(const json& inputs) {
  std::vector<std::string> out;
  const auto asked = inputs.value("explored", json::array());
  const auto known = [](const json& name) {
    return name == "train.lr" || name == "train.weight_decay" || name == "train.clip";
  };
  if (!asked.is_array() || !std::all_of(asked.begin(), asked.end(), known))
    throw JobError(ErrorClass::config, "inputs: explored are train.lr, train.weight_decay and train.clip");
  for (const auto& name : asked) out.push_back(name.get<std::string>());
  return out;
}

}  // namespace fathom::trainer
