// What the frozen base makes of the rows of splits, up to the first part that trains: computed once for each row and
// shared by depths, seeds, settings, epochs, evaluations, and by the trainers of a host through files. A value that is
// read and one that is computed anew are equal bit for bit, since a row's arithmetic does not depend on its
// neighbours (see gemm.hpp), so a job does not show whether there was a store.
// Exact only without dropout in the prefix: recipe fast, and evaluation. Thread: compute thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "trainer/batches/tokenized.hpp"
#include "trainer/engine/engine.hpp"
#include "trainer/packed/frozen.hpp"
#include "trainer/packed/prefix_file.hpp"
#include "trainer/packed/prefix_plan.hpp"

namespace fathom::trainer::packed {

// The stored boundaries of one split on one base.
class PrefixSplit final : public KeptRows {
 public:
  // The highest stored boundary at or below `stage`; -1 when there is none.
  [[nodiscard]] std::int64_t best(std::int64_t stage) const;

  // `stage` is a stored boundary.
  bool read(std::int64_t stage, std::uint32_t row, float* x, float* product);
  // Left alone where `stage` is not stored.
  void write(std::int64_t stage, std::uint32_t row, const float* x, const float* product);
  [[nodiscard]] bool stores(std::int64_t stage) const { return files_.contains(stage); }
  [[nodiscard]] Counts counts() const override { return counts_; }

 private:
  friend class PrefixStore;
  std::map<std::int64_t, std::unique_ptr<PrefixFile>> files_;
  std::map<std::int64_t, double> demands_;  // of all jobs so far
  Counts counts_;
};

class PrefixStore {
 public:
  // Without a folder nothing is stored.
  explicit PrefixStore(PrefixOptions options);

  // Somebody will make `demands` of the rows. Opens or makes the files that are worth it within the limit; those that
  // nobody holds, of this process or another, make room, the least recently used first. The split stays as long as what
  // is returned lives; null when nothing is stored.
  std::shared_ptr<PrefixSplit> expect(const FrozenBase& base, const TokenizedRows& rows,
                                      const std::vector<Demand>& demands);
  // The split as it was last expected, or null.
  [[nodiscard]] std::shared_ptr<PrefixSplit> find(const FrozenBase& base, const TokenizedRows& rows) const;

 private:
  using Key = std::string;
  [[nodiscard]] static Key key_of(const FrozenBase& base, const TokenizedRows& rows);
  [[nodiscard]] std::filesystem::path path_of(const Key& key, std::int64_t stage) const;
  // Bytes that files may still take, after those that nobody holds went away as far as `wanted` needs it.
  std::uint64_t make_room(std::uint64_t wanted);
  void open(PrefixSplit& split, const Key& key, const FrozenBase& base, const TokenizedRows& rows);

  const PrefixOptions options_;
  std::map<Key, std::shared_ptr<PrefixSplit>> splits_;
};

}  // namespace fathom::trainer::packed
