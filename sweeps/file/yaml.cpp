// Text to tree, on yaml-cpp's event interface: its own node type expands aliases without limit and keeps marks only for
// the start of values.
#include <algorithm>
#include <map>
#include <sstream>

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include "common/utf8.hpp"
#include "sweeps/file/node.hpp"

namespace fathom::sweeps {
namespace {

// Leaves the parser from inside an event; caught in read_yaml.
struct Refused {
  Mark at;
  std::string message;
};

constexpr std::size_t kMaxKeys = 4096;  // of one map; finding a second `key:` is quadratic

// yaml-cpp counts bytes from 0; a person counts characters from 1. Remembers the last place: marks come in rising
// order, and counting each anew from the start of a long line would be quadratic.
class Places {
 public:
  Places(std::uint32_t source, const std::string& text) : source_(source), text_(text) {}

  Mark operator()(const YAML::Mark& at) {
    const auto column = static_cast<std::size_t>(std::max(at.column, 0));
    const auto position = std::max(static_cast<std::size_t>(std::max(at.pos, 0)), column);
    const std::size_t start = position - column;
    if (start != start_ || position < position_) {
      start_ = position_ = start;
      continuation_ = 0;
    }
    for (; position_ < std::min(position, text_.size()); ++position_) {
      if ((static_cast<unsigned char>(text_[position_]) & 0xC0) == 0x80) ++continuation_;
    }
    return {source_, static_cast<std::uint32_t>(std::max(at.line, 0) + 1),
            static_cast<std::uint32_t>(column - std::min(continuation_, column) + 1), 1};
  }

 private:
  std::uint32_t source_;
  const std::string& text_;
  std::size_t start_ = 0;         // of the line that was asked for last
  std::size_t position_ = 0;      // bytes of it that are counted
  std::size_t continuation_ = 0;  // UTF-8 continuation bytes among them
};

std::size_t characters(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

std::size_t size_of(const Node& node) {
  std::size_t total = 1 + node.keys.size();
  for (const Node& item : node.items) total += size_of(item);
  return total;
}

class Builder final : public YAML::EventHandler {
 public:
  Builder(std::uint32_t source, const std::string& text) : text_(text), places_(source, text) {}

  [[nodiscard]] std::optional<Node> result() { return std::move(root_); }

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& at, YAML::anchor_t anchor) override {
    Node node;
    node.mark = mark(at, 1);
    node.text = null_word(static_cast<std::size_t>(std::max(at.pos, 0)));
    if (!node.text.empty()) node.mark.length = static_cast<std::uint32_t>(node.text.size());
    finish(std::move(node), anchor);
  }

  void OnAlias(const YAML::Mark& at, YAML::anchor_t anchor) override {
    const auto found = anchors_.find(anchor);
    if (found == anchors_.end()) throw Refused{mark(at, 1), "this alias stands inside the value it names"};
    count(size_of(found->second), found->second.mark);
    add(found->second);
  }

  void OnScalar(const YAML::Mark& at, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    Node node;
    node.type = Node::Type::scalar;
    node.text = value;
    node.quoted = tag == "!" || tag == "tag:yaml.org,2002:str";
    if (!node.quoted && tag != "?" && !tag.empty()) refuse_tag(at, tag);
    node.mark = mark(at, characters(value) + (tag == "!" ? 2 : 0));
    finish(std::move(node), anchor);
  }

  void OnSequenceStart(const YAML::Mark& at, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    open(Node::Type::list, at, tag, anchor);
  }
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const YAML::Mark& at, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    open(Node::Type::map, at, tag, anchor);
  }
  void OnMapEnd() override { close(); }

 private:
  struct Frame {
    Node node;
    YAML::anchor_t anchor = 0;
  };

  Mark mark(const YAML::Mark& at, std::size_t length) {
    Mark place = places_(at);
    place.length = static_cast<std::uint32_t>(std::max<std::size_t>(length, 1));
    return place;
  }

  // yaml-cpp drops how a null was written; where the schema wants text, `null` is a word like any other (rule 17).
  [[nodiscard]] std::string null_word(std::size_t position) const {
    for (const std::string_view word : {"~", "null", "Null", "NULL"}) {
      if (position >= text_.size() || text_.compare(position, word.size(), word) != 0) continue;
      const std::size_t end = position + word.size();
      if (end >= text_.size() || std::string_view(" \n\r,]}#").find(text_[end]) != std::string_view::npos) {
        return std::string(word);
      }
    }
    return "";
  }

  [[noreturn]] void refuse_tag(const YAML::Mark& at, const std::string& tag) {
    throw Refused{mark(at, 1), "the tag '" + tag + "' means nothing here; write plain values, the key gives the type"};
  }

  void open(Node::Type type, const YAML::Mark& at, const std::string& tag, YAML::anchor_t anchor) {
    if (!tag.empty() && tag != "?" && tag != "!") refuse_tag(at, tag);
    if (stack_.size() >= kMaxDepth) {
      throw Refused{mark(at, 1), "nested deeper than " + std::to_string(kMaxDepth) + " levels"};
    }
    stack_.push_back({});
    stack_.back().node.type = type;
    stack_.back().node.mark = mark(at, 1);
    stack_.back().anchor = anchor;
  }

