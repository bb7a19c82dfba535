// safetensors: round trips, and every way in which a file can be broken.
#include <gtest/gtest.h>

#include <cstring>
#include <fstream>

#include <ATen/ops/arange.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>

#include "tests/unit/trainer/golden.hpp"
#include "trainer/checkpoint/safetensors.hpp"

namespace fathom::trainer {
namespace {

using golden::TempFolder;
using golden::value;

// A file with this header and `data` bytes of data.
std::string file_with(const std::string& header, std::size_t data) {
  const std::uint64_t size = header.size();
  std::string bytes(reinterpret_cast<const char*>(&size), 8);
  return bytes + header + std::string(data, '\1');
}

Result<SafetensorsFile> parse(const std::string& bytes) {
  const auto copy = std::make_shared<std::string>(bytes);
  return parse_safetensors(std::as_bytes(std::span(*copy)), copy, "test");
}

void write(const std::filesystem::path& file, const std::string& bytes) {
  std::ofstream(file, std::ios::binary) << bytes;
}

std::string slurp(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

TEST(Safetensors, RoundTripOfEveryType) {
  const TempFolder folder;
  NamedTensors tensors;
  for (const auto type :
       {at::kFloat, at::kDouble, at::kHalf, at::kBFloat16, at::kLong, at::kInt, at::kShort, at::kByte}) {
    tensors[std::string("t.") + c10::toString(type)] = at::arange(6, at::kDouble).to(type).view({2, 3});
  }
  tensors["flag"] = at::ones({3}, at::kBool);
  tensors["scalar"] = at::ones({});
  tensors["none"] = at::zeros({0, 4});
  tensors["strided"] = at::arange(6, at::kFloat).view({2, 3}).t();
  ASSERT_TRUE(write_safetensors(folder.path() / "a.safetensors", tensors, {{"format", "pt"}, {"k", "v"}}));
  const SafetensorsFile back = value(read_safetensors(folder.path() / "a.safetensors"));
  EXPECT_EQ(back.metadata.at("k"), "v");
  ASSERT_EQ(back.tensors.size(), tensors.size());
  for (const auto& [name, tensor] : tensors) EXPECT_TRUE(back.tensors.at(name).equal(tensor)) << name;
}

TEST(Safetensors, MappedTensorsAreCopyOnWriteAndOutliveTheFile) {
  const TempFolder folder;
  const auto file = folder.path() / "a.safetensors";
  ASSERT_TRUE(write_safetensors(file, {{"x", at::ones({4})}}));
  const at::Tensor x = value(read_safetensors(file)).tensors.at("x");
  x.fill_(2);
  EXPECT_TRUE(value(read_safetensors(file)).tensors.at("x").equal(at::ones({4})));
  std::filesystem::remove(file);
  EXPECT_EQ(x.sum().item<double>(), 8);
}

TEST(Safetensors, TruncatedAnywhereIsAnError) {
  const TempFolder folder;
  const auto file = folder.path() / "a.safetensors";
  ASSERT_TRUE(write_safetensors(file, {{"x", at::ones({4})}, {"y", at::ones({2, 2})}}));
  const std::string whole = slurp(file);
  for (std::size_t size = 0; size < whole.size(); ++size) {
    write(file, whole.substr(0, size));
    const auto result = read_safetensors(file);
    ASSERT_FALSE(result) << size;
    EXPECT_EQ(result.error().code, Errc::corrupt);
    EXPECT_NE(result.error().message.find(file.string()), std::string::npos);
  }
}

TEST(Safetensors, BrokenHeaders) {
  const char* const broken[] = {
      "[]",
      "{\"x\":1}",
      "{\"x\":{\"dtype\":\"F32\",\"shape\":[1]}}",
      "{\"x\":{\"dtype\":\"F99\",\"shape\":[1],\"data_offsets\":[0,4]}}",
      "{\"x\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4]}}",
      "{\"x\":{\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[0,4]}}",
      "{\"x\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,0]}}",
      "{\"x\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}",
      "{\"x\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4],\"y\":1}",
      "{\"x\":{\"dtype\":\"F32\",\"shape\":[4611686018427387904,4],\"data_offsets\":[0,4]}}",
      "{\"x\":{\"dtype\":\"F32\",\"shape\":[9223372036854775807,2,0],\"data_offsets\":[0,0]}}",
      "{\"x\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
      "\"y\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}",
      "{}",
      "{\"__metadata__\":{\"a\":1},\"x\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}",
  };
  for (const char* header : broken) EXPECT_FALSE(parse(file_with(header, 4))) << header;
  EXPECT_TRUE(parse(file_with("{\"x\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4)));
  std::string huge = file_with("{}", 0);
  huge[6] = '\x7f';
  EXPECT_FALSE(parse(huge));
}

TEST(Safetensors, OddAddressesAreCopied) {
  // 9 bytes before the floats: no alignment at all.
  const std::string bytes = file_with(
      "{\"b\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},"
      "\"x\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[1,5]}}",
      5);
  const auto file = parse(bytes);
  ASSERT_TRUE(file) << file.error().message;
  float want = 0;
  std::memcpy(&want, "\1\1\1\1", 4);
  EXPECT_EQ(file->tensors.at("x").item<float>(), want);
}

TEST(Safetensors, MissingFileIsNotFound) {
  EXPECT_EQ(read_safetensors("/nonexistent/a.safetensors").error().code, Errc::not_found);
}

}  // namespace
}  // namespace fathom::trainer
