// The worker's line to the coordinator over the simulated network: Link without its sockets, with the same pauses.
// Thread: one. Owner: the agent.
#pragma once

#include "tests/sim/network.hpp"
#include "worker/pauses.hpp"
#include "worker/uplink.hpp"

namespace fathom::sim {

class World;
class SimWorker;

class SimUplink final : public worker::Uplink {
 public:
  SimUplink(World& world, SimWorker& owner, Life life, Callbacks callbacks);
  ~SimUplink() override;

  void start() override { connect(); }
  bool send(const wire::Envelope& envelope) override { return line_ && line_->send(kWorker, envelope); }
  bool send_bulk(const wire::Envelope& envelope) override { return send(envelope); }
  void settled(Millis lease) override { pauses_.settled(lease); }
  void drop(std::uint64_t connection, const std::string& why) override;
  // The process ends; `told`: the kernel says so to the other side.
  void vanish(bool told);
  // A farewell as TLS says it, of a process that ends in order.
  void farewell();

 private:
  void connect();
  void connect_later();
  void let_go(const std::string& why);
  void connected(const LinePtr& line);
  void closed(std::uint64_t number, const std::string& why);

  World& world_;
  SimWorker& owner_;
  const Life life_;
  const Callbacks callbacks_;
  worker::Pauses pauses_{Millis(200), Millis(5000)};
  LinePtr line_;
  std::uint64_t number_ = 0;
};

}  // namespace fathom::sim
