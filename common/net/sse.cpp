#include "common/net/sse.hpp"

namespace fathom::net {
namespace {

constexpr std::size_t kEventLimit = std::size_t{4} << 20;

}  // namespace

std::string to_text(const SseEvent& event) {
  std::string text;
  text.reserve(event.data.size() + 64);
  if (!event.id.empty()) text += "id: " + event.id + "\n";
  if (!event.event.empty()) text += "event: " + event.event + "\n";
  std::string_view data = event.data;
  while (true) {
    const auto end = data.find('\n');
    text += "data: ";
    text += data.substr(0, end);
    text += '\n';
    if (end == std::string_view::npos) break;
    data.remove_prefix(end + 1);
  }
  return text + "\n";
}

std::vector<SseEvent> SseParser::feed(std::string_view bytes) {
  std::vector<SseEvent> out;
  rest_ += bytes;
  std::size_t begin = 0;
  for (auto end = rest_.find('\n'); end != std::string::npos; end = rest_.find('\n', begin)) {
    std::string_view text(rest_.data() + begin, end - begin);
    if (text.ends_with('\r')) text.remove_suffix(1);
    line(text, out);
    begin = end + 1;
  }
  rest_.erase(0, begin);
  if (rest_.size() > kEventLimit) rest_.clear();
  return out;
}

void SseParser::line(std::string_view text, std::vector<SseEvent>& out) {
  if (text.empty()) {
    if (data_) out.push_back({id_, event_.empty() ? "message" : event_, std::move(*data_)});
    data_.reset();
    event_.clear();
    return;
  }
  const auto colon = text.find(':');
  if (colon == 0) return;  // a comment
  const std::string_view field = text.substr(0, colon);
  std::string_view value = colon == std::string_view::npos ? std::string_view{} : text.substr(colon + 1);
  if (value.starts_with(' ')) value.remove_prefix(1);
  if (field == "id") {
    id_ = value;
  } else if (field == "event") {
    event_ = value;
  } else if (field == "data") {
    data_ = data_ ? *data_ + "\n" + std::string(value) : std::string(value);
    if (data_->size() > kEventLimit) data_->clear();
  }
}

}  // namespace fathom::net
