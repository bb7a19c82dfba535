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

}  // namespace

std::vector<Input> parse_inputs(const JobSpec& spec, const json& inputs) {
  if (spec.kind == JobKind::adapter || spec.kind == JobKind::finetune) return {};
  if (spec.kind != JobKind::fusion) {
    if (!inputs.contains("source")) throw JobError(ErrorClass::config, "inputs: the source model is missing");
    return {parse_input(inputs.at("source"), "source")};
  }
  const auto members = inputs.value("members", json::array());
  std::vector<Input> ordered;
  for (const auto& name : spec.set) {
    const auto found = std::find_if(members.begin(), members.end(),
                                    [&](const json& member) { return member.value("name", "") == name; });
    if (found == members.end())
      throw JobError(ErrorClass::config, "inputs: member '" + name + "' of the set is missing");
    ordered.push_back(parse_input(*found, name));
  }
  return ordered;
}

}  // namespace fathom::trainer
