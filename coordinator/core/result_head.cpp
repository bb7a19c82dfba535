#include "coordinator/core/result_head.hpp"

#include <cmath>

#include <nlohmann/json.hpp>

namespace fathom::core {
namespace {

using nlohmann::json;

// Numbers of another kind (a newer trainer, a broken one) are left out, not guessed.
class HeadReader final : public nlohmann::json_sax<json> {
 public:
  ResultHead head;

  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool string(string_t&) override { return true; }
  bool binary(binary_t&) override { return true; }
  bool number_integer(number_integer_t value) override { return number(static_cast<double>(value)); }
  bool number_float(number_float_t value, const string_t&) override { return number(value); }
  bool number_unsigned(number_unsigned_t value) override {
    if (depth_ == 1 && key_ == "epoch") head.epoch = static_cast<std::uint32_t>(value);
    return number(static_cast<double>(value));
  }
  bool start_object(std::size_t) override {
    if (depth_ == 0) head.readable = true;
    ++depth_;
    return true;
  }
  bool end_object() override { return leave(); }
  bool start_array(std::size_t) override {
    ++depth_;
    return true;
  }
  bool end_array() override { return leave(); }
  // Of equal keys the last one counts.
  bool key(string_t& name) override {
    if (depth_ != 1) return true;
    key_ = name;
    if (name == "objective") head.objective.reset();
    if (name == "epoch") head.epoch = 0;
    return true;
  }
  bool parse_error(std::size_t, const std::string&, const json::exception&) override { return false; }

 private:
  bool number(double value) {
    if (depth_ == 1 && key_ == "objective" && std::isfinite(value)) head.objective = value;
    return true;
  }
  bool leave() {
    --depth_;
    return true;
  }

  int depth_ = 0;
  std::string key_;  // at depth 1
};

}  // namespace

ResultHead read_result_head(const std::string& text) {
  HeadReader reader;
  if (!json::sax_parse(text, &reader)) return {};
  return reader.head;
}

}  // namespace fathom::core
