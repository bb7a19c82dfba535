// The sweeps of a state, by number, each with its jobs; numbers are dense.
//
// A sweep that has ended and that nobody has asked for lately can be put away on a shelf: what stays of it in memory is
// a line here and its entries in the indexes of State. Who asks for it gets it back as it was, so that nobody else has
// to know of it. Both take time linear in its jobs.
//
// Thread: that of the State; bringing back changes a table that is const to its user. References to sweeps and jobs
// stay good until tidy(). Failure: where a sweep cannot be brought back the shelf is broken: std::runtime_error; the
// log has everything, and the process has to start again from it.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/clock.hpp"
#include "coordinator/core/shelf.hpp"
#include "coordinator/core/sweep.hpp"

namespace fathom::core {

// A sweep on the shelf.
struct PutAway {
  std::uint64_t place = 0;
  std::uint64_t digest = 0;  // digest_of() the sweep: what comes back has the same
};

// How long, and up to how many jobs, ended sweeps stay in memory; the newest of them always stays for its time.
struct Stay {
  Millis time{60'000};
  std::uint64_t jobs = 4096;
};

class SweepTable {
 public:
  SweepTable() = default;
  // `first`: the number that the first one gets.
  explicit SweepTable(SweepNumber first) : base_(first.value()) {}
  ~SweepTable();
  // A copy has all sweeps in memory and no shelf.
  SweepTable(const SweepTable& other);
  SweepTable& operator=(const SweepTable& other);
  SweepTable(SweepTable&& other) noexcept = default;
  SweepTable& operator=(SweepTable&& other) noexcept;

  // Without a shelf everything stays in memory. Not while there is something on another one.
  void use(std::shared_ptr<Shelf> shelf, Stay stay = {});
  [[nodiscard]] bool has_shelf() const { return shelf_ != nullptr; }

  [[nodiscard]] std::size_t size() const { return places_.size(); }
  [[nodiscard]] bool empty() const { return places_.empty(); }
  [[nodiscard]] std::uint64_t jobs() const { return jobs_; }
  // …of those on the shelf.
  [[nodiscard]] std::uint64_t jobs_away() const { return jobs_away_; }
  // Jobs of all sweeps by their phase.
  [[nodiscard]] Counts counts() const;

  // By place, from 0.
  [[nodiscard]] Sweep& operator[](std::size_t at) const;
  [[nodiscard]] Sweep& front() const { return (*this)[0]; }
  [[nodiscard]] Sweep& back() const { return (*this)[size() - 1]; }
  // nullptr: there is none.
  [[nodiscard]] Sweep* find(SweepNumber number) const;
  [[nodiscard]] Sweep* of(JobNumber job) const;
  // The same without bringing it back; 0: there is none.
  [[nodiscard]] SweepNumber number_of(JobNumber job) const;
  // The sweep that this event made, if it is in memory; nullptr otherwise.
  [[nodiscard]] const Sweep* submitted_by(std::uint64_t seq) const;

  // Brings back one after the other.
  class Iterator {
   public:
    Iterator(const SweepTable& table, std::size_t at) : table_(&table), at_(at) {}
    Sweep& operator*() const { return (*table_)[at_]; }
    Iterator& operator++() { return ++at_, *this; }
    bool operator==(const Iterator& other) const { return at_ == other.at_; }

   private:
    const SweepTable* table_;
    std::size_t at_;
  };
  [[nodiscard]] Iterator begin() const { return {*this, 0}; }
  [[nodiscard]] Iterator end() const { return {*this, size()}; }

  // The next one, of so many jobs, and one that is on the shelf already.
  Sweep& add(JobNumber first, std::uint32_t jobs);
  void add_away(JobNumber first, std::uint32_t jobs, std::uint64_t submitted, const PutAway& away,
                const Counts& counts);
  // The event that made the newest one.
  void submitted(std::uint64_t seq);
  // It has ended: it may be put away from now on, until it is opened again.
  void ended(SweepNumber number) const;
  // More have ended than stay, and tidy() was not called yet.
  [[nodiscard]] bool is_full() const { return jobs_warm_ > stay_.jobs && warm_.size() > 1; }
  // Takes the only one out of a table that was made for it.
  std::unique_ptr<Sweep> release() { return std::move(places_.front().sweep); }

  // Where it is; nullopt: in memory.
  [[nodiscard]] std::optional<PutAway> away(std::size_t at) const;
  // Its bytes: records of a snapshot, framed (snapshot.hpp). There has to be a shelf.
  [[nodiscard]] Result<std::string> bytes_of(const PutAway& away) const { return shelf_->get(away.place); }
  Result<std::uint64_t> put(std::string_view bytes) { return shelf_->put(bytes); }

  // Puts away what ended long enough before `now` and what is too much. `now` is empty while a log is read: then only
  // what is too much goes. `may`: nothing waits that concerns the sweep.
  void tidy(std::optional<TimePoint> now, const std::function<bool(const Sweep&)>& may);

 private:
  struct Place {
    std::uint64_t first = 0;               // job
    std::uint64_t submitted = 0;           // event
    mutable std::unique_ptr<Sweep> sweep;  // nullptr: on the shelf
    mutable PutAway away;
  };
  struct Warm {
    SweepNumber number;
    std::optional<TimePoint> since;
  };
  [[nodiscard]] const Place* place_of(JobNumber job) const;
  [[nodiscard]] std::uint64_t jobs_at(std::size_t at) const;
  Sweep& bring_back(std::size_t at) const;
  bool put_away(std::size_t at);

  std::vector<Place> places_;
  std::uint32_t base_ = 1;
  std::uint64_t jobs_ = 0;
  std::shared_ptr<Shelf> shelf_;
  Stay stay_;
  mutable std::size_t last_ = 0;   // the place that was asked for last
  mutable std::deque<Warm> warm_;  // ended and in memory, the oldest first
  mutable std::uint64_t jobs_warm_ = 0, jobs_away_ = 0;
  mutable Counts counts_away_{};
};

}  // namespace fathom::core
