#include "trainer/packed/prefix_store.hpp"

#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>

#include "common/files.hpp"
#include "common/sha256.hpp"

namespace fathom::trainer::packed {
namespace {

constexpr const char* kEnding = ".prefix";
// Part of a split below which its own file is not worth its place.
constexpr std::uint64_t kLeastShare = 16;

// From the last layer on, only first tokens go on.
bool first_only(const ModelConfig& config, std::int64_t stage) { return stage / 2 + 1 == config.layers; }

std::shared_ptr<const PrefixShape> shape_of(const ModelConfig& config, const TokenizedRows& rows, std::int64_t stage) {
  auto shape = std::make_shared<PrefixShape>();
  shape->width = static_cast<std::uint64_t>(config.hidden);
  shape->starts.clear();
  for (std::size_t row = 0; row < rows.offsets.size(); ++row)
    shape->starts.push_back(first_only(config, stage) ? row : rows.offsets[row]);
  return shape;
}

// Multiplications a token, in units of hidden².
std::vector<double> stage_costs(const ModelConfig& config, double mean_length) {
  const auto hidden = static_cast<double>(config.hidden);
  std::vector<double> cost;
  for (std::int64_t layer = 0; layer < config.layers; ++layer) {
    const bool last = layer + 1 == config.layers;
    cost.push_back(last ? 2 : 4 + 2 * mean_length / hidden);
    cost.push_back((last ? 1 / mean_length : 1) * 2 * static_cast<double>(config.intermediate) / hidden);
  }
  return cost;
}

struct Entry {
  std::filesystem::path path;
  std::uint64_t bytes = 0;
  std::filesystem::file_time_type used;
};

std::vector<Entry> entries(const std::filesystem::path& folder) {
  std::vector<Entry> found;
  std::error_code error;
  for (std::filesystem::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    if (it->path().extension() != kEnding && it->path().extension() != ".rows") continue;
    // Another process may remove it meanwhile.
    std::error_code size_error, time_error;
    const Entry entry{it->path(), it->file_size(size_error), it->last_write_time(time_error)};
    if (!size_error && !time_error) found.push_back(entry);
  }
  return found;
}

// False when a process has it open.
bool remove_unheld(const std::filesystem::path& path) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  return file.get() >= 0 && ::flock(file.get(), LOCK_EX | LOCK_NB) == 0 && ::unlink(path.c_str()) == 0;
}

}  // namespace

std::int64_t PrefixSplit::best(std::int64_t stage) const {
  const auto above = files_.upper_bound(stage);
  return above == files_.begin() ? -1 : std::prev(above)->first;
}

bool PrefixSplit::read(std::int64_t stage, std::uint32_t row, float* x, float* product) {
  const bool there = files_.at(stage)->read(row, x, product);
  ++(there ? counts_.read : counts_.missed);
  return there;
}

void PrefixSplit::write(std::int64_t stage, std::uint32_t row, const float* x, const float* product) {
  if (const auto file = files_.find(stage); file != files_.end()) file->second->write(row, x, product);
}

PrefixStore::PrefixStore(PrefixOptions options) : options_(std::move(options)) {}

PrefixStore::Key PrefixStore::key_of(const FrozenBase& base, const TokenizedRows& rows) {
  return base.digest() + ":" + rows.sha256;
}

std::filesystem::path PrefixStore::path_of(const Key& key, std::int64_t stage) const {
  return options_.folder / (sha256_hex(key).substr(0, 32) + "-" + std::to_string(stage) + kEnding);
}

std::shared_ptr<PrefixSplit> PrefixStore::find(const FrozenBase& base, const TokenizedRows& rows) const {
  if (options_.folder.empty() || rows.sha256.empty() || splits_.empty()) return nullptr;
  const auto found = splits_.find(key_of(base, rows));
  return found == splits_.end() ? nullptr : found->second;
}

