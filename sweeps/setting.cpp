#include "sweeps/setting.hpp"

namespace fathom::sweeps {

std::string setting_of(const Job& job) {
  std::string key =
      std::to_string(job.stage) + "\n" + job.task + "\n" + job.drop + "\n" + job.set + "\n" + std::to_string(job.keep);
  for (const auto& [name, value] : job.parameters) key += "\n" + name + "=" + value.dump();
  if (job.search != kNoSearch && job.parameters.empty()) key += "\ntrial " + std::to_string(job.trial);
  return key;
}

}  // namespace fathom::sweeps
