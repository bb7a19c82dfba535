#include "sweeps/file/plain_yaml.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace fathom::sweeps {
namespace {

constexpr std::size_t kLongestKey = 1000;  // yaml-cpp refuses keys above 1,024 characters
constexpr std::size_t kMostKeys = 256;     // of one map: finding a second `key:` is quadratic

// Left to yaml-cpp.
struct Beyond {};

constexpr std::array<bool, 256> kWord = [] {
  std::array<bool, 256> out{};
  for (const unsigned char c : std::string_view("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./+-"))
    out[c] = true;
  return out;
}();

bool is_word(char c) { return kWord[static_cast<unsigned char>(c)]; }

// Where yaml-cpp makes a null of a plain word.
bool is_null(std::string_view word) { return word == "null" || word == "Null" || word == "NULL"; }

class Reader {
 public:
  Reader(std::uint32_t source, std::string_view text) : source_(source), text_(text) {}

  Node document() {
    if (!next_line() || indent_ != 0) throw Beyond{};
    Node root = block_map(0);
    if (!ended_) throw Beyond{};
    return root;
  }

 private:
  // Goes to the next line with something on it but a comment. False: there is none.
  bool next_line() {
    while (start_ < text_.size()) {
      const std::size_t end = std::min(text_.find('\n', start_), text_.size());
      const std::size_t first = std::min(text_.find_first_not_of(' ', start_), end);
      line_ = text_.substr(start_, end - start_);
      at_ = indent_ = first - start_;
      start_ = end + 1;
      ++number_;
      if (first < end && text_[first] != '#') return true;
    }
    ended_ = true;
    return false;
  }

  [[nodiscard]] char peek() const { return at_ < line_.size() ? line_[at_] : '\n'; }

  [[nodiscard]] Mark mark(std::size_t length) const {
    return {source_, number_, static_cast<std::uint32_t>(at_ + 1), static_cast<std::uint32_t>(length)};
  }

  [[nodiscard]] Node node(Node::Type type, std::size_t length = 1) const {
    Node out;
    out.type = type;
    out.mark = mark(length);
    return out;
  }

  void skip_blanks() { at_ = std::min(line_.find_first_not_of(' ', at_), line_.size()); }

  // Nothing follows on this line but a comment.
  void end_line() {
    const std::size_t before = at_;
    skip_blanks();
    if (at_ < line_.size() && (line_[at_] != '#' || at_ == before)) throw Beyond{};
  }

  void nest() {
    if (++depth_ > kMaxDepth) throw Beyond{};
  }

  // A word or, outside of brackets, words.
  Node plain(bool in_brackets) {
    const char next = at_ + 1 < line_.size() ? line_[at_ + 1] : ' ';
    if (!is_word(peek()) || (peek() == '-' && !is_word(next))) throw Beyond{};
    std::size_t end = at_;
    for (std::size_t i = at_; i < line_.size(); ++i) {
      if (is_word(line_[i])) {
        end = i + 1;
      } else if (line_[i] != ' ' || in_brackets) {
        break;
      }
    }
    const std::string_view text = line_.substr(at_, end - at_);
    if (is_null(text)) throw Beyond{};
    Node out = node(Node::Type::scalar, text.size());
    out.text = text;
    at_ = end;
    return out;
  }

  Node quoted() {
    const std::size_t end = line_.find(line_[at_], at_ + 1);
    if (end == std::string_view::npos) throw Beyond{};
    const std::string_view text = line_.substr(at_ + 1, end - at_ - 1);
    const auto plain = [](char c) { return c >= ' ' && c <= '~' && c != '\\'; };
    const bool doubled = end + 1 < line_.size() && line_[end + 1] == line_[end];  // '' is an escape
    if (doubled || !std::all_of(text.begin(), text.end(), plain)) throw Beyond{};
    Node out = node(Node::Type::scalar, text.size() + 2);
    out.text = text;
    out.quoted = true;
    at_ = end + 1;
    return out;
  }

  Node value(bool in_brackets) {
    if (peek() == '{' || peek() == '[') return bracketed();
    if (peek() == '"' || peek() == '\'') return quoted();
    return plain(in_brackets);
  }

  void add_key(Node& map) {
    Node key = plain(true);
    const bool known =
        std::any_of(map.keys.begin(), map.keys.end(), [&](const Node& one) { return one.text == key.text; });
    if (known || key.text.size() > kLongestKey || map.keys.size() >= kMostKeys || peek() != ':') throw Beyond{};
    ++at_;
    map.keys.push_back(std::move(key));
  }

  Node bracketed() {
    nest();
    const bool map = peek() == '{';
    Node out = node(map ? Node::Type::map : Node::Type::list);
    const char close = map ? '}' : ']';
    do {
      ++at_;
      skip_blanks();
      if (peek() == close && out.items.empty()) break;
      if (map) {
        add_key(out);
        if (peek() != ' ') throw Beyond{};
        skip_blanks();
      }
      out.items.push_back(value(true));
      skip_blanks();
    } while (peek() == ',');
    if (peek() != close) throw Beyond{};
    ++at_;
    --depth_;
    return out;
  }

  // Behind `key:` or `-`: the rest of the line, or the lines below that stand deeper. Leaves the reader on the line
  // behind it.
  Node behind(std::size_t indent) {
    const bool apart = peek() == ' ';
    skip_blanks();
    if (peek() == '\n' || (apart && peek() == '#')) {
      if (!next_line() || indent_ <= indent) throw Beyond{};
      return peek() == '-' ? block_list(indent_) : block_map(indent_);
    }
    if (!apart) throw Beyond{};
    Node out = value(false);
    end_line();
    if (next_line() && indent_ > indent) throw Beyond{};  // the rest of a text of several lines
    return out;
  }

  Node block_map(std::size_t indent) {
    nest();
    Node out = node(Node::Type::map);
    while (!ended_ && indent_ == indent) {
      if (peek() == '-' || peek() == '.') throw Beyond{};  // an item, or a document's end
      add_key(out);
      out.items.push_back(behind(indent));
    }
    if (!ended_ && indent_ > indent) throw Beyond{};
    --depth_;
    return out;
  }

  Node block_list(std::size_t indent) {
    nest();
    Node out = node(Node::Type::list);
    while (!ended_ && indent_ == indent) {
      if (peek() != '-' || at_ + 1 >= line_.size() || line_[at_ + 1] != ' ') throw Beyond{};
      ++at_;
      skip_blanks();
      Node item = value(false);
      end_line();
      if (next_line() && indent_ > indent) throw Beyond{};
      out.items.push_back(std::move(item));
    }
    --depth_;
    return out;
  }

  std::uint32_t source_;
  std::string_view text_;
  std::size_t start_ = 0;  // of the next line
  std::string_view line_;
  std::uint32_t number_ = 0;  // of line_, from 1
  std::size_t indent_ = 0;    // of line_
  std::size_t at_ = 0;        // in line_
  std::size_t depth_ = 0;
  bool ended_ = false;
};

}  // namespace

std::optional<Node> read_plain_yaml(std::uint32_t source, std::string_view text) {
  // A tree has fewer nodes than its text has characters.
  if (text.size() > kMaxNodes || text.find('\r') != std::string_view::npos) return std::nullopt;
  try {
    return Reader(source, text).document();
  } catch (const Beyond&) {
    return std::nullopt;
  }
}

}  // namespace fathom::sweeps
