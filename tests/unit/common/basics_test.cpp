// sha256, files, canonical JSON: the pieces that identities and durability rest on.
#include <filesystem>
#include <limits>
#include <stdexcept>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "common/canonical_json.hpp"
#include "common/files.hpp"
#include "common/sha256.hpp"

namespace fathom {
namespace {

using nlohmann::json;

class TempFolder {
 public:
  TempFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "fathom-basics-XXXXXX").string();
    path_ = ::mkdtemp(pattern.data());
  }
  ~TempFolder() { std::filesystem::remove_all(path_); }
  [[nodiscard]] std::string file(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

TEST(Sha256, KnownAnswers) {
  EXPECT_EQ(sha256_hex(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256_hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_TRUE(is_sha256(sha256_hex("x")));
  EXPECT_FALSE(is_sha256("../../etc/passwd"));
  EXPECT_FALSE(is_sha256(std::string(64, 'A')));
}

TEST(Sha256, FileEqualsBytesAndMissingFileIsNotFound) {
  const TempFolder folder;
  const std::string bytes(3 << 20, 'q');
  ASSERT_TRUE(write_file_atomic(folder.file("big"), bytes));
  EXPECT_EQ(*sha256_file(folder.file("big")), sha256_hex(bytes));
  EXPECT_EQ(sha256_file(folder.file("none")).error().code, Errc::not_found);
}

TEST(Files, AtomicWriteReplacesAndLeavesNoTemporary) {
  const TempFolder folder;
  ASSERT_TRUE(write_file_atomic(folder.file("a"), "one", 0600));
  ASSERT_TRUE(write_file_atomic(folder.file("a"), "two", 0600));
  EXPECT_EQ(*read_file(folder.file("a")), "two");
  const auto entries =
      std::distance(std::filesystem::directory_iterator(folder.file("")), std::filesystem::directory_iterator());
  EXPECT_EQ(entries, 1);
  EXPECT_EQ(std::filesystem::status(folder.file("a")).permissions(), std::filesystem::perms(0600));
}

TEST(Files, LimitIsCheckedBeforeReading) {
  const TempFolder folder;
  ASSERT_TRUE(write_file_atomic(folder.file("a"), "12345"));
  EXPECT_EQ(read_file(folder.file("a"), 4).error().code, Errc::resource_exhausted);
  EXPECT_TRUE(read_file(folder.file("a"), 5));
}

TEST(CanonicalJson, NumbersAsEcmaScriptWritesThem) {
  EXPECT_EQ(canonical_json(json::parse("[16, 16.0, 1e-4, 0.001, 1e-7, 1e21, 1e20, 333333333.33333329, -0.0, 4.5]")),
            "[16,16,0.0001,0.001,1e-7,1e+21,100000000000000000000,333333333.3333333,0,4.5]");
  EXPECT_THROW((void)canonical_json(json(std::numeric_limits<double>::quiet_NaN())), std::invalid_argument);
}

TEST(CanonicalJson, MembersSortedByUtf16AndStringsEscapedMinimally) {
  // Example of RFC 8785, section 3.2.3: U+1F600 sorts before U+FB33 by UTF-16 code units.
  EXPECT_EQ(canonical_json(json::parse(R"({"\ufb33":1,"\ud83d\ude00":2,"1":3,"\r":4,"\u0080":5})")),
            "{\"\\r\":4,\"1\":3,\"\xC2\x80\":5,\"\xF0\x9F\x98\x80\":2,\"\xEF\xAC\xB3\":1}");
  EXPECT_EQ(canonical_json(json("a\"\\\n\x01/")), "\"a\\\"\\\\\\n\\u0001/\"");
  EXPECT_EQ(canonical_json(json("\b\f\r\t\x1f")), R"("\b\f\r\t\u001f")");
}

}  // namespace
}  // namespace fathom
