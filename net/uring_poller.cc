// The poller on one io_uring: readiness of sockets as one-shot polls, armed when a task waits and submitted with everything else of
// the turn; file reads, writes (a synced one as one request, RWF_DSYNC) and syncs as requests of the same ring. One io_uring_enter
// per turn submits, waits with a timeout and brings the completions. Calls that have no request, or none that this kernel is sure to
// know, go to a helper thread.
//
// Ownership: the kernel holds the address of a PollRequest or of a BlockingOperation until its completion. Poll requests live in a
// slab of the poller and may outlive their Watch; operations live on the stack of a task that is not interrupted.
#include <liburing.h>
#include <poll.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <deque>

#include "base/ensure.h"
#include "base/probe.h"
#include "net/blocking_worker.h"
#include "net/poller.h"

namespace sg::net {

namespace {

constexpr unsigned kSubmissionEntries = 256;
constexpr unsigned kCompletionEntries = 4096;

class UringWatch;

struct alignas(8) PollRequest {
  UringWatch* watch = nullptr;  // none: the watch has ended, the completion is still to come
  Direction direction = Direction::read;
};

// What a completion is for, in the lowest bits of its user_data; the rest is the address (for a worker, its number shifted).
enum class Tag : uint64_t { operation = 0, poll = 1, worker = 2, ignore = 3 };
constexpr uint64_t kTagBits = 2;
constexpr uint64_t kTagMask = (1 << kTagBits) - 1;
static_assert(alignof(BlockingOperation) > kTagMask && alignof(PollRequest) > kTagMask);

uint64_t tagged(const void* address, Tag tag) { return reinterpret_cast<uintptr_t>(address) | static_cast<uint64_t>(tag); }

class UringPoller final : public Poller {
 public:
  UringPoller(const io_uring& ring, Workers workers) : ring_(ring), workers_(std::move(workers)) {
    // Saves a descriptor look-up in each io_uring_enter; kernels that do not know it go on without.
    (void)::io_uring_register_ring_fd(&ring_);
  }
  ~UringPoller() override {
    ENSURE(in_flight_ == 0, "{} file operations in flight", in_flight_);
    ::io_uring_queue_exit(&ring_);
  }

  std::string_view name() const override { return "io_uring"; }
  Result<std::unique_ptr<Watch>> watch(int fd) override;

  PollRequest* arm(UringWatch& watch, int fd, Direction direction);
  void cancel(PollRequest* request);
  // Enters the kernel now, so that cancelled polls let go of their files.
  void flush();

 protected:
  void submit(BlockingOperation& operation) override;
  void wait_for_events(Duration timeout) override;

 private:
  static void check_entered(int rc);
  io_uring_sqe* next_entry();
  void take_completions();  // only marks tasks ready; makes no new requests while it walks over the queue
  void complete(uint64_t user_data, int32_t result);
  void arm_worker(size_t number);

  io_uring ring_;
  Workers workers_;
  std::array<bool, std::tuple_size_v<Workers>> worker_armed_{};
  size_t in_flight_ = 0;
  std::deque<PollRequest> slab_;  // addresses stay
  std::vector<PollRequest*> free_;
};

class UringWatch final : public Watch {
 public:
  UringWatch(UringPoller& poller, int fd) : poller_(poller), fd_(fd) {}
  ~UringWatch() override { unwatch(); }

  void on_ready(Direction direction) {
    armed_[static_cast<size_t>(direction)] = nullptr;
    set_ready(direction);
  }

 protected:
  void arm(Direction direction) override {
    PollRequest*& request = armed_[static_cast<size_t>(direction)];
    if (!request) request = poller_.arm(*this, fd_, direction);
  }
  void unwatch() override {
    bool any = false;
    for (PollRequest*& request : armed_) {
      if (!request) continue;
      poller_.cancel(std::exchange(request, nullptr));
      any = true;
    }
    // A poll holds its file: without this, close() of the descriptor would neither free the port nor tell the peer.
    if (any) poller_.flush();
  }

