#include "coordinator/core/result_head.hpp"

#include <charconv>
#include <cmath>

#include "common/json_scanner.hpp"

namespace fathom::core {
namespace {

using Token = JsonScanner::Token;

// A whole number, cut to what an epoch can be; 0 for every other.
std::uint32_t epoch_from(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() ? static_cast<std::uint32_t>(value) : 0;
}

}  // namespace

// Numbers of another kind (a newer trainer, a broken one) are left out, not guessed. Of equal keys the last one counts.
ResultHead read_result_head(const std::string& text) {
  ResultHead head;
  bool at_objective = false, at_epoch = false;
  for (JsonScanner scan(text);;) {
    const Token token = scan.next();
    if (token == Token::bad) return {};
    if (token == Token::end) return head;
    if (scan.depth() != 1) continue;
    if (token == Token::begin_object) head.readable = true;
    if (token == Token::key) {
      at_objective = scan.is("objective"), at_epoch = scan.is("epoch");
      if (at_objective) head.objective.reset();
      if (at_epoch) head.epoch = 0;
    } else if (token == Token::number && at_objective) {
      if (const double value = scan.number(); std::isfinite(value)) head.objective = value;
    } else if (token == Token::number && at_epoch) {
      head.epoch = epoch_from(scan.text());
    }
  }
}

}  // namespace fathom::core