  void close() {
    Frame frame = std::move(stack_.back());
    stack_.pop_back();
    finish(std::move(frame.node), frame.anchor);
  }

  void count(std::size_t more, const Mark& at) {
    nodes_ += more;
    if (nodes_ <= kMaxNodes) return;
    throw Refused{at, "more than " + std::to_string(kMaxNodes) + " values after aliases are spelled out"};
  }

  void finish(Node node, YAML::anchor_t anchor) {
    count(1, node.mark);
    if (anchor != 0) anchors_[anchor] = node;
    add(std::move(node));
  }

  void add(Node node) {
    if (stack_.empty()) {
      root_ = std::move(node);
      return;
    }
    Node& parent = stack_.back().node;
    if (parent.is_map() && parent.keys.size() == parent.items.size()) {
      add_key(parent, std::move(node));
    } else {
      parent.items.push_back(std::move(node));
    }
  }

  static void add_key(Node& parent, Node key) {
    if (key.type == Node::Type::null && !key.text.empty()) key.type = Node::Type::scalar;
    if (!key.is_scalar()) throw Refused{key.mark, "a key must be a word, found " + describe(key)};
    if (parent.keys.size() >= kMaxKeys) {
      throw Refused{key.mark, "more than " + std::to_string(kMaxKeys) + " keys in one map"};
    }
    for (const Node& known : parent.keys) {
      if (known.text == key.text) {
        throw Refused{key.mark,
                      "key '" + key.text + "' stands twice, first on line " + std::to_string(known.mark.line)};
      }
    }
    parent.keys.push_back(std::move(key));
  }

  const std::string& text_;
  Places places_;
  std::vector<Frame> stack_;
  std::map<YAML::anchor_t, Node> anchors_;
  std::optional<Node> root_;
  std::size_t nodes_ = 0;
};

// What yaml-cpp would misread or explain badly, found on the raw lines: tabs in the indentation, control characters.
bool check_lines(std::uint32_t source, const std::string& text, Report& report) {
  std::uint32_t line = 1;
  bool fine = true;
  for (std::size_t start = 0; start < text.size(); ++line) {
    std::size_t end = text.find('\n', start);
    if (end == std::string::npos) end = text.size();
    const std::size_t first = text.find_first_not_of(" \t\r", start);
    const std::size_t tab = text.find('\t', start);
    if (tab < end && first < end && tab < first) {
      report.error({source, line, static_cast<std::uint32_t>(tab - start + 1), 1},
                   "a tab in the indentation; YAML takes spaces only");
      fine = false;
    }
    for (std::size_t i = start; i < end; ++i) {
      const auto c = static_cast<unsigned char>(text[i]);
      if (c >= 0x20 || c == '\t' || c == '\r') continue;
      report.error({source, line, static_cast<std::uint32_t>(i - start + 1), 1},
                   "a control character; this is not a text file");
      return false;
    }
    start = end + 1;
  }
  return fine;
}

std::optional<Node> parse_document(std::uint32_t source, const std::string& text, Report& report) {
  std::istringstream stream(text);
  try {
    YAML::Parser parser(stream);
    Builder builder(source, text);
    if (!parser.HandleNextDocument(builder)) {
      report.error({source, 1, 1, 1}, "the file is empty");
      return std::nullopt;
    }
    Builder second(source, text);
    if (parser.HandleNextDocument(second)) {
      const auto extra = second.result();
      report.error(extra ? extra->mark : Mark{source, 1, 1, 1}, "a second document; a sweep file is one document");
      return std::nullopt;
    }
    return builder.result();
  } catch (const Refused& refused) {
    report.error(refused.at, refused.message);
  } catch (const YAML::Exception& error) {
    const bool open = error.msg.find("flow not found") != std::string::npos;
    report.error(Places(source, text)(error.mark),
                 "not valid YAML: " + error.msg + (open ? "; a '{' or '[' above is not closed" : ""));
  }
  return std::nullopt;
}

}  // namespace

std::optional<Node> read_yaml(const std::string& name, const std::string& given, Report& report) {
  std::string text = given.rfind("\xEF\xBB\xBF", 0) == 0 ? given.substr(3) : given;  // a byte order mark says nothing
  const bool whole = text.size() <= kMaxBytes;
  const bool valid = is_utf8(text);
  if (!valid) repair_utf8(text);
  const std::uint32_t source = report.add_source(name, whole ? text : "");
  if (!whole) {
    report.error({source, 1, 1, 1},
                 "the file has " + std::to_string(text.size()) + " bytes; a sweep file has at most 1 MiB");
    return std::nullopt;
  }
  if (!valid) {
    const std::size_t bad = text.find("\xEF\xBF\xBD");
    const auto line =
        static_cast<std::uint32_t>(1 + std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(bad), '\n'));
    report.error({source, line, 1, 1}, "bytes that are not UTF-8; save the file as UTF-8");
    return std::nullopt;
  }
  if (!check_lines(source, text, report)) return std::nullopt;
  return parse_document(source, text, report);
}

}  // namespace fathom::sweeps
