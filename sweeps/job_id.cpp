#include "sweeps/job_id.hpp"

#include <charconv>

#include "common/sha256.hpp"

namespace fathom::sweeps {

JobId JobId::of(std::string_view canonical) { return JobId(sha256_head(canonical)); }

std::optional<JobId> JobId::from(std::string_view hex) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(hex.data(), hex.data() + hex.size(), value, 16);
  // from_chars takes upper case, signs and any length.
  if (error != std::errc() || hex.size() != 16 || end != hex.data() + hex.size()) return std::nullopt;
  return JobId(value).text() == hex ? std::optional(JobId(value)) : std::nullopt;
}

std::string JobId::text() const {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string out(16, '0');
  std::uint64_t rest = value_;
  for (std::size_t i = out.size(); i-- > 0; rest >>= 4U) out[i] = kDigits[rest & 15U];
  return out;
}

}  // namespace fathom::sweeps
