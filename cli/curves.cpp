#include "cli/curves.hpp"

#include <set>

#include <fmt/format.h>

#include "cli/client.hpp"
#include "cli/tables.hpp"

namespace fathom::cli {
namespace {

using nlohmann::json;

constexpr std::size_t kMostPoints = 100'000;  // of a series in one answer; longer ones would come thinned out

Status write_series(std::ostream& out, const std::string& job, const json& series) {
  const json points = series.value("points", json::array());
  const std::string name = series.value("name", "");
  if (points.size() >= kMostPoints)
    return Error{
        Errc::resource_exhausted,
        fmt::format("curve {} of job {} has {} points or more: too many for curves.csv", name, job, kMostPoints)};
  const std::string begin = csv_cell(job) + "," + csv_cell(name) + "," + csv_cell(series.value("depth", json())) + ",";
  for (const json& point : points) out << begin << csv_cell(point.at(0)) << "," << csv_cell(point.at(1)) << "\n";
  return success();
}

}  // namespace

Status write_curves(std::ostream& out, const std::string& job, const AskMetrics& ask) {
  FATHOM_ASSIGN(const json known, ask("max=4"));
  std::set<std::string> names;
  for (const json& series : known.value("series", json::array())) names.insert(series.value("name", ""));
  for (const std::string& name : names) {
    FATHOM_ASSIGN(const json answer, ask(fmt::format("name={}&max={}", encode(name), kMostPoints)));
    for (const json& series : answer.value("series", json::array())) FATHOM_TRY(write_series(out, job, series));
  }
  return success();
}

}  // namespace fathom::cli
