#include "sweeps/expand/excludes.hpp"

#include <algorithm>

namespace fathom::sweeps {

using nlohmann::json;

namespace {

// "7", "[7, 8]", "{gt: 0}"
std::string tests_text(const json& tests) {
  std::string bounds;
  for (const json& test : tests) {
    const json& wanted = test.at(1);
    const bool one = wanted.is_array() && wanted.size() == 1;
    std::string text = (one ? wanted.at(0) : wanted).dump();
    std::erase(text, '"');
    if (test.at(0) == "in") return text;
    bounds += (bounds.empty() ? "" : ", ") + test.at(0).get<std::string>() + ": " + text;
  }
  return "{" + bounds + "}";
}

std::string text_of(const json& conditions) {
  std::string out;
  for (const auto& [column, tests] : conditions.items()) {
    const std::size_t bare = column.rfind("param.", 0) == 0 ? column.rfind('.') + 1 : 0;
    out += (out.empty() ? "" : ", ") + column.substr(bare) + ": " + tests_text(tests);
  }
  return "{" + out + "}";
}

}  // namespace

void Excludes::begin(const json& stage) {
  current_.clear();
  for (const json& tests : stage.value("exclude", json::array())) {
    auto known = std::find_if(conditions_.begin(), conditions_.end(),
                              [&](const Condition& condition) { return condition.tests == tests; });
    if (known == conditions_.end()) known = conditions_.insert(known, Condition{tests, false});
    const json stop = stage.value("stop", json());
    const bool later = stage.contains("tpe") || (stop.is_object() && stop.at("method") == "pbt");
    known->met = known->met || later;
    current_.push_back(static_cast<std::size_t>(known - conditions_.begin()));
  }
}

bool Excludes::meets(const ColumnValue& value) {
  bool out = false;
  for (const std::size_t one : current_) {
    if (!sweeps::meets(conditions_[one].tests, value)) continue;
    conditions_[one].met = true;
    out = true;
  }
  return out;
}

std::vector<std::string> Excludes::idle() const {
  std::vector<std::string> out;
  for (const Condition& condition : conditions_) {
    if (!condition.met) out.push_back(text_of(condition.tests));
  }
  return out;
}

}  // namespace fathom::sweeps
