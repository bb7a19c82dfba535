// Any bytes as a sweep file: parse() and expand() must answer, never crash, hang or give a plan beside errors. What is
// valid must expand from its stored text to the same ids.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "sweeps/sweep.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace fathom::sweeps;
  const std::string text(reinterpret_cast<const char*>(data), size);
  ParseOptions options;
  options.read_include = [&](const std::string&) -> fathom::Result<std::string> {
    return std::string("train: {lr: 1e-3}\n");  // a harmless part: merging is fuzzed, opening files is not
  };
  const ParseResult result = parse(text, options);
  for (const Diagnostic& error : result.errors) {
    if (render(error).empty() || error.line < 1 || error.column < 1) std::abort();
  }
  if (!result.errors.empty()) {
    if (!result.sweep.resolved.is_null()) std::abort();
    return 0;
  }
  const auto plan = expand(result.sweep);
  if (!plan.ok()) return 0;
  const auto again = expand(Sweep{nlohmann::json::parse(result.sweep.resolved.dump())});
  if (!again.ok() || again->jobs.size() != plan->jobs.size()) std::abort();
  for (std::size_t i = 0; i < plan->jobs.size(); ++i) {
    if (plan->jobs[i].id != again->jobs[i].id) std::abort();
  }
  return 0;
}
