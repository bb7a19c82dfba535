#include "trainer/checkpoint/json_text.hpp"

#include <set>
#include <vector>

#include <nlohmann/json.hpp>

namespace fathom::trainer {
namespace {

using nlohmann::json;

constexpr std::size_t kMaxLevels = 256;

// Looks at the text without keeping a value: levels and keys. Returning false ends the walk.
class Watch final : public nlohmann::json_sax<json> {
 public:
  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t) override { return true; }
  bool number_unsigned(number_unsigned_t) override { return true; }
  bool number_float(number_float_t, const string_t&) override { return true; }
  bool string(string_t&) override { return true; }
  bool binary(binary_t&) override { return true; }
  bool start_object(std::size_t) override { return enter(); }
  bool end_object() override { return leave(); }
  bool start_array(std::size_t) override { return enter(); }
  bool end_array() override { return leave(); }
  bool key(string_t& key) override {
    if (keys_.back().insert(key).second) return true;
    problem_ = "\"" + key + "\" stands there twice";
    return false;
  }
  bool parse_error(std::size_t at, const std::string&, const nlohmann::detail::exception&) override {
    problem_ = "not JSON, from byte " + std::to_string(at) + " on";
    return false;
  }
  [[nodiscard]] const std::string& problem() const { return problem_; }

 private:
  bool enter() {
    keys_.emplace_back();
    if (keys_.size() > kMaxLevels) problem_ = "nested deeper than " + std::to_string(kMaxLevels) + " levels";
    return keys_.size() <= kMaxLevels;
  }
  bool leave() {
    keys_.pop_back();
    return true;
  }
  std::vector<std::set<std::string>> keys_;
  std::string problem_;
};

}  // namespace

Result<json> parse_json_object(std::string_view text, const std::string& file) {
  Watch watch;
  if (!json::sax_parse(text, &watch)) return Error{Errc::corrupt, file + ": " + watch.problem()};
  json object = json::parse(text, nullptr, false);
  if (!object.is_object()) return Error{Errc::corrupt, file + ": not a JSON object"};
  return object;
}

}  // namespace fathom::trainer
