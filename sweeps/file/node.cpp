#include "sweeps/file/node.hpp"

namespace fathom::sweeps {
namespace {

bool plain_safe(const std::string& text) {
  if (text.empty()) return false;
  for (const char c : text) {
    const bool fine = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                      std::string_view("._/+-").find(c) != std::string_view::npos;
    if (!fine) return false;
  }
  return text != "-" && text != "---" && text != "...";
}

// Double quotes with escapes for everything that could end or bend the line.
std::string quote(const std::string& text) {
  constexpr char kHex[] = "0123456789ABCDEF";
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (byte < 0x20) {
      out += std::string("\\x") + kHex[byte >> 4] + kHex[byte & 15];
    } else {
      out += c;
    }
  }
  return out + '"';
}

std::string scalar_text(const Node& node) {
  if (node.type == Node::Type::null) return node.text.empty() ? "~" : node.text;
  // An unquoted scalar stays unquoted: the quotes would make its number a text.
  if (!node.quoted && plain_safe(node.text)) return node.text;
  return quote(node.text);
}

void write(const Node& node, std::string& out) {
  if (!node.is_map() && !node.is_list()) {
    out += scalar_text(node);
    return;
  }
  out += node.is_map() ? "{" : "[";
  for (std::size_t i = 0; i < node.items.size(); ++i) {
    if (i > 0) out += ", ";
    if (node.is_map()) out += scalar_text(node.keys[i]) + ": ";
    write(node.items[i], out);
  }
  out += node.is_map() ? "}" : "]";
}

void write_block(const Node& map, const std::string& indent, std::string& out) {
  for (std::size_t i = 0; i < map.items.size(); ++i) {
    const Node& item = map.items[i];
    out += indent + scalar_text(map.keys[i]) + ":";
    // Two levels of blocks read well; below them flow is shorter.
    if (item.is_map() && !item.items.empty() && indent.size() < 4) {
      out += "\n";
      write_block(item, indent + "  ", out);
      continue;
    }
    out += " ";
    write(item, out);
    out += "\n";
  }
}

}  // namespace

const Node* Node::find(std::string_view key) const {
  for (std::size_t i = 0; i < keys.size() && i < items.size(); ++i) {
    if (keys[i].text == key) return &items[i];
  }
  return nullptr;
}

Node* Node::find(std::string_view key) { return const_cast<Node*>(std::as_const(*this).find(key)); }

std::string describe(const Node& node) {
  switch (node.type) {
    case Node::Type::null:
      return node.text.empty() ? "nothing" : "'" + node.text + "'";
    case Node::Type::scalar:
      return node.quoted ? "the text '" + node.text + "'" : "'" + node.text + "'";
    case Node::Type::list:
      return "a list";
    case Node::Type::map:
      return "a map";
  }
  return "something else";
}

std::string write_yaml(const Node& node) {
  std::string out;
  if (node.is_map() && !node.items.empty()) {
    write_block(node, "", out);
  } else {
    write(node, out);
    out += "\n";
  }
  return out;
}

}  // namespace fathom::sweeps
