#include "coordinator/api/handlers.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <utility>

namespace fathom::api {

namespace asio = boost::asio;

void Handlers::here(std::function<void()> work) {
  {
    const std::lock_guard lock(mutex_);
    if (running_ == most_) return waiting_.push_back(std::move(work));
    ++running_;
  }
  struct Leave {
    Handlers& handlers;
    ~Leave() { handlers.leave(); }
  };
  const Leave leaving{*this};
  work();
}

void Handlers::post(std::function<void()> work) {
  asio::post(io_, [this, work = std::move(work)]() mutable { here(std::move(work)); });
}

void Handlers::leave() {
  std::function<void()> next;
  {
    const std::lock_guard lock(mutex_);
    --running_;
    if (waiting_.empty()) return;
    next = std::move(waiting_.front());
    waiting_.pop_front();
  }
  // Not here: who handled its own request does not wait for another's.
  post(std::move(next));
}

}  // namespace fathom::api
