// Strict YAML config files. A program binds keys to the fields of its own struct; what the fields hold at that moment
// are the defaults. Then, in this order: read_file(), read_environment(), set() for each flag: the last one wins. An
// unknown key, a wrong type or a value out of range is an error with file:line:column and the nearest key; all mistakes
// of a file come in one Error, one a line. Nothing is written to the fields of a file that has a mistake.
//
//   Settings settings;
//   Config config;
//   config.bind("listen", settings.listen, "Address and port.");
//   config.bind("lease", settings.lease, "How long a silent worker keeps its jobs.", {.min = 1});
//   FATHOM_TRY(config.read_file("configs/coordinator.yaml"));
//   FATHOM_TRY(config.read_environment("FATHOM_COORDINATOR_"));   // FATHOM_COORDINATOR_LIMITS_BODY for limits.body
//   FATHOM_TRY(config.set("lease", "2s", "--lease"));
//
// Thread: one. The bound struct must outlive the Config.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/clock.hpp"
#include "common/result.hpp"

namespace fathom {

// A number of bytes, written 4096, 64KiB, 4MiB, 1GiB.
struct Bytes {
  std::uint64_t value = 0;
  auto operator<=>(const Bytes&) const = default;
};

// Bounds of numbers (milliseconds for durations, bytes for Bytes), both allowed; for a text, the values it may have.
struct Bounds {
  double min = -std::numeric_limits<double>::infinity();
  double max = std::numeric_limits<double>::infinity();
  std::vector<std::string> choices = {};
};

class Config {
 public:
  Config();
  ~Config();
  Config(Config&&) noexcept;
  Config& operator=(Config&&) noexcept;

  // `key` is a word, or two with a dot: "limits.body" is `body:` below `limits:`. `help` is for people, one or two
  // sentences.
  void bind(std::string key, bool& field, std::string help);
  void bind(std::string key, std::int64_t& field, std::string help, Bounds bounds = {});
  void bind(std::string key, std::uint32_t& field, std::string help, Bounds bounds = {});
  void bind(std::string key, double& field, std::string help, Bounds bounds = {});
  void bind(std::string key, std::string& field, std::string help, Bounds bounds = {});
  void bind(std::string key, std::vector<std::string>& field, std::string help);    // a list, or one value
  void bind(std::string key, Millis& field, std::string help, Bounds bounds = {});  // 500ms, 2s, 30m, 6h, 1d
  void bind(std::string key, Bytes& field, std::string help, Bounds bounds = {});

  // not_found when there is no such file, invalid_argument for its mistakes.
  Status read_file(const std::string& file);
  // `name` stands for the file in messages.
  Status read_text(std::string_view yaml, const std::string& name);
  // Variables PREFIX + key in upper case, '.' as '_'. A variable with the prefix that is no key is an error, except
  // where `ignore` says true of its name.
  Status read_environment(const std::string& prefix, const std::function<bool(std::string_view)>& ignore = {});
  // One value from a flag; lists are separated by commas. `origin` is named in messages ("--lease").
  Status set(std::string_view key, std::string_view value, const std::string& origin);

  // The YAML of every key at its present value, each under its help as a comment: what configs/*.yaml are made from.
  [[nodiscard]] std::string describe() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// "500ms", "2s", "1.5h"; a bare number is refused (of what unit?), except 0. Also for flags of other programs.
Result<Millis> parse_duration(std::string_view text);
Result<Bytes> parse_bytes(std::string_view text);

// The choice that is nearest to `word` by edit distance, if it is near enough to be meant; else empty.
std::string nearest(std::string_view word, const std::vector<std::string>& choices);

}  // namespace fathom
