#include "sweeps/places.hpp"

#include <yaml-cpp/yaml.h>

namespace fathom::sweeps {
namespace {

// seeds: match | best | all
bool follows(const YAML::Node& value) {
  if (!value.IsScalar()) return false;
  const std::string& word = value.Scalar();
  return word == "match" || word == "best" || word == "all";
}

bool has(const YAML::Node& at, const std::string& path) {
  if (!at.IsMap()) return false;
  const std::size_t dot = path.find('.');
  const YAML::Node found = at[path.substr(0, dot)];
  if (!found.IsDefined() || found.IsNull()) return false;
  return dot == std::string::npos ? !follows(found) : has(found, path.substr(dot + 1));
}

}  // namespace

std::vector<std::string> places_of(const std::string& yaml, const std::string& path) {
  std::vector<std::string> places;
  try {
    const YAML::Node file = YAML::Load(yaml);
    if (!file.IsMap()) return places;
    if (has(file, path)) places.push_back(path);
    for (const char* part : {"stages", "tasks"}) {
      const YAML::Node entries = file[part];
      if (!entries.IsDefined() || !entries.IsMap()) continue;
      for (const auto& entry : entries) {
        if (has(entry.second, path)) places.push_back(std::string(part) + "." + entry.first.Scalar() + "." + path);
      }
    }
  } catch (const YAML::Exception&) {
    return {};
  }
  return places;
}

}  // namespace fathom::sweeps
