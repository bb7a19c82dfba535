#include "common/yaml_json.hpp"

#include <charconv>
#include <optional>

#include <yaml-cpp/yaml.h>

namespace fathom {

using Json = nlohmann::ordered_json;

namespace {

constexpr std::size_t kMaxBytes = 1 << 20;
constexpr int kMaxDepth = 64;
constexpr int kMaxValues = 100'000;

// A mistake on its way out of the recursion; never leaves this file.
struct Mistake {
  YamlMark mark;
  std::string message;
};

YamlMark mark_of(const YAML::Mark& mark) { return {mark.line + 1, mark.column + 1}; }

template <class Number>
std::optional<Number> number(std::string_view text) {
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// Leading zeros and signs that JSON does not have make it text: "007" is a name, not seven.
bool looks_numeric(std::string_view text) {
  if (text.starts_with('-')) text.remove_prefix(1);
  if (text.empty() || text[0] < '0' || text[0] > '9') return false;
  return text.size() == 1 || text[0] != '0' || text[1] == '.' || text[1] == 'e' || text[1] == 'E';
}

Json scalar(const YAML::Node& node) {
  const std::string& text = node.Scalar();
  if (node.Tag() == "!") return text;  // quoted
  if (text.empty() || text == "~" || text == "null") return nullptr;
  if (text == "true" || text == "false") return text == "true";
  if (looks_numeric(text)) {
    if (const auto whole = number<std::int64_t>(text)) return *whole;
    if (const auto real = number<double>(text)) return *real;
  }
  return text;
}

std::string escaped(const std::string& key) {
  std::string out;
  for (const char c : key) {
    if (c == '~') {
      out += "~0";
    } else if (c == '/') {
      out += "~1";
    } else {
      out.push_back(c);
    }
  }
  return out;
}

class Converter {
 public:
  explicit Converter(YamlDocument& document) : document_(document) {}

  Json convert(const YAML::Node& node, const std::string& pointer, int depth) {
    if (depth > kMaxDepth) throw Mistake{mark_of(node.Mark()), "more than 64 levels"};
    if (++values_ > kMaxValues) throw Mistake{mark_of(node.Mark()), "more than 100,000 values (aliases included)"};
    if (node.IsSequence()) return list(node, pointer, depth);
    if (node.IsMap()) return map(node, pointer, depth);
    return node.IsScalar() ? scalar(node) : Json(nullptr);
  }

 private:
  Json list(const YAML::Node& node, const std::string& pointer, int depth) {
    Json out = Json::array();
    for (const auto& item : node) {
      const std::string place = pointer + "/" + std::to_string(out.size());
      document_.marks[place] = mark_of(item.Mark());
      out.push_back(convert(item, place, depth + 1));
    }
    return out;
  }

  Json map(const YAML::Node& node, const std::string& pointer, int depth) {
    Json out = Json::object();
    for (const auto& entry : node) {
      const YamlMark mark = mark_of(entry.first.Mark());
      if (!entry.first.IsScalar()) throw Mistake{mark, "a key has to be plain text"};
      const std::string& key = entry.first.Scalar();
      if (out.contains(key)) throw Mistake{mark, "the key \"" + key + "\" is given twice"};
      const std::string place = pointer + "/" + escaped(key);
      document_.marks[place] = mark;
      out[key] = convert(entry.second, place, depth + 1);
    }
    return out;
  }

  YamlDocument& document_;
  int values_ = 0;
};

std::string place(const std::string& name, YamlMark mark) {
  return name + ":" + std::to_string(mark.line) + ":" + std::to_string(mark.column) + ": error: ";
}

// yaml-cpp's own message for a tab is about tokens; say it in words. Returns the line of the first indenting tab.
int tab_line(std::string_view text) {
  int line = 1;
  bool indentation = true;
  for (const char c : text) {
    if (c == '\t' && indentation) return line;
    if (c != ' ' && c != '\t') indentation = false;
    if (c == '\n') {
      ++line;
      indentation = true;
    }
  }
  return 0;
}

}  // namespace

Error YamlDocument::error_at(const std::string& pointer, const std::string& message) const {
  std::string at = pointer;
  while (!marks.contains(at) && !at.empty()) at.resize(at.rfind('/'));
  const auto found = marks.find(at);
  return {Errc::invalid_argument, place(name, found == marks.end() ? YamlMark{} : found->second) + message};
}

Result<YamlDocument> parse_yaml(std::string_view text, const std::string& name) {
  YamlDocument document;
  document.name = name;
  const auto fail = [&name](YamlMark mark, const std::string& message) {
    return Error{Errc::invalid_argument, place(name, mark) + message};
  };
  if (text.size() > kMaxBytes) return fail({}, "the file is larger than 1 MiB");
  if (const int line = tab_line(text); line > 0) return fail({line, 1}, "a tab in the indentation; use spaces");
  try {
    const YAML::Node root = YAML::Load(std::string(text));
    document.value = Converter(document).convert(root, "", 0);
  } catch (const Mistake& mistake) {
    return fail(mistake.mark, mistake.message);
  } catch (const YAML::Exception& broken) {
    return fail(mark_of(broken.mark), broken.msg);
  }
  return document;
}

}  // namespace fathom
