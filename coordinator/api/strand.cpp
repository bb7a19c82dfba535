#include "coordinator/api/strand.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <exception>
#include <iterator>
#include <utility>

namespace fathom::api {

namespace asio = boost::asio;

void Strand::post(std::function<void()> work) {
  {
    const std::lock_guard lock(mutex_);
    queue_.push_back(std::move(work));
    if (std::exchange(busy_, true)) return;
  }
  asio::post(io_, [this] { run(); });
}

bool Strand::here(std::function<void(bool)> work) {
  {
    const std::lock_guard lock(mutex_);
    if (busy_) {
      queue_.emplace_back([work = std::move(work)] { work(false); });
      return false;
    }
    busy_ = true;
  }
  try {
    work(true);
  } catch (...) {
    asio::post(io_, [error = std::current_exception()] { std::rethrow_exception(error); });
  }
  leave({});
  return true;
}

void Strand::run() {
  Queue batch;
  {
    const std::lock_guard lock(mutex_);
    batch.swap(queue_);
  }
  struct Leave {
    Strand& strand;
    Queue& unfinished;
    ~Leave() { strand.leave(std::move(unfinished)); }
  };
  const Leave leaving{*this, batch};
  while (!batch.empty()) {
    const auto work = std::move(batch.front());
    batch.pop_front();
    work();
  }
}

void Strand::leave(Queue unfinished) {
  {
    const std::lock_guard lock(mutex_);
    queue_.insert(queue_.begin(), std::make_move_iterator(unfinished.begin()),
                  std::make_move_iterator(unfinished.end()));
    busy_ = !queue_.empty();
    if (!busy_) return;
  }
  // Not in a loop: timers of the io_context are as old as what waits here.
  asio::post(io_, [this] { run(); });
}

}  // namespace fathom::api
