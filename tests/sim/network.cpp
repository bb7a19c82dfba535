#include "tests/sim/network.hpp"

#include <algorithm>
#include <utility>

#include "common/protocol/wire.pb.h"

namespace fathom::sim {
namespace {

using Kind = net::CloseReason::Kind;

constexpr Millis kConnectTimeout(10'000);  // of ConnectOptions

Side other(Side side) { return side == kWorker ? kCoordinator : kWorker; }

}  // namespace

Network::Network(Scheduler& scheduler, Random& random, std::size_t workers)
    : scheduler_(scheduler), random_(random), weather_(workers) {}

bool Network::blocked(std::size_t worker) const {
  return std::ranges::any_of(weather_[worker].blocked_until, [&](TimePoint until) { return until > scheduler_.now(); });
}

TimePoint Network::arrival(std::size_t worker, Side from) {
  const Weather& weather = weather_[worker];
  TimePoint time = scheduler_.now() + random_.millis(1, 5);
  if (weather.slow_until > scheduler_.now()) time += random_.millis(0, static_cast<int>(weather.extra.count()));
  return std::max(time, weather.blocked_until[from] + Millis(1));
}

void Network::connect(std::size_t worker, const Life& life, std::function<void(LinePtr)> done) {
  scheduler_.after(random_.millis(2, 10), life, [this, worker, life, done = std::move(done)] {
    if (blocked(worker)) return scheduler_.after(kConnectTimeout, life, [done] { done(nullptr); });
    if (!accept) return done(nullptr);
    const auto made = std::make_shared<Line>(*this, worker);
    weather_[worker].line = made;
    accept(made);
    done(made);
  });
}

void Network::block(std::size_t worker, Side from, Millis time) {
  weather_[worker].blocked_until[from] = scheduler_.now() + time;
}

void Network::slow(std::size_t worker, Millis extra, Millis time) {
  weather_[worker].extra = extra;
  weather_[worker].slow_until = scheduler_.now() + time;
}

void Network::heal() {
  for (Weather& weather : weather_) {
    weather.blocked_until = {};
    weather.slow_until = {};
    weather.next = {};
  }
}

bool Line::send(Side from, const wire::Envelope& envelope) {
  if (ends_[from].ended || ends_[from].closing) return false;
  auto frame = encode_frame(envelope);
  if (!frame) return false;
  if (network_.sent) network_.sent(worker_, from, envelope);
  const Side to = other(from);
  End& end = ends_[to];
  if (end.deaf) return true;
  switch (std::exchange(network_.weather_[worker_].next[from], Trouble::none)) {
    case Trouble::none:
      break;
    case Trouble::lose:
      end.deaf = true;  // and everything behind it: the stream has a hole
      break_soon(500, 4000);
      return true;
    case Trouble::twice:
      transmit(to, *frame);
      break_soon(0, 2000);
      break;
    case Trouble::swap:
      end.swapped = std::move(*frame);
      break_soon(0, 2000);
      return true;
  }
  transmit(to, std::move(*frame));
  if (!end.swapped.empty()) transmit(to, std::exchange(end.swapped, {}));
  return true;
}

void Line::transmit(Side to, std::string frame) {
  End& end = ends_[to];
  end.last_arrival = std::max(end.last_arrival, network_.arrival(worker_, other(to)));
  network_.scheduler_.at(end.last_arrival, always_,
                         [self = shared_from_this(), to, frame = std::move(frame)] { self->deliver(to, frame); });
}

void Line::deliver(Side to, const std::string& frame) {
  End& end = ends_[to];
  if (end.ended || end.deaf) return;
  if (end.held) {
    end.waiting += frame;
    return;
  }
  end.heard = network_.scheduler_.now();
  end.decoder.feed(frame);
  while (!end.ended && !end.held) {
    auto next = end.decoder.next();
    if (!next) return close(to, next.error().message);
    if (!next->has_value()) return;
    if (network_.arrived) network_.arrived(worker_, other(to), **next);
    if (end.callbacks.on_envelope) end.callbacks.on_envelope(**next);
  }
}

void Line::hold(Side side, bool held) {
  ends_[side].held = held;
  if (!held) deliver(side, std::exchange(ends_[side].waiting, {}));
}

void Line::end(Side side, const net::CloseReason& reason) {
  End& one = ends_[side];
  if (std::exchange(one.ended, true)) return;
  const LineEnd callbacks = std::exchange(one.callbacks, {});
  if (callbacks.on_close) callbacks.on_close(reason);
}

void Line::close(Side side, const std::string& text) {
  if (ends_[side].ended || std::exchange(ends_[side].closing, true)) return;
  const Side peer = other(side);
  if (!ends_[peer].deaf) {
    End& far = ends_[peer];
    far.last_arrival = std::max(far.last_arrival, network_.arrival(worker_, side));
    network_.scheduler_.at(far.last_arrival, always_, [self = shared_from_this(), peer] {
      self->end(peer, {Kind::peer, "the peer closed the connection", true});
    });
  }
  // Not inside the caller's own call.
  network_.scheduler_.after(Millis(0), always_, [self = shared_from_this(), side, text] {
    self->end(side, {Kind::local, text});
  });
}

void Line::vanish(Side side, bool told) {
  ends_[side].ended = true;
  ends_[side].callbacks = {};
  const Side peer = other(side);
  if (!told || ends_[peer].deaf) return;
  End& far = ends_[peer];
  far.last_arrival = std::max(far.last_arrival, network_.arrival(worker_, side));
  network_.scheduler_.at(far.last_arrival, always_, [self = shared_from_this(), peer] {
    self->end(peer, {Kind::peer, "connection reset by peer"});
  });
}

void Line::cut(const std::string& why) {
  for (const Side side : {kWorker, kCoordinator}) end(side, {Kind::io, why});
}

void Line::break_soon(int least, int most) {
  network_.scheduler_.after(network_.random_.millis(least, most), always_,
                            [self = shared_from_this()] { self->cut("a record of the stream is wrong"); });
}

}  // namespace fathom::sim
