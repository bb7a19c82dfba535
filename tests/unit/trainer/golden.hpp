// The golden data of `adapters` under ../shared, read for tests of model, adapters and files.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "trainer/adapters/head.hpp"
#include "trainer/adapters/setup.hpp"
#include "trainer/checkpoint/tensors.hpp"
#include "trainer/model/encoder.hpp"

namespace fathom::trainer::golden {

// Folder of the golden data; may be absent in a clone that stands alone.
std::filesystem::path root();
bool present();

// The real MiniLM, where the install script puts it; may be absent.
std::filesystem::path minilm_folder();

// "seq_bn_wd0.01" as a name that gtest takes.
std::string test_name(std::string text);

// What REQUIRE_GOLDEN prints when it skips.
inline constexpr const char* kAbsent = "golden data (shared/golden/adapters) is not on this machine";

nlohmann::json read_json(const std::filesystem::path& file);
NamedTensors read_tensors(const std::filesystem::path& file);
// input_ids, attention_mask, token_type_ids of a file, all rows or the given ones.
Batch read_batch(const std::filesystem::path& file, const std::vector<std::int64_t>& rows = {});

// The largest absolute difference; infinity for different shapes.
double difference(const at::Tensor& a, const at::Tensor& b);

// The value, or a failed test with the error's text (throws std::runtime_error).
template <class T>
T value(Result<T> result) {
  if (!result) throw std::runtime_error(result.error().message);
  return std::move(result).value();
}

// Loads the parts that manifest entries name; `parts` is the family's folder ("bert", "roberta").
class Loader {
 public:
  Loader(std::filesystem::path parts, const BaseModel& model) : parts_(std::move(parts)), model_(model) {}
  // The setup tree of a manifest entry; `leave_out` as in load_leave_out.
  Setup setup(const nlohmann::json& node, const nlohmann::json& leave_out = nlohmann::json::object());
  Head head(const std::string& name) { return value(load_head(parts_ / "heads" / name)); }
  std::shared_ptr<const Adapter> adapter(const std::string& name, const std::vector<std::int64_t>& leave_out = {});

 private:
  Result<Head> load_head(const std::filesystem::path& folder);
  std::shared_ptr<const Fusion> fusion(const std::string& name);
  std::filesystem::path parts_;
  const BaseModel& model_;
};

// A folder that is removed with its content at the end of a test.
class TempFolder {
 public:
  TempFolder();
  ~TempFolder();
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace fathom::trainer::golden

#define REQUIRE_GOLDEN() \
  if (!::fathom::trainer::golden::present()) GTEST_SKIP() << ::fathom::trainer::golden::kAbsent
