#include "sweeps/file/report.hpp"

#include <algorithm>
#include <functional>
#include <tuple>

namespace fathom::sweeps {

std::uint32_t Report::add_source(std::string name, std::string text) {
  sources_.push_back({std::move(name), std::move(text)});
  return static_cast<std::uint32_t>(sources_.size() - 1);
}

void Report::error(const Mark& at, std::string message) {
  ++told_;
  // The same key read twice (root `train` is merged into several stages) is one mistake.
  for (const Located& known : errors_) {
    if (known.at.source == at.source && known.at.line == at.line && known.at.column == at.column &&
        known.message == message) {
      return;
    }
  }
  if (errors_.size() < kMaxErrors) {
    errors_.push_back({at, std::move(message)});
  } else {
    further_.insert(std::hash<std::string>()(std::to_string(at.source) + ":" + std::to_string(at.line) + ":" +
                                             std::to_string(at.column) + ":" + message));
  }
}

std::string Report::line_text(const Mark& at) const {
  const std::string& text = sources_[at.source].text;
  std::size_t start = 0;
  for (std::uint32_t line = 1; line < at.line; ++line) {
    const std::size_t end = text.find('\n', start);
    if (end == std::string::npos) return "";
    start = end + 1;
  }
  std::string found = text.substr(start, text.find('\n', start) - start);
  if (!found.empty() && found.back() == '\r') found.pop_back();
  return found;
}

std::vector<Diagnostic> Report::take() {
  std::stable_sort(errors_.begin(), errors_.end(), [](const Located& a, const Located& b) {
    return std::tie(a.at.source, a.at.line, a.at.column) < std::tie(b.at.source, b.at.line, b.at.column);
  });
  std::vector<Diagnostic> out;
  for (Located& error : errors_) {
    out.push_back({name(error.at.source), static_cast<int>(error.at.line), static_cast<int>(error.at.column),
                   static_cast<int>(error.at.length), std::move(error.message), line_text(error.at)});
  }
  errors_.clear();
  return out;
}

namespace {

// Code points of UTF-8 bytes: everything but continuation bytes. A tab is shown as one blank so that carets line up.
std::string shown(const std::string& text, std::size_t& width) {
  std::string out;
  width = 0;
  for (const char c : text) {
    out += c == '\t' ? ' ' : c;
    if ((static_cast<unsigned char>(c) & 0xC0) != 0x80) ++width;
  }
  return out;
}

}  // namespace

std::string more_mistakes(std::size_t count) {
  return "and " + std::to_string(count) + (count == 1 ? " more mistake" : " more mistakes");
}

std::string render(const Diagnostic& diagnostic) {
  std::string out = diagnostic.file + ":" + std::to_string(diagnostic.line) + ":" + std::to_string(diagnostic.column) +
                    ": error: " + diagnostic.message;
  if (diagnostic.text.empty()) return out;
  std::size_t width = 0;
  const std::string line = shown(diagnostic.text, width);
  const std::size_t before = static_cast<std::size_t>(std::max(diagnostic.column, 1) - 1);
  if (before > width) return out + "\n  " + line;
  const std::size_t room = std::max<std::size_t>(width - before, 1);
  const std::size_t carets = std::min<std::size_t>(static_cast<std::size_t>(std::max(diagnostic.length, 1)), room);
  return out + "\n  " + line + "\n  " + std::string(before, ' ') + std::string(carets, '^');
}

}  // namespace fathom::sweeps