 private:
  UringPoller& poller_;
  int fd_;
  PollRequest* armed_[2] = {nullptr, nullptr};
};

Result<std::unique_ptr<Watch>> UringPoller::watch(int fd) { return std::make_unique<UringWatch>(*this, fd); }

io_uring_sqe* UringPoller::next_entry() {
  for (;;) {
    if (io_uring_sqe* entry = ::io_uring_get_sqe(&ring_)) return entry;
    // Full: more than kSubmissionEntries requests in one turn. Taking completions makes room where the kernel asks for that first.
    REACHED("net: submission queue full");
    flush();
    take_completions();
  }
}

PollRequest* UringPoller::arm(UringWatch& watch, int fd, Direction direction) {
  if (free_.empty()) {
    slab_.emplace_back();
    free_.push_back(&slab_.back());
  }
  PollRequest* request = free_.back();
  free_.pop_back();
  *request = {&watch, direction};
  io_uring_sqe* entry = next_entry();
  ::io_uring_prep_poll_add(entry, fd, direction == Direction::read ? POLLIN | POLLRDHUP : POLLOUT);
  ::io_uring_sqe_set_data64(entry, tagged(request, Tag::poll));
  return request;
}

void UringPoller::cancel(PollRequest* request) {
  request->watch = nullptr;
  io_uring_sqe* entry = next_entry();
  ::io_uring_prep_poll_remove(entry, tagged(request, Tag::poll));
  ::io_uring_sqe_set_data64(entry, tagged(nullptr, Tag::ignore));
}

void UringPoller::check_entered(int rc) {
  // EAGAIN and EBUSY: short of memory, or completions must be taken first; what was not submitted goes with the next entry.
  ENSURE(rc >= 0 || rc == -ETIME || rc == -EINTR || rc == -EAGAIN || rc == -EBUSY, "io_uring_enter: {}", std::strerror(-rc));
}

void UringPoller::flush() { check_entered(::io_uring_submit_and_get_events(&ring_)); }

void UringPoller::arm_worker(size_t number) {
  if (worker_armed_[number]) return;
  worker_armed_[number] = true;
  io_uring_sqe* entry = next_entry();
  ::io_uring_prep_poll_add(entry, workers_[number]->event_fd(), POLLIN);
  ::io_uring_sqe_set_data64(entry, number << kTagBits | static_cast<uint64_t>(Tag::worker));
}

void UringPoller::submit(BlockingOperation& operation) {
  if (operation.kind == BlockingOperation::Kind::call) {
    worker_of(workers_, operation).submit(operation);
    arm_worker(static_cast<size_t>(operation.helper));
    return;
  }
  io_uring_sqe* entry = next_entry();
  auto pieces = static_cast<unsigned>(operation.pieces.size());
  switch (operation.kind) {
    case BlockingOperation::Kind::read:
      ::io_uring_prep_readv(entry, operation.fd, operation.pieces.data(), pieces, operation.offset);
      break;
    case BlockingOperation::Kind::write:
      ::io_uring_prep_writev2(entry, operation.fd, operation.pieces.data(), pieces, operation.offset, operation.synced ? RWF_DSYNC : 0);
      break;
    case BlockingOperation::Kind::sync: ::io_uring_prep_fsync(entry, operation.fd, IORING_FSYNC_DATASYNC); break;
    case BlockingOperation::Kind::call: break;
  }
  ::io_uring_sqe_set_data64(entry, tagged(&operation, Tag::operation));
  ++in_flight_;
}

void UringPoller::wait_for_events(Duration timeout) {
  if (timeout <= Duration::zero()) {
    flush();
  } else if (timeout == Duration::max()) {
    check_entered(::io_uring_submit_and_wait(&ring_, 1));
  } else {
    __kernel_timespec ts{.tv_sec = timeout.count() / 1'000'000'000, .tv_nsec = timeout.count() % 1'000'000'000};
    io_uring_cqe* first = nullptr;
    check_entered(::io_uring_submit_and_wait_timeout(&ring_, &first, 1, &ts, nullptr));
  }
  take_completions();
}

void UringPoller::take_completions() {
  unsigned head = 0;
  unsigned taken = 0;
  io_uring_cqe* completion = nullptr;
  io_uring_for_each_cqe(&ring_, head, completion) {
    complete(completion->user_data, completion->res);
    ++taken;
  }
  ::io_uring_cq_advance(&ring_, taken);
  for (size_t i = 0; i < workers_.size(); ++i)
    if (workers_[i]->in_flight() > 0) arm_worker(i);
}

void UringPoller::complete(uint64_t user_data, int32_t result) {
  auto address = static_cast<uintptr_t>(user_data & ~kTagMask);
  switch (static_cast<Tag>(user_data & kTagMask)) {
    case Tag::operation:
      ENSURE(in_flight_ > 0);
      --in_flight_;
      reinterpret_cast<BlockingOperation*>(address)->complete(result);
      break;
    case Tag::poll: {
      auto* request = reinterpret_cast<PollRequest*>(address);
      // An error of the poll itself counts as ready: the system call says what is wrong.
      if (request->watch) std::exchange(request->watch, nullptr)->on_ready(request->direction);
      free_.push_back(request);
      break;
    }
    case Tag::worker:
      worker_armed_[address >> kTagBits] = false;
      workers_[address >> kTagBits]->complete_finished();
      break;
    case Tag::ignore: break;
  }
}

}  // namespace

Result<std::unique_ptr<Poller>> make_uring_poller() {
  // From the best to what every kernel with io_uring knows. With DEFER_TASKRUN completions are worked on only when this thread
  // asks for them (Linux 6.1): no interruptions in the middle of a turn.
  constexpr unsigned kFlags[] = {IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN, IORING_SETUP_COOP_TASKRUN, 0};
  io_uring ring{};
  io_uring_params params{};
  int rc = -EINVAL;
  for (unsigned flags : kFlags) {
    params = {};
    params.flags = flags | IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP;
    params.cq_entries = kCompletionEntries;
    rc = ::io_uring_queue_init_params(kSubmissionEntries, &ring, &params);
    if (rc != -EINVAL) break;
  }
  if (rc < 0) return fail(Errc::unsupported, fmt::format("io_uring_setup: {}", std::strerror(-rc)));
  constexpr unsigned kNeeded = IORING_FEAT_NODROP | IORING_FEAT_SUBMIT_STABLE | IORING_FEAT_EXT_ARG;
  if ((params.features & kNeeded) != kNeeded) {
    ::io_uring_queue_exit(&ring);
    return fail(Errc::unsupported, "this kernel's io_uring is too old (Linux 5.11 is the first that will do)");
  }
  auto workers = make_workers();
  if (!workers) {
    ::io_uring_queue_exit(&ring);
    return std::unexpected(std::move(workers).error());
  }
  return std::make_unique<UringPoller>(ring, std::move(*workers));
}

}  // namespace sg::net
