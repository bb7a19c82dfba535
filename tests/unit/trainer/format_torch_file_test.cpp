// torch .bin files: what torch wrote, what we write, and what must be refused.
#include <gtest/gtest.h>

#include <fstream>

#include <ATen/ops/arange.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

#include "tests/unit/trainer/golden.hpp"
#include "trainer/checkpoint/torch_file.hpp"
#include "trainer/checkpoint/zip.hpp"

namespace fathom::trainer {
namespace {

using golden::TempFolder;
using golden::value;

Result<NamedTensors> parse(const std::string& bytes) {
  return parse_torch_file(std::as_bytes(std::span(bytes)), "test");
}

// An archive around a pickle, with one storage "0" of 16 bytes.
std::string archive(const std::string& pickle) {
  ZipWriter zip;
  zip.add("archive/data.pkl", pickle);
  zip.add("archive/data/0", std::string(16, '\0'));
  return zip.finish();
}

std::string slurp(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

TEST(TorchFile, RoundTrip) {
  const TempFolder folder;
  NamedTensors tensors;
  for (const auto type : {at::kFloat, at::kDouble, at::kHalf, at::kBFloat16, at::kLong, at::kInt, at::kByte}) {
    tensors[std::string("t.") + c10::toString(type)] = at::arange(300, at::kDouble).to(type).view({100, 3});
  }
  tensors["flag"] = at::ones({3}, at::kBool);
  tensors["scalar"] = at::ones({});
  tensors["none"] = at::zeros({0, 4});
  ASSERT_TRUE(write_torch_file(folder.path() / "a.bin", tensors));
  const NamedTensors back = value(read_torch_file(folder.path() / "a.bin"));
  ASSERT_EQ(back.size(), tensors.size());
  for (const auto& [name, tensor] : tensors) EXPECT_TRUE(back.at(name).equal(tensor)) << name;
}

TEST(TorchFile, GoldenBinsEqualTheirSafetensors) {
  REQUIRE_GOLDEN();
  int files = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(golden::root() / "bert")) {
    if (entry.path().extension() != ".bin") continue;
    const NamedTensors bin = value(read_torch_file(entry.path()));
    std::string name = entry.path().stem().string();
    name = name == "pytorch_adapter" ? "adapter" : name.substr(8);  // pytorch_model_head → model_head
    const auto twin = entry.path().parent_path() / (name + ".safetensors");
    if (!std::filesystem::exists(twin)) continue;  // ln_before adapters
    const NamedTensors safe = golden::read_tensors(twin);
    ASSERT_EQ(bin.size(), safe.size()) << entry.path();
    for (const auto& [key, tensor] : safe) EXPECT_TRUE(bin.at(key).equal(tensor)) << key;
    ++files;
  }
  EXPECT_GE(files, 80);
}

// torch.save({"x.weight": [[1,2],[3,4]], "y": int64 [5,6], "z": arange(6).view(2,3).t()},
//            _use_new_zipfile_serialization=False), an OrderedDict, as hexadecimal digits.
constexpr const char* kLegacy =
    "80028a0a6cfc9c46f9206aa850192e80024de9032e80027d710028581000000070726f746f636f6c5f76657273696f6e71014de903580d0000"
    "006c6974746c655f656e6469616e710288580a000000747970655f73697a657371037d710428580500000073686f727471054b025803000000"
    "696e7471064b0458040000006c6f6e6771074b0475752e800263636f6c6c656374696f6e730a4f726465726564446963740a71002952710128"
    "5808000000782e776569676874710263746f7263682e5f7574696c730a5f72656275696c645f74656e736f725f76320a710328285807000000"
    "73746f72616765710463746f7263680a466c6f617453746f726167650a7105580a000000313037373235363038307106580300000063707571"
    "074b044e747108514b004b024b028671094b024b0186710a8968002952710b74710c52710d580100000079710e68032828680463746f726368"
    "0a4c6f6e6753746f726167650a710f5809000000393735363437373238711068074b024e747111514b004b028571124b018571138968002952"
    "711474711552711658010000007a711768032828680468055809000000393735363437393834711868074b064e747119514b004b034b028671"
    "1a4b014b0386711b8968002952711c74711d52711e752e80025d710028580a0000003130373732353630383071015809000000393735363437"
    "373238710258090000003937353634373938347103652e04000000000000000000803f0000004000004040000080400200000000000000"
    "050000000000000006000000000000000600000000000000000000000000803f0000004000004040000080400000a040";

std::string from_hex(const std::string& digits) {
  std::string out;
  for (std::size_t i = 0; i + 1 < digits.size(); i += 2) {
    out += static_cast<char>(std::stoi(digits.substr(i, 2), nullptr, 16));
  }
  return out;
}

TEST(TorchFile, TheFormatBefore16) {
  const NamedTensors tensors = value(parse(from_hex(kLegacy)));
  ASSERT_EQ(tensors.size(), 3u);
  EXPECT_TRUE(tensors.at("x.weight").equal(at::arange(1, 5, at::kFloat).view({2, 2})));
  EXPECT_TRUE(tensors.at("y").equal(at::arange(5, 7, at::kLong)));
  EXPECT_TRUE(tensors.at("z").equal(at::arange(6, at::kFloat).view({2, 3}).t()));
}

TEST(TorchFile, TruncatedAnywhereIsAnError) {
  const std::string legacy = from_hex(kLegacy);
  for (std::size_t size = 0; size < legacy.size(); ++size) EXPECT_FALSE(parse(legacy.substr(0, size))) << size;
  const TempFolder folder;
  ASSERT_TRUE(write_torch_file(folder.path() / "a.bin", {{"x", at::ones({4})}}));
  const std::string whole = slurp(folder.path() / "a.bin");
  for (std::size_t size = 0; size < whole.size(); ++size) EXPECT_FALSE(parse(whole.substr(0, size))) << size;
}

TEST(TorchFile, CodeIsRefusedByName) {
  const auto result =
      parse(archive("\x80\x02"
                    "cposix\nsystem\nX\x05\x00\x00\x00true\x85R."));
  ASSERT_FALSE(result);
  EXPECT_NE(result.error().message.find("posix.system"), std::string::npos) << result.error().message;
  EXPECT_FALSE(
      parse(archive("\x80\x02"
                    "c__builtin__\neval\n.")));
  EXPECT_FALSE(parse(archive(std::string("\x80\x02}i\n", 5) + ".")));  // INST, an opcode that makes objects
}

// A dict "x" → tensor of storage "0" (4 floats) with the given sizes and strides, one byte each.
std::string tensor_pickle(const std::string& sizes, const std::string& strides, char offset = 0) {
  std::string p =
      std::string("\x80\x02}", 3) + std::string("X\x01\x00\x00\x00x", 6) + "ctorch._utils\n_rebuild_tensor_v2\n((";
  p += std::string("X\x07\x00\x00\x00storage", 12) + "ctorch\nFloatStorage\n" +
       std::string(
           "X\x01\x00\x00\x00"
           "0",
           6);
  p += std::string(
           "X\x03\x00\x00\x00"
           "cpu",
           8) +
       std::string("K\x04tQ", 4) + "K" + std::string(1, offset) + "(";
  for (const char c : sizes) p += std::string("K") + c;
  p += "t(";
  for (const char c : strides) p += std::string("K") + c;
  return p +
         "t\x89"
         "ccollections\nOrderedDict\n)RtRs.";
}

TEST(TorchFile, TensorsStayInsideTheirStorage) {
  EXPECT_TRUE(parse(archive(tensor_pickle("\x02\x02", "\x02\x01"))));
  EXPECT_TRUE(parse(archive(tensor_pickle("\x02\x02", "\x01\x02"))));
  EXPECT_FALSE(parse(archive(tensor_pickle("\x02\x02", "\x03\x01"))));
  EXPECT_FALSE(parse(archive(tensor_pickle("\x04", "\x01", 1))));
  EXPECT_FALSE(parse(archive(tensor_pickle("\x7f", std::string(1, '\0')))));  // expanded out of one element
  EXPECT_FALSE(parse(archive(tensor_pickle("\x02\x02", "\x02"))));
}

TEST(TorchFile, NotADictOfTensors) {
  EXPECT_FALSE(parse(archive("\x80\x02N.")));
  EXPECT_FALSE(parse(archive(std::string("\x80\x02}X\x01\x00\x00\x00xNs.", 13))));
  EXPECT_FALSE(parse("PK"));
  EXPECT_FALSE(parse("hello"));
  EXPECT_FALSE(parse(""));
}

}  // namespace
}  // namespace fathom::trainer
