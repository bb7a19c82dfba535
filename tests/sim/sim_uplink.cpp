#include "tests/sim/sim_uplink.hpp"

#include "common/protocol/wire.pb.h"
#include "tests/sim/sim_worker.hpp"
#include "tests/sim/world.hpp"

namespace fathom::sim {

SimUplink::SimUplink(World& world, SimWorker& owner, Life life, Callbacks callbacks)
    : world_(world), owner_(owner), life_(std::move(life)), callbacks_(std::move(callbacks)) {
  owner_.uplink = this;
}

SimUplink::~SimUplink() {
  if (line_) line_->attach(kWorker, {});
  owner_.uplink = nullptr;
}

void SimUplink::connect() {
  world_.network.connect(owner_.index(), life_, [this](const LinePtr& line) {
    if (line == nullptr) return connect_later();
    connected(line);
  });
}

void SimUplink::connect_later() {
  world_.scheduler.after(pauses_.next(world_.random.share()), life_, [this] { connect(); });
}

void SimUplink::connected(const LinePtr& line) {
  line_ = line;
  const std::uint64_t number = ++number_;
  LineEnd end;
  end.on_envelope = [this, number](wire::Envelope& envelope) {
    if (envelope.has_welcome()) owner_.note_welcome(world_.scheduler.now());
    callbacks_.on_envelope(number, std::make_shared<wire::Envelope>(std::move(envelope)));
  };
  end.on_close = [this, number](const net::CloseReason& reason) { closed(number, reason.text); };
  line->attach(kWorker, std::move(end));
  callbacks_.on_open(number);
}

void SimUplink::closed(std::uint64_t number, const std::string& why) {
  if (number != number_ || line_ == nullptr) return;
  line_ = nullptr;
  callbacks_.on_close(number, why);
  connect_later();
}

// Closed, and heard no more: what comes late finds nobody.
void SimUplink::let_go(const std::string& why) {
  const LinePtr line = std::exchange(line_, nullptr);
  line->close(kWorker, why);
  line->attach(kWorker, {});
}

void SimUplink::drop(std::uint64_t connection, const std::string& why) {
  if (line_ == nullptr || connection != number_) return;
  let_go(why);
  callbacks_.on_close(connection, why);
  connect_later();
}

void SimUplink::vanish(bool told) {
  if (line_) std::exchange(line_, nullptr)->vanish(kWorker, told);
}

void SimUplink::farewell() {
  if (line_) let_go("the worker ends");
}

}  // namespace fathom::sim
