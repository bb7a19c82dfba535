// Writes the spool in rounds: whatever the attempts have said since the last one is one write and at most one
// fdatasync. A segment that has grown is closed and the next one begun; a closed one goes when no attempt needs
// anything in it. Thread: one at a time. Owner: a Spooler.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/ids.hpp"
#include "common/result.hpp"
#include "worker/spool_file.hpp"

namespace fathom::worker {

// One thing to do for one attempt.
struct SpoolJob {
  enum class Action { append, rewrite, remove };
  Fence fence;
  Action action = Action::append;
  std::vector<SpoolRecord> records;
  std::uint64_t sequence = 0;  // of the item that somebody waits for; 0: nobody waits
  bool urgent = false;
};

class SpoolWriter {
 public:
  // Every item of the attempt up to `sequence` is durable, or why it cannot be.
  using Durable = std::function<void(const Fence&, std::uint64_t sequence, const Status&)>;

  SpoolWriter(std::filesystem::path folder, Durable durable, Disk& disk)
      : folder_(std::move(folder)), durable_(std::move(durable)), disk_(disk) {}

  // What an earlier worker left of each attempt. What holds nothing was never sent (an item counts from its first sync
  // on) or was acknowledged; such files are removed. An attempt that nobody needs any more may be found again, when the
  // segment that said so went before the one with its records: what it sends is then acknowledged as known. Called
  // before the first round, or never.
  [[nodiscard]] std::vector<SpoolContents> recover();

  void write_round(std::vector<SpoolJob>& round);

  // After the last round: a segment that nobody needs is removed.
  void close();

 private:
  struct Segment {
    std::filesystem::path path;
    std::set<Fence> needed_by;
  };

  void add(const SpoolJob& job, std::string& bytes);
  Status write(std::string_view bytes, bool wanted);
  Status open_segment();
  void forget(const Fence& fence);
  void remove_unneeded();
  void look_for_numbers();

  const std::filesystem::path folder_;
  const Durable durable_;
  Disk& disk_;
  std::optional<SpoolFile> file_;              // of the newest segment; none: the next write begins one
  std::map<std::uint64_t, Segment> segments_;  // by number; the newest may be closed
  std::optional<Fence> last_;                  // whose records come next in the file
  std::uint64_t newest_ = 0;
  bool looked_ = false;
  bool unsynced_ = false;
};

}  // namespace fathom::worker
