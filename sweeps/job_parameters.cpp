#include "sweeps/job_parameters.hpp"

#include <algorithm>
#include <stdexcept>

namespace fathom::sweeps {

using nlohmann::json;

JobParameters::JobParameters(const json& object, const JobParameters& like) {
  const auto& members = object.get_ref<const json::object_t&>();  // sorted
  if (members.empty()) return;
  const auto same_name = [](const auto& member, const std::string& name) { return member.first == name; };
  if (like.names_ && std::ranges::equal(members, *like.names_, same_name)) {
    names_ = like.names_;
  } else {
    auto names = std::make_shared<Names>();
    names->reserve(members.size());
    for (const auto& [name, value] : members) names->push_back(name);
    names_ = std::move(names);
  }
  auto values = std::make_shared<json[]>(members.size());
  std::size_t place = 0;
  for (const auto& [name, value] : members) values[place++] = value;
  values_ = std::move(values);
}

const json* JobParameters::find(std::string_view name) const {
  if (!names_) return nullptr;
  const auto found = std::ranges::find(*names_, name);
  return found == names_->end() ? nullptr : &values_[found - names_->begin()];
}

const json& JobParameters::at(std::string_view name) const {
  if (const json* found = find(name)) return *found;
  throw std::out_of_range("no parameter '" + std::string(name) + "'");
}

void JobParameters::set(const std::string& name, json value) {
  json all = *this;
  all[name] = std::move(value);
  *this = JobParameters(all, *this);
}

void JobParameters::erase(std::string_view name) {
  if (!contains(name)) return;
  json all = *this;
  all.erase(std::string(name));
  *this = JobParameters(all);
}

bool operator==(const JobParameters& a, const JobParameters& b) {
  if (a.values_ == b.values_) return true;
  return a.size() == b.size() && *a.names_ == *b.names_ &&
         std::equal(a.values_.get(), a.values_.get() + a.size(), b.values_.get());
}

}  // namespace fathom::sweeps
