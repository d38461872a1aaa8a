#include "base/poller.h"

#include <limits.h>
#include <unistd.h>

#include <cerrno>

#include "base/ensure.h"

namespace sg {

Result<> Watch::wait(Task& task, Direction direction, Time deadline, const char* what) {
  Side& s = side(direction);
  while (!s.ready && !closed_) {
    arm(direction);
    TRY_DO(s.signal.wait(task, deadline, what));
  }
  if (closed_) return fail(Errc::closed);
  return {};
}

void Watch::close() {
  if (closed_) return;
  closed_ = true;
  unwatch();
  for (Side& s : sides_) s.signal.notify_all();
}

void Watch::set_ready(Direction direction, bool ended) {
  Side& s = side(direction);
  s.ready = true;
  s.ended = s.ended || ended;
  s.signal.notify_all();
}

void BlockingOperation::complete(int64_t value) {
  ENSURE(!done);
  result = value;
  done = true;
  task->wake();
}

int64_t BlockingOperation::perform() const {
  int count = static_cast<int>(pieces.size());
  off_t at = static_cast<off_t>(offset);
  int64_t value = 0;
  switch (kind) {
    case Kind::read: value = ::preadv(fd, pieces.data(), count, at); break;
    case Kind::write: value = ::pwritev2(fd, pieces.data(), count, at, synced ? RWF_DSYNC : 0); break;
    case Kind::sync: value = ::fdatasync(fd); break;
    case Kind::call: return call();
  }
  return value < 0 ? -errno : value;
}

int64_t Poller::await(Task& task, BlockingOperation& operation) {
  ENSURE(operation.pieces.size() <= IOV_MAX, "{} pieces in one call", operation.pieces.size());
  operation.task = &task;
  submit(operation);
  while (!operation.done) task.park("disk", Time::never(), Interruptible::no);
  return operation.result;
}

int64_t Poller::read(Task& task, int fd, uint64_t offset, std::span<const iovec> pieces) {
  BlockingOperation operation;
  operation.kind = BlockingOperation::Kind::read;
  operation.fd = fd;
  operation.offset = offset;
  operation.pieces = pieces;
  return await(task, operation);
}

int64_t Poller::write(Task& task, int fd, uint64_t offset, std::span<const iovec> pieces, bool synced) {
  BlockingOperation operation;
  operation.kind = BlockingOperation::Kind::write;
  operation.synced = synced;
  operation.fd = fd;
  operation.offset = offset;
  operation.pieces = pieces;
  return await(task, operation);
}

int64_t Poller::sync(Task& task, int fd) {
  BlockingOperation operation;
  operation.kind = BlockingOperation::Kind::sync;
  operation.fd = fd;
  return await(task, operation);
}

int64_t Poller::call(Task& task, std::function<int64_t()> call, Helper helper) {
  BlockingOperation operation;
  operation.helper = helper;
  operation.call = std::move(call);
  return await(task, operation);
}

Result<> Poller::next_turn(Task& task) { return next_turn_.wait(task, Time::never(), "the next turn"); }

void Poller::poll(Duration timeout) {
  wait_for_events(next_turn_.has_waiters() ? Duration::zero() : timeout);
  next_turn_.notify_all();
}

}  // namespace sg