std::shared_ptr<PrefixSplit> PrefixStore::expect(const FrozenBase& base, const TokenizedRows& rows,
                                                 const std::vector<Demand>& demands) {
  if (options_.folder.empty() || options_.limit == 0 || rows.sha256.empty() || demands.empty()) return nullptr;
  const auto key = key_of(base, rows);
  auto& split = splits_[key];
  if (!split) split = std::make_shared<PrefixSplit>();
  // Held from here on: make_room() lets go of the others.
  auto held = split;
  for (const auto& demand : demands) split->demands_[demand.stage] += demand.passes;
  std::error_code error;
  std::filesystem::create_directories(options_.folder, error);
  // One planner at a time on this host, so that the limit is one for all of them.
  const Descriptor lock(::open((options_.folder / "lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
  if (lock.get() < 0) {
    spdlog::warn("outputs of the frozen base are not stored: {} cannot be written", options_.folder.string());
    return held;
  }
  ::flock(lock.get(), LOCK_EX);
  open(*held, key, base, rows);
  return held;
}

void PrefixStore::open(PrefixSplit& split, const Key& key, const FrozenBase& base, const TokenizedRows& rows) {
  const auto& config = base.config();
  std::map<std::int64_t, std::shared_ptr<const PrefixShape>> shapes;
  const auto open_file = [&](std::int64_t stage, std::uint64_t stored) {
    if (split.stores(stage)) return;
    auto file = PrefixFile::open(path_of(key, stage), key, shapes.at(stage), stored);
    if (file)
      split.files_[stage] = std::move(file).value();
    else if (stored > 0)
      spdlog::warn("outputs of the frozen base are not stored: {}", file.error().message);
  };
  std::vector<Boundary> candidates;
  std::vector<Demand> demands;
  std::uint64_t wanted = 0;
  for (const auto& [stage, passes] : split.demands_) {
    demands.push_back({stage, passes});
    shapes[stage] = shape_of(config, rows, stage);
    // What is there already costs nothing more. Opened before room is made, or it might be what goes.
    open_file(stage, 0);
    candidates.push_back({stage, split.stores(stage) ? 0 : shapes[stage]->bytes(rows.size())});
    wanted += candidates.back().bytes;
  }
  auto room = make_room(wanted);
  const double mean = static_cast<double>(rows.offsets.back()) / std::max<double>(1, rows.size());
  const auto cost = stage_costs(config, mean);
  const auto chosen = choose_boundaries(candidates, demands, cost, room);
  for (const auto& [stage, bytes] : candidates) {
    if (std::find(chosen.begin(), chosen.end(), stage) == chosen.end()) continue;
    room -= bytes;
    open_file(stage, rows.size());
  }
  // What is left takes the first rows at one more boundary, the highest that is missing: it saves the most a byte.
  for (auto it = candidates.rbegin(); it != candidates.rend(); ++it) {
    if (split.stores(it->stage)) continue;
    const auto& starts = shapes[it->stage]->starts;
    std::uint64_t stored = rows.size();
    while (stored > 0 && shapes[it->stage]->bytes(stored) > room) stored -= std::min<std::uint64_t>(stored, 64);
    if (stored * kLeastShare >= starts.size()) open_file(it->stage, stored);
    break;
  }
}

std::uint64_t PrefixStore::make_room(std::uint64_t wanted) {
  auto files = entries(options_.folder);
  std::uint64_t taken = 0;
  for (const auto& entry : files) taken += entry.bytes;
  if (taken + wanted > options_.limit) {
    std::erase_if(splits_, [](const auto& entry) { return entry.second.use_count() == 1; });
    std::sort(files.begin(), files.end(), [](const Entry& a, const Entry& b) { return a.used < b.used; });
    for (const auto& entry : files) {
      if (taken + wanted <= options_.limit) break;
      if (remove_unheld(entry.path)) taken -= entry.bytes;
    }
  }
  const auto room = taken < options_.limit ? options_.limit - taken : 0;
  // A worker takes no jobs while its disk is nearly full: what only saves time must not bring it there.
  std::error_code error;
  const auto disk = std::filesystem::space(options_.folder, error);
  return error ? room : std::min<std::uint64_t>(room, disk.available / 2);
}

}  // namespace fathom::trainer::packed
