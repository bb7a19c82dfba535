// How each kind of case runs. Functions throw CheckError (or whatever the engine throws) when they cannot.
// Thread: as Checker.
#pragma once

#include <filesystem>
#include <memory>

#include "trainer/check/cases.hpp"

namespace fathom::trainer::check {

// `root`: the folder of the reference data. `base`: the model of the case's group.
Outcome run_forward(const Case& one, const std::filesystem::path& root, const BaseModel& base);

// GROUP/base_expected.safetensors on the rows of GROUP/train.safetensors. Rows of pads are not compared: they are
// ill-conditioned in real models, and nothing reads them.
Outcome run_base(const Case& one, const std::filesystem::path& root, const BaseModel& base);

// `run`: the trajectory's folder.
Outcome run_trajectory(const std::filesystem::path& run, const std::shared_ptr<const BaseModel>& base);

// The folder of a trajectory: entry.path below the root, or below the group. CheckError: neither has a trajectory.json.
std::filesystem::path trajectory_folder(const Case& one, const std::filesystem::path& root);

}  // namespace fathom::trainer::check
