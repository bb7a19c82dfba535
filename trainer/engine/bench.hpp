// `fathom-trainer bench`: what this machine's CPU does with a base model. Steps of training and passes of inference of
// drawn rows without padding, the comparisons that AdapterDrop is about, and how far the machine's matrix products are
// used. The same jobs as stages of kind benchmark run (benchmark_job.hpp).
#pragma once

#include <cstdint>
#include <filesystem>
#include <iosfwd>
#include <string>

#include "trainer/engine/engine_kind.hpp"

namespace fathom::trainer {

struct BenchOptions {
  std::filesystem::path model;  // folder of the base model
  std::string precision = "fp32";
  std::uint32_t batch = 32;
  std::uint32_t length = 64;  // tokens of the comparisons' rows
  std::uint32_t steps = 10;   // measured ones of each case
  bool json = false;
  EngineKind engine = EngineKind::packed;
};

// Prints a table, or one JSON object: {threads, gemm_gflops, cases: [{name, seconds, p10, p90, rows_per_s,
// tokens_per_s, gflops}], compared: {…}}. Returns 0, or 1 with a sentence on stderr.
int bench(const BenchOptions& options, std::ostream& out);

}  // namespace fathom::trainer
