// The processes ("ranks") that work on one job together, and what they tell each other. Every rank makes the same calls
// in the same order; a rank that is lost ends the gang.
// Thread: compute thread. Errors: std::runtime_error when the transport fails.
#pragma once

#include <cstdint>
#include <vector>

#include <ATen/core/Tensor.h>

namespace fathom::trainer {

class Gang {
 public:
  virtual ~Gang() = default;

  [[nodiscard]] virtual int rank() const = 0;  // 0 … size() - 1
  [[nodiscard]] virtual int size() const = 0;
  // Rank 0 alone writes checkpoints, results and events.
  [[nodiscard]] bool leads() const { return rank() == 0; }

  // The sum over all ranks, in place, with the same bits on each of them. Contiguous float32 or float64; equal sizes on
  // all ranks.
  virtual void sum(const at::Tensor& values) = 0;
  // Rank 0's bytes, on every rank; equal sizes on all ranks.
  virtual void share(void* bytes, std::size_t size) = 0;

  // This rank failed: ends all of them, this process included. Rank 0 has said why before it calls. The others leave it
  // a few seconds for that: what one rank finds wrong with a job all of them do.
  [[noreturn]] virtual void abandon() = 0;
};

// A gang of one, in which nothing moves.
Gang& alone();

}  // namespace fathom::trainer
