#include "tests/unit/coordinator/api_fixture.hpp"

namespace fathom::api {
namespace {

using net::SseEvent;

class EventsTest : public ApiTest {
 protected:
  // Events until `enough` says so; the stream's client gives up after twenty seconds.
  std::vector<SseEvent> collect(const std::string& path, const std::string& last_id,
                                const std::function<bool(const std::vector<SseEvent>&)>& enough,
                                const std::function<void()>& once_open = {}) {
    std::vector<SseEvent> events;
    std::thread act;
    bool opened = false;
    const auto take = [&](std::string_view) {
      // The greeting: from here on nothing is missed.
      if (!opened && once_open) act = std::thread(once_open);
      opened = true;
      return true;
    };
    net::SseParser parser;
    net::Headers headers{{"Accept", "text/event-stream"}};
    if (!last_id.empty()) headers["Last-Event-ID"] = last_id;
    const auto answer = client()->stream(
        path, headers,
        [&](std::string_view bytes) {
          take(bytes);
          for (SseEvent& event : parser.feed(bytes)) events.push_back(std::move(event));
          return !enough(events);
        },
        Millis(20'000));
    if (act.joinable()) act.join();
    EXPECT_TRUE(answer.ok() && answer->status == 200);
    return events;
  }
  static bool has_state(const std::vector<SseEvent>& events, const std::string& type, const std::string& state) {
    return std::any_of(events.begin(), events.end(), [&](const SseEvent& event) {
      return event.event == type && json::parse(event.data)["state"] == state;
    });
  }
};

TEST_F(EventsTest, AStreamShowsWhatHappensAndResumesWhereItBrokeOff) {
  start();
  ASSERT_EQ(submit(2).status, 201);
  const std::string job = get_json("/api/v1/sweeps/tiny/jobs")["items"][0]["id"];
  const auto first = collect(
      "/api/v1/events?sweep=tiny", "",
      [](const auto& events) { return has_state(events, "job", "cancelled") && !events.back().id.empty(); },
      [&] { post("/api/v1/sweeps/tiny/jobs/" + job + "/cancel"); });
  EXPECT_EQ(first.front().event, "sweep") << "the present state comes first";
  const std::string last_id = first.back().id;

  ASSERT_EQ(post("/api/v1/sweeps/tiny/cancel").status, 202);
  const auto second = collect("/api/v1/events?sweep=tiny", last_id, [](const auto& events) {
    return has_state(events, "sweep", "cancelled") && has_state(events, "job", "cancelled");
  });
  for (const SseEvent& event : second) {
    if (event.event != "job") continue;
    EXPECT_NE(json::parse(event.data)["id"], job) << "was seen before the break";
  }
}

TEST_F(EventsTest, OtherSweepsStayOut) {
  start();
  ASSERT_EQ(submit(1, "one").status, 201);
  ASSERT_EQ(submit(1, "two").status, 201);
  const auto events = collect(
      "/api/v1/events?sweep=two", "", [](const auto& seen) { return has_state(seen, "sweep", "cancelled"); },
      [&] {
        post("/api/v1/sweeps/one/cancel");
        post("/api/v1/sweeps/two/cancel");
      });
  for (const SseEvent& event : events) {
    if (event.event != "sweep") continue;
    EXPECT_EQ(json::parse(event.data)["id"], "two");
  }
  EXPECT_EQ(get("/api/v1/events?sweep=three").status, 404);
}

}  // namespace
}  // namespace fathom::api
