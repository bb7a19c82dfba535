// A file descriptor that is closed at the end of a scope. Close by hand (release()) where the result of close matters.
// Thread: one owner.
#pragma once

#include <unistd.h>

#include <utility>

namespace fathom {

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  [[nodiscard]] int get() const { return fd_; }
  // Not closed by this object any more.
  int release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

}  // namespace fathom
