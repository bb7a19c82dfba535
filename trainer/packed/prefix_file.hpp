// One memory-mapped file with the frozen prefix's outputs of a split's rows at one boundary: of every row two blocks of
// [lines, width] float32, what the site's residual reads and the sub-block's product before its bias. Several
// processes map one file and fill it together: a row's value is the same whoever computes it, and a row counts as there
// only when the checksum beside it fits, so that neither a crash nor half of a write can be read.
// Thread: one of each process at a time.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "common/descriptor.hpp"
#include "common/result.hpp"

namespace fathom::trainer::packed {

// Lines of the rows end to end: row i has lines starts[i] … starts[i + 1] - 1.
struct PrefixShape {
  std::vector<std::uint64_t> starts = {0};
  std::uint64_t width = 0;  // floats of a line
  [[nodiscard]] std::uint64_t rows() const { return starts.size() - 1; }
  // Of the file for the first `rows` of them.
  [[nodiscard]] std::uint64_t bytes(std::uint64_t rows) const;
};

class PrefixFile {
 public:
  // Opens the file, or makes it with all of its disk reserved; one that does not fit `key` and shape, which a crash
  // may have left, is made anew with a place for the first `stored` rows; 0: not_found instead. Held locked (shared)
  // while open: whoever wants to remove it sees that. Errors: the system's reason; resource_exhausted when the disk is
  // full.
  static Result<std::unique_ptr<PrefixFile>> open(const std::filesystem::path& path, const std::string& key,
                                                  std::shared_ptr<const PrefixShape> shape, std::uint64_t stored);
  ~PrefixFile();
  PrefixFile(const PrefixFile&) = delete;
  PrefixFile& operator=(const PrefixFile&) = delete;

  // Copies a row's two blocks out; false when it is not there.
  bool read(std::uint32_t row, float* x, float* product);
  // Nothing happens for rows without a place or that are there.
  void write(std::uint32_t row, const float* x, const float* product);

 private:
  PrefixFile(Descriptor file, std::shared_ptr<const PrefixShape> shape, std::uint64_t stored, std::byte* memory,
             std::uint64_t size);
  [[nodiscard]] float* block(std::uint32_t row) const;

  Descriptor file_;  // keeps the lock
  const std::shared_ptr<const PrefixShape> shape_;
  const std::uint64_t stored_;
  std::byte* const memory_;
  const std::uint64_t size_;
  std::vector<bool> verified_;  // rows whose checksum was compared by this process
};

}  // namespace fathom::trainer::packed
