#include "tests/unit/worker/agent_fixture.hpp"

namespace fathom::worker {

std::string noop_trainer() { return FATHOM_BIN_DIR "/noop_trainer"; }

}  // namespace fathom::worker
