#include "common/config.hpp"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <set>
#include <sstream>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <yaml-cpp/yaml.h>

#include "common/config_values.hpp"
#include "common/files.hpp"

extern char** environ;

namespace fathom {

std::string nearest(std::string_view word, const std::vector<std::string>& choices) {
  std::string best;
  std::size_t best_distance = std::max<std::size_t>(word.size() / 3, 1) + 1;
  for (const std::string& choice : choices) {
    // Levenshtein distance with one row: row[j] = distance of the words' first i and j letters.
    std::vector<std::size_t> row(choice.size() + 1);
    for (std::size_t j = 0; j <= choice.size(); ++j) row[j] = j;
    for (std::size_t i = 1; i <= word.size(); ++i) {
      std::size_t diagonal = std::exchange(row[0], i);
      for (std::size_t j = 1; j <= choice.size(); ++j) {
        const std::size_t replaced = diagonal + (word[i - 1] == choice[j - 1] ? 0 : 1);
        diagonal = std::exchange(row[j], std::min({row[j] + 1, row[j - 1] + 1, replaced}));
      }
    }
    if (row.back() < best_distance) {
      best_distance = row.back();
      best = choice;
    }
  }
  return best;
}

namespace {

// Lines of at most 100 columns, each after `start`.
std::string wrap(const std::string& text, const std::string& start) {
  std::istringstream words(text);
  std::string lines;
  std::string line;
  for (std::string word; words >> word; line += (line.empty() ? "" : " ") + word) {
    if (line.size() + word.size() > 98) lines += start + std::exchange(line, "") + "\n";
  }
  return lines + start + line + "\n";
}

}  // namespace

// The bound keys, and one reading of a file: values are gathered and stored only when the whole file is right.
struct Config::Impl {
  std::vector<config::Key> keys;

  struct Reading {
    std::string name;  // of the file
    std::vector<std::string> errors;
    std::set<std::string> seen;
    std::vector<std::pair<const config::Key*, config::Value>> values;
  };

  void add(std::string key, config::Field field, std::string help, Bounds bounds = {}) {
    keys.push_back({std::move(key), field, std::move(help), std::move(bounds)});
  }

  const config::Key* find(std::string_view name) const {
    const auto key = std::find_if(keys.begin(), keys.end(), [&](const config::Key& k) { return k.name == name; });
    return key == keys.end() ? nullptr : &*key;
  }

  bool is_section(const std::string& name) const {
    const std::string prefix = name + ".";
    return std::any_of(keys.begin(), keys.end(), [&](const config::Key& k) { return k.name.starts_with(prefix); });
  }

  // Keys and sections that may stand at this place; the whole paths where none is near.
  std::string hint(const std::string& name) const {
    std::vector<std::string> names;
    for (const config::Key& key : keys) {
      names.push_back(key.name);
      for (std::size_t dot = key.name.find('.'); dot != std::string::npos; dot = key.name.find('.', dot + 1)) {
        names.push_back(key.name.substr(0, dot));
      }
    }
    const std::string near = nearest(name, names);
    if (!near.empty()) return fmt::format("; did you mean {}?", near);
    std::vector<std::string> top;
    for (const std::string& each : names) {
      const std::string first = each.substr(0, each.find('.'));
      if (std::find(top.begin(), top.end(), first) == top.end()) top.push_back(first);
    }
    return fmt::format("; known keys: {}", fmt::join(top, ", "));
  }

  static void mistake(Reading& reading, const YAML::Mark& mark, const std::string& message) {
    reading.errors.push_back(fmt::format("{}:{}:{}: {}", reading.name, mark.line + 1, mark.column + 1, message));
  }

