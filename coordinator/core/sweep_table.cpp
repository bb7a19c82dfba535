#include "coordinator/core/sweep_table.hpp"

#include <algorithm>
#include <stdexcept>

#include "coordinator/core/inspect.hpp"
#include "coordinator/core/snapshot.hpp"

namespace fathom::core {
namespace {

[[noreturn]] void broken(const Error& error) {
  throw std::runtime_error("a sweep that ended cannot be brought back: " + error.message);
}

void add_counts(Counts& to, const Counts& more) {
  for (std::size_t i = 0; i < to.size(); ++i) to[i] += more[i];
}

}  // namespace

SweepTable::~SweepTable() {
  if (!shelf_) return;
  for (const Place& place : places_) {
    if (!place.sweep) shelf_->drop(place.away.place);
  }
}

SweepTable::SweepTable(const SweepTable& other) : base_(other.base_), jobs_(other.jobs_) {
  places_.reserve(other.size());
  for (std::size_t i = 0; i < other.size(); ++i) {
    Place& place = places_.emplace_back();
    place.first = other.places_[i].first, place.submitted = other.places_[i].submitted;
    place.sweep = std::make_unique<Sweep>(other[i]);
  }
}

SweepTable& SweepTable::operator=(const SweepTable& other) {
  if (this != &other) *this = SweepTable(other);
  return *this;
}

SweepTable& SweepTable::operator=(SweepTable&& other) noexcept {
  std::swap(places_, other.places_), std::swap(base_, other.base_), std::swap(jobs_, other.jobs_);
  std::swap(shelf_, other.shelf_), std::swap(stay_, other.stay_), std::swap(last_, other.last_),
      std::swap(warm_, other.warm_);
  std::swap(jobs_warm_, other.jobs_warm_), std::swap(jobs_away_, other.jobs_away_);
  std::swap(counts_away_, other.counts_away_);
  return *this;
}

void SweepTable::use(std::shared_ptr<Shelf> shelf, Stay stay) {
  shelf_ = std::move(shelf), stay_ = stay;
  warm_.clear(), jobs_warm_ = 0;
  for (const Place& place : places_) {
    if (place.sweep && !place.sweep->outcome.empty()) ended(place.sweep->number);
  }
}

Counts SweepTable::counts() const {
  Counts sum = counts_away_;
  for (const Place& place : places_) {
    if (place.sweep) add_counts(sum, place.sweep->counts);
  }
  return sum;
}

Sweep& SweepTable::operator[](std::size_t at) const { return places_[at].sweep ? *places_[at].sweep : bring_back(at); }

Sweep* SweepTable::find(SweepNumber number) const {
  const std::size_t at = number.value() - std::size_t{base_};
  return number.value() < base_ || at >= places_.size() ? nullptr : &(*this)[at];
}

// Mostly of the sweep that was asked for last.
const SweepTable::Place* SweepTable::place_of(JobNumber job) const {
  const std::uint64_t number = job.value();
  if (places_.empty() || number < places_.front().first || number >= places_.front().first + jobs_) return nullptr;
  const auto holds = [&](std::size_t at) {
    return places_[at].first <= number && number < places_[at].first + jobs_at(at);
  };
  if (last_ >= places_.size() || !holds(last_)) {
    const auto after = std::ranges::upper_bound(places_, number, {}, &Place::first);
    last_ = static_cast<std::size_t>(after - places_.begin()) - 1;
  }
  return &places_[last_];
}

std::uint64_t SweepTable::jobs_at(std::size_t at) const {
  const std::uint64_t end = at + 1 < places_.size() ? places_[at + 1].first : places_.front().first + jobs_;
  return end - places_[at].first;
}

Sweep* SweepTable::of(JobNumber job) const {
  const Place* place = place_of(job);
  return place == nullptr ? nullptr : &(*this)[static_cast<std::size_t>(place - places_.data())];
}

SweepNumber SweepTable::number_of(JobNumber job) const {
  const Place* place = place_of(job);
  return SweepNumber(place == nullptr ? 0 : base_ + static_cast<std::uint32_t>(place - places_.data()));
}

const Sweep* SweepTable::submitted_by(std::uint64_t seq) const {
  const auto found = std::ranges::lower_bound(places_, seq, {}, &Place::submitted);
  return found == places_.end() || found->submitted != seq ? nullptr : found->sweep.get();
}

Sweep& SweepTable::add(JobNumber first, std::uint32_t jobs) {
  Place& place = places_.emplace_back();
  place.first = first.value();
  place.sweep = std::make_unique<Sweep>();
  place.sweep->number = SweepNumber(base_ + static_cast<std::uint32_t>(places_.size()) - 1);
  place.sweep->first = first;
  place.sweep->jobs.reserve(jobs);
  jobs_ += jobs;
  return *place.sweep;
}

void SweepTable::add_away(JobNumber first, std::uint32_t jobs, std::uint64_t submitted, const PutAway& away,
                          const Counts& counts) {
  Place& place = places_.emplace_back();
  place.first = first.value(), place.submitted = submitted;
  place.away = away;
  jobs_ += jobs, jobs_away_ += jobs;
  add_counts(counts_away_, counts);
}

void SweepTable::submitted(std::uint64_t seq) { places_.back().submitted = places_.back().sweep->submitted_seq = seq; }

void SweepTable::ended(SweepNumber number) const {
  if (!shelf_) return;
  warm_.push_back({number, std::nullopt});
  jobs_warm_ += jobs_at(number.value() - base_);
}

std::optional<PutAway> SweepTable::away(std::size_t at) const {
  return places_[at].sweep ? std::nullopt : std::optional(places_[at].away);
}

Sweep& SweepTable::bring_back(std::size_t at) const {
  const Place& place = places_[at];
  const SweepNumber number(base_ + static_cast<std::uint32_t>(at));
  auto plan = shelf_->plan(place.submitted);
  if (!plan) broken(plan.error());
  const auto bytes = shelf_->get(place.away.place);
  if (!bytes) broken(bytes.error());
  auto sweep = restore_sweep(number, *bytes, std::move(*plan));
  if (!sweep) broken(sweep.error());
  if (digest_of(**sweep) != place.away.digest) broken({Errc::corrupt, "sweep " + (*sweep)->id + " is another one now"});
  shelf_->drop(place.away.place);
  place.sweep = std::move(*sweep);
  jobs_away_ -= place.sweep->jobs.size();
  for (std::size_t i = 0; i < counts_away_.size(); ++i) counts_away_[i] -= place.sweep->counts[i];
  ended(number);
  return *place.sweep;
}

bool SweepTable::put_away(std::size_t at) {
  Place& place = places_[at];
  if (!shelf_->has_plan(place.submitted)) return false;
  const auto put = shelf_->put(bytes_of_sweep(*place.sweep));
  if (!put) return false;
  place.away = {*put, digest_of(*place.sweep)};
  add_counts(counts_away_, place.sweep->counts);
  jobs_away_ += place.sweep->jobs.size();
  place.sweep.reset();
  return true;
}

// Each that is in memory is looked at once at most; one that cannot go yet is the newest again.
void SweepTable::tidy(std::optional<TimePoint> now, const std::function<bool(const Sweep&)>& may) {
  if (now) {
    for (auto it = warm_.rbegin(); it != warm_.rend() && !it->since; ++it) it->since = now;
  }
  for (std::size_t left = warm_.size(); left > 0; --left) {
    const Warm next = warm_.front();
    const std::size_t at = next.number.value() - base_;
    // One that was opened again is told of once more when it ends; its second entry finds it gone.
    const Sweep* sweep = places_[at].sweep.get();
    const bool over = sweep != nullptr && !sweep->outcome.empty();
    const bool old = now && next.since && *now - *next.since >= stay_.time;
    const bool much = jobs_warm_ > stay_.jobs && left > 1;
    if (over && !old && !much) return;
    warm_.pop_front();
    jobs_warm_ -= jobs_at(at);
    if (over && (!may(*sweep) || !put_away(at))) {
      warm_.push_back({next.number, now});
      jobs_warm_ += jobs_at(at);
    }
  }
}

}  // namespace fathom::core
