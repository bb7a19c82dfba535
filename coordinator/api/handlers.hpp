// Handlers of requests, on the threads that carry the connections: a request that was read is handled there and then,
// without a switch of threads. As handlers may block, only so many run at once; the io_context has more threads than
// that, which go on reading, writing and keeping workers' leases meanwhile.
//
// Thread: every method from any thread. Owner: the coordinator; the io_context must be stopped before destruction.
// Bounded by the callers: what waits are open requests and what they led to.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>

namespace boost::asio {
class io_context;
}

namespace fathom::api {

class Handlers {
 public:
  Handlers(boost::asio::io_context& io, std::uint32_t most) : io_(io), most_(most) {}
  Handlers(const Handlers&) = delete;
  Handlers& operator=(const Handlers&) = delete;

  // On this thread, which is one of the io_context's, before it returns; where too many run, as soon as one has ended.
  void here(std::function<void()> work);
  // Never on this thread.
  void post(std::function<void()> work);

 private:
  void leave();

  boost::asio::io_context& io_;
  const std::uint32_t most_;
  std::mutex mutex_;
  std::uint32_t running_ = 0;                  // mutex_
  std::deque<std::function<void()>> waiting_;  // mutex_
};

}  // namespace fathom::api