  void read_map(const YAML::Node& map, const std::string& prefix, Reading& reading) const;
  void read_entry(const std::string& name, const YAML::Node& key, const YAML::Node& value, Reading& reading) const;
  void read_value(const config::Key& key, const YAML::Node& value, Reading& reading) const;
};

void Config::Impl::read_map(const YAML::Node& map, const std::string& prefix, Reading& reading) const {
  for (const auto& entry : map) {
    if (!entry.first.IsScalar()) {
      mistake(reading, entry.first.Mark(), "a key must be a word");
      continue;
    }
    const std::string name = prefix + entry.first.Scalar();
    if (!reading.seen.insert(name).second) {
      mistake(reading, entry.first.Mark(), fmt::format("{} stands here a second time", name));
      continue;
    }
    read_entry(name, entry.first, entry.second, reading);
  }
}

void Config::Impl::read_entry(const std::string& name, const YAML::Node& key, const YAML::Node& value,
                              Reading& reading) const {
  if (const config::Key* known = find(name)) return read_value(*known, value, reading);
  if (!is_section(name)) {
    mistake(reading, key.Mark(), fmt::format("unknown key {}{}", name, hint(name)));
  } else if (value.IsMap()) {
    read_map(value, name + ".", reading);
  } else if (!value.IsNull()) {
    mistake(reading, value.Mark(), fmt::format("{}: expected keys below it, indented", name));
  }
}

void Config::Impl::read_value(const config::Key& key, const YAML::Node& value, Reading& reading) const {
  std::vector<std::string> texts;
  bool scalars = value.IsScalar();
  if (value.IsSequence() && config::is_list(key)) {
    scalars = true;
    for (const YAML::Node& element : value) {
      scalars = scalars && element.IsScalar();
      if (element.IsScalar()) texts.push_back(element.Scalar());
    }
  } else if (value.IsScalar()) {
    texts.push_back(value.Scalar());
  }
  if (!scalars) {
    // The mark of an empty value is where the next token stands; the message must still name the key.
    mistake(reading, value.Mark(),
            fmt::format("{}: expected {}", key.name, config::is_list(key) ? "a list" : "a value"));
    return;
  }
  auto read = config::read(key, texts, value.IsScalar() && value.Tag() == "!");
  if (read) {
    reading.values.emplace_back(&key, std::move(read).value());
  } else {
    mistake(reading, value.Mark(), fmt::format("{}: {}", key.name, read.error().message));
  }
}

Config::Config() : impl_(std::make_unique<Impl>()) {}
Config::~Config() = default;
Config::Config(Config&&) noexcept = default;
Config& Config::operator=(Config&&) noexcept = default;

void Config::bind(std::string key, bool& field, std::string help) {
  impl_->add(std::move(key), &field, std::move(help));
}
void Config::bind(std::string key, std::int64_t& field, std::string help, Bounds bounds) {
  impl_->add(std::move(key), &field, std::move(help), std::move(bounds));
}
void Config::bind(std::string key, std::uint32_t& field, std::string help, Bounds bounds) {
  impl_->add(std::move(key), &field, std::move(help), std::move(bounds));
}
void Config::bind(std::string key, double& field, std::string help, Bounds bounds) {
  impl_->add(std::move(key), &field, std::move(help), std::move(bounds));
}
void Config::bind(std::string key, std::string& field, std::string help, Bounds bounds) {
  impl_->add(std::move(key), &field, std::move(help), std::move(bounds));
}
void Config::bind(std::string key, std::vector<std::string>& field, std::string help) {
  impl_->add(std::move(key), &field, std::move(help));
}
void Config::bind(std::string key, Millis& field, std::string help, Bounds bounds) {
  impl_->add(std::move(key), &field, std::move(help), std::move(bounds));
}
void Config::bind(std::string key, Bytes& field, std::string help, Bounds bounds) {
  impl_->add(std::move(key), &field, std::move(help), std::move(bounds));
}

Status Config::read_file(const std::string& file) {
  auto text = fathom::read_file(file, 1U << 20);
  if (!text) return Error{text.error().code, "config file: " + text.error().message};
  return read_text(*text, file);
}

Status Config::read_text(std::string_view yaml, const std::string& name) {
  Impl::Reading reading;
  reading.name = name;
  try {
    const YAML::Node root = YAML::Load(std::string(yaml));
    if (root.IsMap()) {
      impl_->read_map(root, "", reading);
    } else if (!root.IsNull()) {
      Impl::mistake(reading, root.Mark(), "expected lines of \"key: value\"");
    }
  } catch (const YAML::Exception& error) {
    const bool tab = yaml.find('\t') != std::string_view::npos;
    Impl::mistake(reading, error.mark, error.msg + (tab ? " (YAML is indented with spaces, the file has a tab)" : ""));
  }
  if (!reading.errors.empty()) return Error{Errc::invalid_argument, fmt::format("{}", fmt::join(reading.errors, "\n"))};
  for (auto& [key, value] : reading.values) config::store(*key, std::move(value));
  return success();
}

Status Config::read_environment(const std::string& prefix, const std::function<bool(std::string_view)>& ignore) {
  std::vector<std::string> errors;
  for (char** each = environ; *each != nullptr; ++each) {
    const std::string_view variable = *each;
    const std::string_view name = variable.substr(0, variable.find('='));
    if (!name.starts_with(prefix) || (ignore && ignore(name))) continue;
    const auto matches = [&](const config::Key& key) {
      return std::equal(
          key.name.begin(), key.name.end(), name.begin() + static_cast<std::ptrdiff_t>(prefix.size()), name.end(),
          [](char k, char n) { return n == (k == '.' ? '_' : std::toupper(static_cast<unsigned char>(k))); });
    };
    const auto key = std::find_if(impl_->keys.begin(), impl_->keys.end(), matches);
    if (key == impl_->keys.end()) {
      errors.push_back(fmt::format("environment variable {}: there is no such key", name));
    } else if (const Status done = set(key->name, variable.substr(name.size() + 1), std::string(name)); !done) {
      errors.push_back(done.error().message);
    }
  }
  if (errors.empty()) return success();
  return Error{Errc::invalid_argument, fmt::format("{}", fmt::join(errors, "\n"))};
}

Status Config::set(std::string_view key, std::string_view value, const std::string& origin) {
  const config::Key* known = impl_->find(key);
  if (known == nullptr) {
    return Error{Errc::invalid_argument,
                 fmt::format("{}: unknown key {}{}", origin, key, impl_->hint(std::string(key)))};
  }
  std::vector<std::string> texts{std::string(value)};
  if (config::is_list(*known)) {
    texts.clear();
    std::istringstream parts{std::string(value)};
    for (std::string part; std::getline(parts, part, ',');) texts.push_back(part);
  }
  auto read = config::read(*known, texts, false);
  if (!read) return Error{Errc::invalid_argument, fmt::format("{}: {}", origin, read.error().message)};
  config::store(*known, std::move(read).value());
  return success();
}

std::string Config::describe() const {
  // Top keys first, then section by section in the order of their first key, however they were bound.
  std::vector<std::string> sections{""};
  const auto section_of = [](const config::Key& key) {
    const std::size_t dot = key.name.find('.');
    return dot == std::string::npos ? std::string{} : key.name.substr(0, dot);
  };
  for (const config::Key& key : impl_->keys) {
    const std::string section = section_of(key);
    if (std::find(sections.begin(), sections.end(), section) == sections.end()) sections.push_back(section);
  }
  std::string yaml;
  for (const std::string& section : sections) {
    const std::string indent = section.empty() ? "" : "  ";
    if (!section.empty()) yaml += "\n" + section + ":\n";
    for (const config::Key& key : impl_->keys) {
      if (section_of(key) != section) continue;
      const std::string name = section.empty() ? key.name : key.name.substr(section.size() + 1);
      yaml += wrap(key.help, indent + "# ") + indent + name + ": " + config::show(key) + "\n";
    }
  }
  return yaml;
}

}  // namespace fathom
