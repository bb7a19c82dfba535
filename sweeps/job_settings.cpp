#include "sweeps/job_settings.hpp"

#include <algorithm>
#include <optional>

#include <nlohmann/json.hpp>

#include "common/canonical_json.hpp"

namespace fathom::sweeps {
namespace {

using nlohmann::json;

// One line of what a job has; none at its end.
struct Own {
  std::string_view key, text;
};
std::optional<Own> take_own(std::string_view& rest) {
  if (rest.empty()) return std::nullopt;
  const std::size_t tab = rest.find('\t'), end = rest.find('\n', tab);
  const Own own{rest.substr(0, tab), rest.substr(tab + 1, end - tab - 1)};
  rest.remove_prefix(end + 1);
  return own;
}

// The value of a member; `next` is the first of its gaps' values, and afterwards what comes behind them.
void write_value(const JobSettings::Member& member, std::string_view& rest, std::optional<Own>& next,
                 std::string& out) {
  std::size_t from = 0;
  for (const std::uint32_t gap : member.gaps) {
    out.append(member.text, from, gap - from).append(next->text);
    next = take_own(rest);
    from = gap;
  }
  out.append(member.text, from);
}

void write_key(std::string_view key, std::string& out) { ((out += out.empty() ? "{\"" : ",\"") += key) += "\":"; }

}  // namespace

JobSettings::JobSettings(const json& object) : shared_(SettingsPool().share(object)) {}

JobSettings::JobSettings(std::shared_ptr<const Members> shared, const std::vector<std::string>& values)
    : shared_(std::move(shared)) {
  for (const std::string& value : values) ((own_ += '\t') += value) += '\n';
}

void JobSettings::add(std::string_view key, const json& value) {
  std::string_view rest = own_;
  std::size_t place = 0;
  for (auto own = take_own(rest); own && own->key < key; own = take_own(rest)) place = own_.size() - rest.size();
  std::string line(key);
  ((line += '\t') += canonical_json(value)) += '\n';
  own_.insert(place, line);
}

void JobSettings::canonical(std::string& out) const {
  static const Members kNone;
  out.clear();
  std::string_view gaps = own_, rest = own_;
  auto gap = take_own(gaps), own = take_own(rest);
  while (own && own->key.empty()) own = take_own(rest);
  const auto write_own = [&] {
    write_key(own->key, out);
    out += own->text;
    own = take_own(rest);
  };
  for (const auto& member : shared_ ? *shared_ : kNone) {
    while (own && own->key < member->key) write_own();
    write_key(member->key, out);
    write_value(*member, gaps, gap, out);
  }
  while (own) write_own();
  if (out.empty()) out = "{";
  out += '}';
}

std::string JobSettings::canonical() const {
  std::string out;
  canonical(out);
  return out;
}

json JobSettings::member(std::string_view key) const {
  std::string_view rest = own_;
  for (auto own = take_own(rest); own; own = take_own(rest)) {
    if (own->key == key) return json::parse(own->text);
  }
  rest = own_;
  auto next = take_own(rest);
  std::string text;
  for (std::size_t i = 0; shared_ && i < shared_->size(); ++i) {
    const Member& member = *(*shared_)[i];
    if (member.key != key && member.gaps.empty()) continue;
    text.clear();
    write_value(member, rest, next, text);
    if (member.key == key) return json::parse(text);
  }
  return nullptr;
}

json JobSettings::whole() const { return json::parse(canonical()); }

std::shared_ptr<const JobSettings::Members> SettingsPool::share(const json& object) {
  auto members = std::make_shared<JobSettings::Members>();
  members->reserve(object.size());
  for (const auto& [key, value] : object.items()) {  // nlohmann's objects are sorted
    std::string text = canonical_json(value);
    auto& known = known_[key + '\n' + text];
    if (!known) known = std::make_shared<const JobSettings::Member>(JobSettings::Member{key, std::move(text)});
    members->push_back(known);
  }
  return members;
}

std::shared_ptr<const JobSettings::Members> with_gaps(const JobSettings::Members& shared, std::string_view key,
                                                      const json& value, const std::vector<std::string>& gaps) {
  JobSettings::Member member{std::string(key), "{"};
  for (const auto& [name, inner] : value.items()) {
    if (member.text.size() > 1) member.text += ',';
    (member.text += canonical_json(name)) += ':';
    if (std::ranges::binary_search(gaps, name)) {
      member.gaps.push_back(static_cast<std::uint32_t>(member.text.size()));
    } else {
      member.text += canonical_json(inner);
    }
  }
  member.text += '}';
  auto out = std::make_shared<JobSettings::Members>(shared);
  for (auto& one : *out) {
    if (one->key == key) one = std::make_shared<const JobSettings::Member>(std::move(member));
  }
  return out;
}

}  // namespace fathom::sweeps
