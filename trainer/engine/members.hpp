// Members of a fusion before they are loaded: where they lie, and that they were trained on this base.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "trainer/engine/resources.hpp"
#include "trainer/engine/spec.hpp"

namespace fathom::trainer {

// Puts whole paths into inputs below the root. Returns the hash of the data that the job works with: `data_sha256`
// itself, or where members are adapters in folders SHA-256 over the lines "data sha256\n" and "NAME sha256\n" of each
// of these. JobError config: a folder that is not there, or an adapter whose fathom.json says that it was trained on
// another base. `folder` is the job's.
std::string open_members(std::vector<Input>& inputs, const std::filesystem::path& folder, Resources& resources,
                         const OpenModel& model, const std::string& data_sha256);

}  // namespace fathom::trainer
