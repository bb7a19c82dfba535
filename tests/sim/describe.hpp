// Frames in words, for a history that a person reads. Thread: free functions.
#pragma once

#include <string>

namespace fathom::wire {
class Envelope;
}

namespace fathom::sim {

// Empty: of no interest (heartbeats, chunks of files).
[[nodiscard]] std::string describe_frame(const wire::Envelope& envelope);

}  // namespace fathom::sim
