// Work that runs one after the other, in the order in which it came. Whoever brings some while nobody is in it may run
// it on its own thread: two switches of threads less for what takes a few microseconds.
//
// Thread: every method from any thread. Owner: Runtime; the io_context must be stopped before destruction. An exception
// of the work leaves the io_context's run(), whichever thread it ran on; what waits behind it still runs.
#pragma once

#include <deque>
#include <functional>
#include <mutex>

namespace boost::asio {
class io_context;
}

namespace fathom::api {

class Strand {
 public:
  explicit Strand(boost::asio::io_context& io) : io_(io) {}
  Strand(const Strand&) = delete;
  Strand& operator=(const Strand&) = delete;

  // On a thread of the io_context.
  void post(std::function<void()> work);
  // `work(true)` on this thread before it returns true, where nothing runs or waits; else `work(false)` as by post().
  bool here(std::function<void(bool)> work);

 private:
  using Queue = std::deque<std::function<void()>>;
  void run();
  void leave(Queue unfinished);

  boost::asio::io_context& io_;
  std::mutex mutex_;
  Queue queue_;        // mutex_
  bool busy_ = false;  // mutex_: somebody is in it, or run() is on its way
};

}  // namespace fathom::api
