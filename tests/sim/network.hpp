// The network between workers and the coordinator: lines that carry whole frames (the real codec) in order, with delay,
// partitions in one or both directions, lines that are dead and say nothing, and frames that are lost, doubled or
// swapped. TCP under TLS never gives the last three to a program: here they arrive, and the line breaks soon after, as
// TLS would break it at once. Thread: one.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/net/connection.hpp"
#include "common/protocol/frame.hpp"
#include "tests/sim/scheduler.hpp"

namespace fathom::sim {

enum Side : int { kWorker = 0, kCoordinator = 1 };
enum class Trouble { none, lose, twice, swap };

class Line;
using LinePtr = std::shared_ptr<Line>;

// What one process has at its end of a line.
struct LineEnd {
  std::function<void(wire::Envelope&)> on_envelope;
  std::function<void(const net::CloseReason&)> on_close;  // once; nothing follows
};

class Network {
 public:
  Network(Scheduler& scheduler, Random& random, std::size_t workers);

  // Asks for a line; `done` gets it, or null when nobody answers.
  void connect(std::size_t worker, const Life& life, std::function<void(LinePtr)> done);
  // Who takes new lines; empty: nobody listens.
  std::function<void(LinePtr)> accept;
  // Looks at every frame that is sent and that arrives (from which side).
  std::function<void(std::size_t worker, Side from, const wire::Envelope&)> sent, arrived;

  // ---- faults
  void block(std::size_t worker, Side from, Millis time);  // what `from` sends waits so long
  void slow(std::size_t worker, Millis extra, Millis time);
  void trouble(std::size_t worker, Side from, Trouble what) { weather_[worker].next[from] = what; }
  [[nodiscard]] LinePtr line(std::size_t worker) const { return weather_[worker].line.lock(); }
  // No more faults: what is blocked goes on.
  void heal();

 private:
  friend class Line;
  struct Weather {
    std::array<TimePoint, 2> blocked_until{};
    TimePoint slow_until{};
    Millis extra{0};
    std::array<Trouble, 2> next{};
    std::weak_ptr<Line> line;  // the newest
  };
  [[nodiscard]] bool blocked(std::size_t worker) const;
  [[nodiscard]] TimePoint arrival(std::size_t worker, Side from);

  Scheduler& scheduler_;
  Random& random_;
  std::vector<Weather> weather_;
};

class Line : public std::enable_shared_from_this<Line> {
 public:
  Line(Network& network, std::size_t worker) : network_(network), worker_(worker) {}

  void attach(Side side, LineEnd end) { ends_[side].callbacks = std::move(end); }
  bool send(Side from, const wire::Envelope& envelope);
  // The process closes its end and is told so; the other one hears of it after what was sent before.
  void close(Side side, const std::string& text);
  // The process is gone and hears nothing more. `told`: its kernel says so to the other end.
  void vanish(Side side, bool told);
  // Both ends hear that the line is broken.
  void cut(const std::string& why);
  // Nothing passes any more and nobody is told.
  void go_dead() { ends_[kWorker].deaf = ends_[kCoordinator].deaf = true; }
  void hold(Side side, bool held);
  [[nodiscard]] bool open(Side side) const { return !ends_[side].ended; }
  [[nodiscard]] std::size_t worker() const { return worker_; }
  [[nodiscard]] TimePoint heard(Side side) const { return ends_[side].heard; }

 private:
  struct End {
    LineEnd callbacks;
    FrameDecoder decoder;
    TimePoint heard{};
    TimePoint last_arrival{};  // of what is sent to it
    std::string swapped;       // a frame that waits for the next one
    std::string waiting;       // arrived while held
    bool held = false, closing = false, ended = false, deaf = false;
  };
  void transmit(Side to, std::string frame);
  void deliver(Side to, const std::string& frame);
  void end(Side side, const net::CloseReason& reason);
  void break_soon(int least, int most);

  Network& network_;
  const std::size_t worker_;
  std::array<End, 2> ends_;
  const Life always_;
};

}  // namespace fathom::sim
