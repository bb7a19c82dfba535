#include "sweeps/job_settings.hpp"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "common/canonical_json.hpp"

namespace fathom::sweeps {

using nlohmann::json;

JobSettings::JobSettings(const json& object) : shared_(SettingsPool().share(object)) {}

void JobSettings::add(std::string key, const json& value) {
  const auto place = std::find_if(own_.begin(), own_.end(), [&](const Member& known) { return key < known.key; });
  own_.insert(place, {std::move(key), canonical_json(value)});
}

std::string JobSettings::canonical() const {
  static const Members kNone;
  const Members& shared = shared_ ? *shared_ : kNone;
  std::size_t size = 2;
  for (const auto& member : shared) size += member->key.size() + member->text.size() + 4;
  for (const Member& member : own_) size += member.key.size() + member.text.size() + 4;
  std::string out;
  out.reserve(size);
  const auto write = [&out](const Member& member) {
    out += out.empty() ? '{' : ',';
    (((out += '"') += member.key) += "\":") += member.text;
  };
  auto own = own_.begin();
  for (const auto& member : shared) {
    for (; own != own_.end() && own->key < member->key; ++own) write(*own);
    write(*member);
  }
  for (; own != own_.end(); ++own) write(*own);
  if (out.empty()) out = "{";
  out += '}';
  return out;
}

json JobSettings::member(std::string_view key) const {
  for (const Member& own : own_) {
    if (own.key == key) return json::parse(own.text);
  }
  if (shared_) {
    for (const auto& shared : *shared_) {
      if (shared->key == key) return json::parse(shared->text);
    }
  }
  return nullptr;
}

json JobSettings::whole() const { return json::parse(canonical()); }

std::shared_ptr<const JobSettings::Members> SettingsPool::share(const json& object) {
  auto members = std::make_shared<JobSettings::Members>();
  members->reserve(object.size());
  for (const auto& [key, value] : object.items()) {  // nlohmann's objects are sorted
    std::string text = canonical_json(value);
    auto& known = known_[key + '\n' + text];
    if (!known) known = std::make_shared<const JobSettings::Member>(JobSettings::Member{key, std::move(text)});
    members->push_back(known);
  }
  return members;
}

}  // namespace fathom::sweeps
