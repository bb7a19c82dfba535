// Memory of passes: taken piece by piece, given back all at once, and kept for the next pass. After the first passes of
// the largest batch nothing is allocated any more. Thread: compute thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace fathom::trainer::packed {

class Arena {
 public:
  // `count` floats, not initialised, at a multiple of 64 bytes; valid until a rewind to before them.
  float* take(std::int64_t count);

  struct Mark {
    std::size_t block = 0, used = 0;
  };
  [[nodiscard]] Mark mark() const { return {block_, used_}; }
  // Gives back what was taken since the mark.
  void rewind(Mark mark);
  // Gives everything back; memory in several pieces becomes one.
  void reset();

  // Bytes held.
  [[nodiscard]] std::size_t size() const;

 private:
  struct Free {
    void operator()(float* memory) const;
  };
  struct Block {
    std::unique_ptr<float[], Free> memory;
    std::size_t size = 0;  // floats
  };
  void add_block(std::size_t size);

  std::vector<Block> blocks_;
  std::size_t block_ = 0, used_ = 0;  // where the next piece begins
};

}  // namespace fathom::trainer::packed
