#include "tests/sim/describe.hpp"

#include <fmt/format.h>

#include "common/protocol/fences.hpp"
#include "common/protocol/wire.pb.h"

namespace fathom::sim {
namespace {

std::string describe_item(const wire::Item& item) {
  const std::string head = fmt::format(" #{} of {}", item.sequence(), describe(from_wire(item.fence())));
  switch (item.what_case()) {
    case wire::Item::kStarted:
      return "started" + head + fmt::format(" from epoch {}", item.started().resumed_epoch());
    case wire::Item::kReport:
      return "report" + head + fmt::format(" epoch {}", item.report().epoch());
    case wire::Item::kCheckpoint:
      return "checkpoint" + head + fmt::format(" epoch {}", item.checkpoint().epoch());
    case wire::Item::kFinished:
      return "finished" + head;
    case wire::Item::kFailed:
      return "failed" + head + " as " + item.failed().error_class();
    case wire::Item::kStopped:
      return "stopped" + head + fmt::format(" epoch {}", item.stopped().epoch());
    case wire::Item::WHAT_NOT_SET:
      break;
  }
  return "nothing" + head;
}

}  // namespace

std::string describe_frame(const wire::Envelope& envelope) {
  switch (envelope.body_case()) {
    case wire::Envelope::kHello:
      return fmt::format("hello, holds {}", envelope.hello().held_size());
    case wire::Envelope::kWelcome:
      return fmt::format("welcome, epoch {}, abandon {}", envelope.welcome().epoch(),
                         envelope.welcome().abandon_size());
    case wire::Envelope::kRefused:
      return "refused: " + envelope.refused().message();
    case wire::Envelope::kAssign:
      return fmt::format("assign {}{}", describe(from_wire(envelope.assign().fence())),
                         envelope.assign().has_resume() ? ", resumes" : "");
    case wire::Envelope::kStop:
      return fmt::format("stop {} ({})", describe(from_wire(envelope.stop().fence())), envelope.stop().cause());
    case wire::Envelope::kItemAck:
      return fmt::format("ack up to #{} of {}/{}-{}{}", envelope.item_ack().sequence(), envelope.item_ack().job(),
                         envelope.item_ack().generation(), envelope.item_ack().attempt(),
                         envelope.item_ack().late() ? ", late" : "");
    case wire::Envelope::kItems: {
      std::string text;
      for (const wire::Item& item : envelope.items().items()) text += (text.empty() ? "" : "; ") + describe_item(item);
      return text;
    }
    case wire::Envelope::kArtifactHave:
      return envelope.artifact_have().error().empty() ? "" : "artifact: " + envelope.artifact_have().error();
    default:
      return {};
  }
}

}  // namespace fathom::sim
