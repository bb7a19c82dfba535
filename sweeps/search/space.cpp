#include "sweeps/search/space.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "sweeps/resolve/conditions.hpp"
#include "sweeps/resolve/parameters.hpp"

namespace fathom::sweeps {

using nlohmann::json;

double Dimension::at(double share) const {
  if (listed()) return std::floor(share * static_cast<double>(rows.size()));
  const double from = whole ? low - 0.5 : low;
  const double to = whole ? high + 0.5 : high;
  const double value = log ? from * std::pow(to / from, share) : from + (to - from) * share;
  return std::clamp(whole ? std::round(value) : round_digits(value), low, high);
}

Space::Space(const json& resolved)
    : seed(resolved.at("seed")), startup(resolved.at("startup")), when_(resolved.at("when")) {
  for (const json& one : resolved.at("dimensions")) {
    Dimension dimension;
    dimension.names = one.at("names").get<std::vector<std::string>>();
    if (one.contains("rows")) {
      dimension.rows = one.at("rows").get<std::vector<std::vector<json>>>();
    } else {
      dimension.low = one.at("low"), dimension.high = one.at("high");
      dimension.log = one.at("log"), dimension.whole = one.at("whole");
    }
    dimensions.push_back(std::move(dimension));
  }
}

json Space::point(const std::vector<double>& places) const {
  json out = json::object();
  for (std::size_t d = 0; d < dimensions.size(); ++d) {
    const Dimension& dimension = dimensions[d];
    for (std::size_t i = 0; i < dimension.names.size(); ++i) {
      out[dimension.names[i]] =
          dimension.listed() ? dimension.rows[static_cast<std::size_t>(places[d])][i] : number_json(places[d]);
    }
  }
  for (const json& when : when_) {
    const auto value = [&](const std::string& full) -> std::optional<json> {
      const auto found = out.find(full);
      return found == out.end() ? std::nullopt : std::optional<json>(*found);
    };
    if (!meets(when.at(1), value)) out.erase(when.at(0).get<std::string>());
  }
  return out;
}

std::vector<double> Space::places(const json& point) const {
  std::vector<double> out;
  for (const Dimension& dimension : dimensions) {
    out.push_back(std::numeric_limits<double>::quiet_NaN());
    const bool there = std::any_of(dimension.names.begin(), dimension.names.end(),
                                   [&](const std::string& name) { return point.contains(name); });
    if (there && !dimension.listed()) out.back() = point.at(dimension.names.front());
    for (std::size_t row = 0; there && row < dimension.rows.size() && std::isnan(out.back()); ++row) {
      bool same = true;
      for (std::size_t i = 0; i < dimension.names.size(); ++i) {
        const auto found = point.find(dimension.names[i]);
        same = same && (found == point.end() || *found == dimension.rows[row][i]);
      }
      if (same) out.back() = static_cast<double>(row);
    }
  }
  return out;
}

std::vector<double> Space::uniform(SplitMix& random) const {
  std::vector<double> out;
  for (const Dimension& dimension : dimensions) out.push_back(dimension.at(random.unit()));
  return out;
}

}  // namespace fathom::sweeps
