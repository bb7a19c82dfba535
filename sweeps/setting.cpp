#include "sweeps/setting.hpp"

#include <bit>
#include <cstdint>
#include <functional>

namespace fathom::sweeps {
namespace {

using nlohmann::json;

// As texts: 1 and 1.0 differ, and so do 0.0 and -0.0, but a number does not differ by how it is stored.
bool same_value(const json& one, const json& other) {
  if (one.is_number_integer() && other.is_number_integer()) return one == other;
  if (one.type() != other.type()) return false;
  if (one.is_number_float())
    return std::bit_cast<std::uint64_t>(one.get<double>()) == std::bit_cast<std::uint64_t>(other.get<double>());
  return one.is_structured() ? one.dump() == other.dump() : one == other;
}

std::size_t hash_of_value(const json& value) {
  if (value.is_number_integer()) return std::hash<std::int64_t>()(value.get<std::int64_t>());
  if (value.is_number_float()) return std::hash<std::uint64_t>()(std::bit_cast<std::uint64_t>(value.get<double>()));
  return std::hash<std::string>()(value.is_string() ? value.get_ref<const std::string&>() : value.dump());
}

bool has_trial(const Job& job) { return job.search != kNoSearch && job.parameters.empty(); }

bool same_parameters(const Job& one, const Job& other) {
  if (one.parameters.size() != other.parameters.size()) return false;
  auto at = other.parameters.begin();
  for (const auto& [name, value] : one.parameters) {
    const auto& [other_name, other_value] = *at;
    if (name != other_name || !same_value(value, other_value)) return false;
    ++at;
  }
  return true;
}

}  // namespace

bool same_setting(const Job& one, const Job& other) {
  return one.stage == other.stage && one.keep == other.keep && one.task == other.task && one.drop == other.drop &&
         one.set == other.set && same_parameters(one, other) && has_trial(one) == has_trial(other) &&
         (!has_trial(one) || one.trial == other.trial);
}

std::size_t hash_of_setting(const Job& job) {
  std::size_t hash = 0;
  const auto mix = [&](std::size_t value) { hash = (hash ^ value) * 0x9e3779b97f4a7c15ULL + (hash >> 29U); };
  mix(std::hash<std::string>()(job.task)), mix(std::hash<std::string>()(job.drop));
  mix(std::hash<std::string>()(job.set)), mix(job.stage), mix(job.keep);
  for (const auto& [name, value] : job.parameters) mix(hash_of_value(value));
  if (has_trial(job)) mix(job.trial);
  return hash;
}

std::string setting_of(const Job& job) {
  std::string key =
      std::to_string(job.stage) + "\n" + job.task + "\n" + job.drop + "\n" + job.set + "\n" + std::to_string(job.keep);
  for (const auto& [name, value] : job.parameters) key += "\n" + name + "=" + value.dump();
  if (job.search != kNoSearch && job.parameters.empty()) key += "\ntrial " + std::to_string(job.trial);
  return key;
}

}  // namespace fathom::sweeps
