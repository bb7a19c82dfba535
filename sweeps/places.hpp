// Where a sweep file says something for itself: at its root, in its stages, in its tasks. Pure.
#pragma once

#include <string>
#include <vector>

namespace fathom::sweeps {

// Paths as `--set` takes them ("seeds", "stages.adapter.seeds") at which the file has `path` ("seeds", "train.epochs",
// "parameters.lr.samples"), the root first. A stage that follows its inputs (seeds: match, best or all) is left out. Of
// a text that is no sweep file: none.
std::vector<std::string> places_of(const std::string& yaml, const std::string& path);

}  // namespace fathom::sweeps
