// Who is slow: the jobs whose epoch takes ten times as long as their peers' do, those of the same stage and task. It is
// told to people and nothing is decided by it; so it is no part of the state, and begins anew with each process. Pure;
// thread: the core's strand. Owner: Core.
#pragma once

#include <array>
#include <map>
#include <optional>
#include <tuple>

#include "coordinator/core/state.hpp"

namespace fathom::event {
class Event;
}

namespace fathom::core {

struct Straggler {
  Millis epoch{0};   // the last one, or the one it is in, whichever is longer
  Millis median{0};  // of its peers' last epochs
};

class Paces {
 public:
  static constexpr std::int64_t kTimes = 10;  // so many medians are too long
  static constexpr Millis kLeast{30'000};     // but never less than this: reports may be held up on their way
  static constexpr std::size_t kPeers = 5;    // epochs that are known, before anybody is called slow

  // `after`: the state right after the event.
  void observe(const State& after, const event::Event& event, TimePoint now);
  // nullopt: it goes on as its peers do, does not run, or there are too few of them to tell.
  [[nodiscard]] std::optional<Straggler> straggler(const State& state, const Job& job, TimePoint now) const;
  [[nodiscard]] std::map<JobNumber, Straggler> stragglers(const State& state, TimePoint now) const;

 private:
  using Peers = std::tuple<SweepNumber, std::uint32_t, std::string>;  // sweep, stage, task
  // The newest epochs of all peers.
  struct Epochs {
    std::array<Millis, 64> times{};
    std::size_t count = 0;  // ever
    void add(Millis time) { times[count++ % times.size()] = time; }
    [[nodiscard]] Millis median() const;
  };
  struct Mark {
    TimePoint since{};  // its start, or its newest report
    Millis last{0};     // the epoch before
    std::uint32_t epoch = 0;
  };
  static Peers peers_of(const State& state, const Job& job);

  std::map<Peers, Epochs> epochs_;
  std::map<JobNumber, Mark> marks_;  // of jobs with a lease
};

}  // namespace fathom::core
