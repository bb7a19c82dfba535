// Which results are known, by what was asked: 32 bytes each, in one piece, since they stay when the sweeps that they
// are of have left memory and must not keep the pages alive that those had. Nothing is ever taken out. Thread: a plain
// value, owned by State. Failure: none.
#pragma once

#include <algorithm>
#include <cstdint>
#include <unordered_map>
#include <utility>
#include <vector>

#include "sweeps/job_id.hpp"

namespace fathom::core {

// Who has a result that others take, and what has to be known to choose among such: of a sweep that was put away, too.
struct KnownResult {
  std::uint64_t key = 0, seq = 0;  // ResultMark
  std::uint32_t made_secs = 0;
  std::uint32_t job = 0;  // its number
  bool operator==(const KnownResult&) const = default;
};

class ResultIndex {
 public:
  void add(sweeps::JobId asked, const KnownResult& result) {
    recent_.emplace(asked, result);
    if (recent_.size() > std::max<std::size_t>(kRecent, sorted_.size() / 4)) pack();
  }
  // All in one piece, as after many of them.
  void pack() {
    const auto before = static_cast<std::ptrdiff_t>(sorted_.size());
    sorted_.reserve(sorted_.size() + recent_.size());
    sorted_.insert(sorted_.end(), recent_.begin(), recent_.end());
    std::sort(sorted_.begin() + before, sorted_.end(), before_in_id);
    std::inplace_merge(sorted_.begin(), sorted_.begin() + before, sorted_.end(), before_in_id);
    recent_ = {};
  }
  // visit(result) for each; references stay good until the next add() or pack().
  template <class Visit>
  void each(sweeps::JobId asked, Visit visit) const {
    const auto known = std::equal_range(sorted_.begin(), sorted_.end(), Entry{asked, {}}, before_in_id);
    for (auto it = known.first; it != known.second; ++it) visit(it->second);
    const auto recent = recent_.equal_range(asked);
    for (auto it = recent.first; it != recent.second; ++it) visit(it->second);
  }
  [[nodiscard]] bool contains(sweeps::JobId asked) const {
    return recent_.contains(asked) ||
           std::binary_search(sorted_.begin(), sorted_.end(), Entry{asked, {}}, before_in_id);
  }
  [[nodiscard]] bool empty() const { return sorted_.empty() && recent_.empty(); }
  [[nodiscard]] std::size_t size() const { return sorted_.size() + recent_.size(); }
  // visit(asked, result), in no order.
  template <class Visit>
  void all(Visit visit) const {
    for (const Entry& one : sorted_) visit(one.first, one.second);
    for (const auto& [asked, result] : recent_) visit(asked, result);
  }

 private:
  using Entry = std::pair<sweeps::JobId, KnownResult>;
  static constexpr std::size_t kRecent = 1024;
  static bool before_in_id(const Entry& one, const Entry& other) { return one.first < other.first; }

  std::vector<Entry> sorted_;  // by id
  std::unordered_multimap<sweeps::JobId, KnownResult> recent_;
};

}  // namespace fathom::core
