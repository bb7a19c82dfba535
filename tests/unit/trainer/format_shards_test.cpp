// Base models in several files with an index.
#include <gtest/gtest.h>

#include <fstream>

#include "tests/unit/trainer/engine_fixture.hpp"
#include "tests/unit/trainer/golden.hpp"
#include "trainer/checkpoint/safetensors.hpp"
#include "trainer/checkpoint/torch_file.hpp"
#include "trainer/model/base_model.hpp"

namespace fathom::trainer {
namespace {

using golden::value;
using nlohmann::json;
namespace fs = std::filesystem;

class Shards : public testing::Test {
 protected:
  Shards() {
    testing_support::write_tiny_model(folder_.path());
    whole_ = golden::read_tensors(folder_.path() / "model.safetensors");
    fs::remove(folder_.path() / "model.safetensors");
  }

  static std::string shard(int number, const std::string& ending) {
    return (ending == "bin" ? "pytorch_model-0000" : "model-0000") + std::to_string(number) + "-of-00003." + ending;
  }

  // The tensors dealt out to three files, each key under `prefix`.
  void write(const std::string& ending, const std::string& prefix = "") {
    std::vector<NamedTensors> parts(3);
    json map = json::object();
    std::size_t at = 0;
    for (const auto& [key, tensor] : whole_) {
      const std::size_t part = at++ % 3;
      parts[part][prefix + key] = tensor;
      map[prefix + key] = shard(static_cast<int>(part) + 1, ending);
    }
    for (int part = 0; part < 3; ++part) {
      const auto file = folder_.path() / shard(part + 1, ending);
      const auto& tensors = parts[static_cast<std::size_t>(part)];
      ASSERT_TRUE(ending == "bin" ? write_torch_file(file, tensors) : write_safetensors(file, tensors));
    }
    index_ = {{"metadata", {{"total_size", 1}}}, {"weight_map", map}};
    write_index(index_.dump(), ending);
  }
  void write_index(const std::string& text, const std::string& ending = "safetensors") const {
    std::ofstream(folder_.path() / ((ending == "bin" ? "pytorch_model." : "model.") + ending + ".index.json")) << text;
  }
  [[nodiscard]] std::string message() const {
    const auto model = load_base_model(folder_.path());
    return model ? "loaded" : model.error().message;
  }
  // The message after the index says `file` of the first tensor.
  std::string with_first(const json& file) {
    json index = index_;
    index["weight_map"].begin().value() = file;
    write_index(index.dump());
    return message();
  }

  const golden::TempFolder folder_;
  NamedTensors whole_;
  json index_;
};

TEST_F(Shards, BothFormatsWithAndWithoutPrefixGiveTheWholeModel) {
  for (const std::string ending : {"safetensors", "bin"}) {
    for (const std::string prefix : {"", "bert."}) {
      SCOPED_TRACE(ending + " " + prefix);
      write(ending, prefix);
      const auto model = value(load_base_model(folder_.path()));
      std::size_t compared = 0;
      for (const auto& parameter : model->parameters()) {
        const auto found = whole_.find(parameter.name.substr(5));
        ASSERT_NE(found, whole_.end()) << parameter.name;
        EXPECT_TRUE(found->second.equal(parameter.value)) << parameter.name;
        ++compared;
      }
      EXPECT_EQ(compared, whole_.size());
      for (const auto& entry : fs::directory_iterator(folder_.path())) {
        if (entry.path().filename().string().find("model") == 0 || entry.path().extension() == ".bin")
          fs::remove(entry.path());
      }
    }
  }
}

TEST_F(Shards, AMissingFileIsNamedAndCounted) {
  write("safetensors");
  fs::remove(folder_.path() / shard(2, "safetensors"));
  const auto text = message();
  EXPECT_NE(text.find(shard(2, "safetensors") + " is missing: 2 of the 3 files"), std::string::npos) << text;
}

TEST_F(Shards, AnIndexThatLiesIsFoundOut) {
  write("safetensors");
  const std::string first = index_["weight_map"].begin().key();
  // In another file than it says, in none, and a tensor that it does not name.
  EXPECT_NE(with_first(shard(3, "safetensors")).find("\"" + first + "\""), std::string::npos) << message();
  json index = index_;
  index["weight_map"]["encoder.layer.9.weight"] = shard(1, "safetensors");
  write_index(index.dump());
  EXPECT_NE(message().find("does not hold it"), std::string::npos) << message();
  index = index_;
  index["weight_map"].erase(first);
  write_index(index.dump());
  EXPECT_NE(message().find("does not name it"), std::string::npos) << message();
}

TEST_F(Shards, AnIndexNamesOnlyShardsBesideIt) {
  write("safetensors");
  for (const char* file : {"../model-00001-of-00003.safetensors", "/etc/passwd", "model-/../../x.safetensors", "",
                           "config.json", "pytorch_model-00001-of-00003.bin", "adapter.safetensors"}) {
    EXPECT_NE(with_first(file).find("names no shard"), std::string::npos) << file << ": " << message();
  }
  EXPECT_NE(with_first(7).find("names no shard"), std::string::npos) << message();
}

TEST_F(Shards, NothingIsThereTwice) {
  write("safetensors");
  std::string text = index_.dump();
  const std::string key = "\"" + index_["weight_map"].begin().key() + "\":";
  text.replace(text.find(key), key.size(), key + "\"" + shard(2, "safetensors") + "\"," + key);
  write_index(text);
  EXPECT_NE(message().find("stands there twice"), std::string::npos) << message();
  // With and without the family's prefix they would be one tensor.
  const std::string name = index_["weight_map"].begin().key();
  const auto file = folder_.path() / index_["weight_map"].begin().value().get<std::string>();
  NamedTensors more = golden::read_tensors(file);
  for (auto& [_, tensor] : more) tensor = tensor.clone();
  more["bert." + name] = more.at(name).clone();
  ASSERT_TRUE(write_safetensors(file, more));
  json index = index_;
  index["weight_map"]["bert." + name] = index["weight_map"][name];
  write_index(index.dump());
  EXPECT_NE(message().find("stands there twice"), std::string::npos) << message();
}

TEST_F(Shards, WhatIsNoIndexSaysSo) {
  write("safetensors");
  for (const char* text : {"", "[]", "{}", "{\"weight_map\": []}", "{\"weight_map\": {}}"}) {
    write_index(text);
    EXPECT_NE(message().find("model.safetensors.index.json"), std::string::npos) << text << ": " << message();
  }
}

}  // namespace
}  // namespace fathom::trainer
