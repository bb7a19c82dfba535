// One staged file on its way in: bytes in order, hashed as they come, so that the commit reads nothing again. A file
// that a restart left is hashed once when it is opened.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "common/result.hpp"
#include "common/sha256.hpp"

namespace fathom::artifacts {

// Thread: every method from any thread; writers of one upload take turns.
class Upload {
 public:
  // Opens or makes `file`; a longer one than `size` starts again from 0.
  static Result<std::shared_ptr<Upload>> open(const std::filesystem::path& file, const std::string& sha256,
                                              std::uint64_t size);
  Upload(int file, std::filesystem::path path, std::string sha256, std::uint64_t size);
  Upload(const Upload&) = delete;
  Upload& operator=(const Upload&) = delete;
  ~Upload();

  // Takes what is new of `bytes`; returns the next offset. failed_precondition: a gap; invalid_argument: more than was
  // announced; resource_exhausted: disk full (what came before stays).
  Result<std::uint64_t> write(std::uint64_t offset, std::string_view bytes);
  // Of a complete upload: corrupt, and the file removed, when the hash is not the name. May be asked again.
  Status verify();
  Status sync();

  [[nodiscard]] std::uint64_t offset();
  [[nodiscard]] std::uint64_t size() const { return size_; }
  [[nodiscard]] const std::string& sha256() const { return sha256_; }

 private:
  Status hash_present(std::uint64_t bytes);

  const int file_;  // owned descriptor
  const std::filesystem::path path_;
  const std::string sha256_;
  const std::uint64_t size_;  // as announced, bytes
  std::mutex mutex_;
  std::uint64_t offset_ = 0;  // mutex_: bytes that are there and hashed
  Sha256 hash_;               // mutex_
  std::string found_;         // mutex_: the finished hash, empty before
};

}  // namespace fathom::artifacts
