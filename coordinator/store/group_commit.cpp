#include "coordinator/store/group_commit.hpp"

#include <chrono>
#include <iterator>

#include <spdlog/spdlog.h>

#include "common/thread_name.hpp"

namespace fathom::store {
namespace {

// Bounds the memory and the length of one transaction; what waits comes in the next.
constexpr std::size_t kMaxGroup = 4096;

}  // namespace

GroupCommit::GroupCommit(Database database, GroupCommitOptions options)
    : options_(std::move(options)), database_(std::move(database)) {
  if (!options_.later)
    thread_ = std::thread([this] {
      name_thread("commit " + options_.name);
      run();
    });
}

GroupCommit::~GroupCommit() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

void GroupCommit::add(GroupItem item, bool wake) {
  std::vector<GroupItem> refused;
  std::optional<Error> error;
  {
    const std::lock_guard lock(mutex_);
    if (!broken_) {
      queue_.push_back(std::move(item));
      called_ = called_ || wake;
    } else {
      error = broken_;
      refused.push_back(std::move(item));
    }
  }
  if (error) {
    answer(std::move(refused), *error, options_.hooks.executor);
  } else if (options_.later) {
    ask();
  } else if (wake) {
    wake_.notify_one();
  }
}

void GroupCommit::commit_here(const Executor& executor) {
  {
    const std::lock_guard lock(mutex_);
    if (writing_ || queue_.empty() || full_ || stopping_ || broken_ || options_.later) return;
    writing_ = true;
  }
  if (take_work()) write_group(executor);
  leave();
}

// Without a thread: one transaction is asked for while there is something to write.
void GroupCommit::ask() {
  if (asked_) return;
  asked_ = true;
  options_.later(full_ ? options_.retry : Millis{0}, [this] {
    asked_ = false;
    if (take_work() && write_group(options_.hooks.executor) && (full_ || queued() != 0)) ask();
  });
}

std::size_t GroupCommit::queued() {
  const std::lock_guard lock(mutex_);
  return queue_.size();
}

Status GroupCommit::read(const std::function<Status(Database&)>& use) {
  const std::lock_guard lock(database_mutex_);
  return use(database_);
}

// False: nothing is left and the store is closing. Else group_ has something to write.
bool GroupCommit::wait_for_work() {
  {
    std::unique_lock lock(mutex_);
    if (full_) wake_.wait_for(lock, options_.retry, [this] { return stopping_; });
    wake_.wait(lock, [this] { return !writing_ && (stopping_ || (called_ && !queue_.empty()) || !group_.empty()); });
    writing_ = true;
    if (options_.linger.count() > 0 && !stopping_) wake_.wait_for(lock, options_.linger, [this] { return stopping_; });
  }
  return take_work();
}

// Moves what is queued into group_, behind what a full disk has left there. False: there is nothing.
bool GroupCommit::take_work() {
  const std::lock_guard lock(mutex_);
  const std::size_t room = kMaxGroup > group_.size() ? kMaxGroup - group_.size() : 0;
  const std::size_t take = std::min(room, queue_.size());
  const auto end = queue_.begin() + static_cast<std::ptrdiff_t>(take);
  group_.insert(group_.end(), std::make_move_iterator(queue_.begin()), std::make_move_iterator(end));
  queue_.erase(queue_.begin(), end);
  called_ = called_ && !queue_.empty();
  return !group_.empty();
}

// The group is anybody's again.
void GroupCommit::leave() {
  bool more = false;
  {
    const std::lock_guard lock(mutex_);
    writing_ = false;
    more = stopping_ || !queue_.empty() || !group_.empty();
    called_ = called_ || more;
  }
  if (more) wake_.notify_one();
}

void GroupCommit::run() {
  bool going = true;
  while (going) {
    going = wait_for_work() && write_group(options_.hooks.executor);
    leave();
  }
}

// One transaction. False: nothing will be written any more.
bool GroupCommit::write_group(const Executor& executor) {
  const auto begin = std::chrono::steady_clock::now();
  const Status status = transaction();
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  if (status) {
    set_full(success());
    finish(took.count(), executor);
    return true;
  }
  if (status.error().code != Errc::resource_exhausted) {
    fatal(status.error(), executor);
    return false;
  }
  set_full(status.error());
  Error closed;
  {
    const std::lock_guard lock(mutex_);
    if (!stopping_) return true;
    closed = {Errc::unavailable, options_.name + " closed while the disk was full: " + status.error().message};
    broken_ = closed;
    std::move(queue_.begin(), queue_.end(), std::back_inserter(group_));
    queue_.clear();
  }
  // Never acknowledged.
  answer(std::exchange(group_, {}), closed, executor);
  return false;
}

Status GroupCommit::transaction() {
  const std::lock_guard lock(database_mutex_);
  Status status = database_.run("BEGIN IMMEDIATE");
  for (auto item = group_.begin(); status && item != group_.end(); ++item) status = item->write(database_);
  if (status) status = database_.run("COMMIT");
  // A failed COMMIT may or may not have left the transaction open.
  if (!status && database_.in_transaction()) {
    if (const Status undone = database_.execute("ROLLBACK"); !undone) return undone;
  }
  return status;
}

void GroupCommit::finish(double seconds, const Executor& executor) {
  CommitStats stats;
  stats.seconds = seconds;
  stats.queued = queued();
  for (const GroupItem& item : group_) {
    stats.events += item.events;
    stats.bytes += item.bytes;
  }
  if (options_.committed) options_.committed();
  if (options_.hooks.on_commit) options_.hooks.on_commit(stats);
  std::vector<GroupItem> durable = std::exchange(group_, {});
  group_.reserve(durable.size());
  answer(std::move(durable), success(), executor);
}

void GroupCommit::set_full(const Status& status) {
  const bool full = !status;
  if (full_.exchange(full) == full) return;
  if (full) {
    spdlog::error("{}: the disk is full, nothing is lost, trying again: {}", options_.name, status.error().message);
  } else {
    spdlog::info("{}: the disk has space again", options_.name);
  }
  if (options_.hooks.on_health) options_.hooks.on_health(status);
}

void GroupCommit::fatal(const Error& error, const Executor& executor) {
  const Error broken{error.code == Errc::corrupt ? Errc::corrupt : Errc::unavailable,
                     options_.name + " cannot be written, nothing more is acknowledged: " + error.message +
                         "; check the disk and restart the coordinator"};
  {
    const std::lock_guard lock(mutex_);
    broken_ = broken;
    std::move(queue_.begin(), queue_.end(), std::back_inserter(group_));
    queue_.clear();
  }
  spdlog::critical("{}", broken.message);
  if (options_.hooks.on_fatal) options_.hooks.on_fatal(broken);
  answer(std::exchange(group_, {}), broken, executor);
}

// One task for the whole group: the executor then runs the callbacks in order without a hop for each.
void GroupCommit::answer(std::vector<GroupItem> items, const Status& status, const Executor& executor) {
  auto task = [items = std::make_shared<std::vector<GroupItem>>(std::move(items)), status] {
    for (const GroupItem& item : *items) {
      if (item.done) item.done(status);
    }
  };
  if (executor) {
    executor(std::move(task));
  } else {
    task();
  }
}

}  // namespace fathom::store
