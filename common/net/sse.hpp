// Server-sent events (WHATWG HTML, section 9.2): text lines `id:`, `event:`, `data:` and an empty line. Both ways: the
// coordinator writes them, clients read them. Thread: a parser belongs to one thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace fathom::net {

struct SseEvent {
  std::string id;     // of the newest event that had one; sent back as Last-Event-ID
  std::string event;  // "message" when the stream names none
  std::string data;   // lines joined by '\n'
};

// The bytes of one event. Line breaks in `data` become several data lines; id and event must hold none.
std::string to_text(const SseEvent& event);

// Takes bytes as they come. Comments (heartbeats) are dropped; an event of more than 4 MiB is given up.
class SseParser {
 public:
  // The events that `bytes` completed.
  std::vector<SseEvent> feed(std::string_view bytes);

 private:
  void line(std::string_view text, std::vector<SseEvent>& out);

  std::string rest_;  // an unfinished line
  std::string id_;
  std::string event_;
  std::optional<std::string> data_;
};

}  // namespace fathom::net
