#include "tests/unit/sweeps/support.hpp"

namespace fathom::sweeps::testing {

std::filesystem::path source_dir() { return FATHOM_SOURCE_DIR; }

}  // namespace fathom::sweeps::testing
