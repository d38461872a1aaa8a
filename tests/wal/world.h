// A node's surroundings for the journal's tests: a clock that jumps to the next deadline, a scheduler, and one run of a journal.
#pragma once

#include "base/clock.h"
#include "base/crc32c.h"
#include "broker/wal/journal.h"
#include "tests/wal/memory_disk.h"

namespace sg::wal::test {

struct ManualClock : Clock {
  Time time{1'000'000'000};
  Time now() const override { return time; }
  int64_t wall_ms() const override { return 1'700'000'000'000 + time.ns / 1'000'000; }
};

inline StackPool& stacks() {
  static StackPool pool(256 * 1024);
  return pool;
}

struct World {
  ManualClock clock;
  Scheduler scheduler{clock, stacks()};

  // Runs `body` as a task until it has returned; time jumps from deadline to deadline.
  void run(TaskBody body) {
    bool done = false;
    scheduler.spawn("test", [&](Task& task) {
      body(task);
      done = true;
    });
    for (;;) {
      scheduler.run_ready();
      if (done && scheduler.live() == 0) return;
      Time next = scheduler.next_deadline();
      ENSURE(next != Time::never(), "the test hangs:\n{}", scheduler.describe_tasks());
      clock.time = std::max(clock.time, next);
    }
  }
};

struct Recorder : JournalListener {
  std::map<StreamId, int64_t> ends;
  Tickets durable;
  int calls = 0;
  int failures = 0;
  Signal changed;
  std::function<void()> after;
  void on_durable(std::span<const StreamEnd> changes, Tickets tickets) override {
    ++calls;
    for (const StreamEnd& e : changes) ends[e.stream] = e.durable_end;
    durable = tickets;
    if (after) after();
    changed.notify_all();
  }
  std::vector<StreamId> damaged;
  void on_damaged(std::span<const StreamId> streams, const Error&) override { damaged.assign(streams.begin(), streams.end()); }
  void on_failed(const Error&) override {
    ++failures;
    changed.notify_all();
  }
};

inline Options small_options() {
  Options o;
  o.segment_bytes = 8 * 4096;
  o.first_segment_bytes = 4 * 4096;
  o.tail_cache_bytes = 1 << 20;
  o.budget_bytes = 64 << 20;
  o.lock_wait = 50ms;
  return o;
}

inline ByteVec content(StreamId stream, int64_t first, int64_t epoch, size_t size) {
  ByteVec bytes(size);
  uint64_t x = static_cast<uint64_t>(stream.v * 1'000'003 + first * 7919 + epoch * 31 + 1);
  for (uint8_t& b : bytes) b = static_cast<uint8_t>((x = x * 6364136223846793005u + 1442695040888963407u) >> 56);
  return bytes;
}

inline Append make(StreamId stream, int64_t first, int64_t next, int64_t epoch, size_t size) {
  Append a{stream, first, next, epoch, SharedBytes::copy_of(content(stream, first, epoch, size)), 0, 0, {}};
  a.prefix_bytes = static_cast<uint32_t>(std::min<size_t>(21, size));
  a.body_crc = crc32c(a.payload.span().subspan(a.prefix_bytes));
  uint8_t aux[3] = {1, 2, static_cast<uint8_t>(first)};
  a.aux = Aux(aux);
  return a;
}

// One run of a journal inside a task.
struct Session {
  Task& task;
  Recorder listener;
  TaskGroup group;
  OpenResult opened;

  Session(Task& t, OpenResult result) : task(t), group(t.scheduler()), opened(std::move(result)) { opened.journal->start(group, listener); }
  Journal& journal() { return *opened.journal; }
  Result<> durable(Tickets t) {
    while (listener.durable.metadata < t.metadata || listener.durable.data < t.data) {
      if (journal().failed()) return fail(Errc::io);
      TRY_DO(listener.changed.wait(task));
    }
    return {};
  }
  // Ends the tasks as a kill does: nothing is written any more.
  void abandon() {
    group.stop();
    group.join(task);
  }
  Result<> close() {
    auto closed = opened.journal->close(task);
    group.stop();
    group.join(task);
    return closed;
  }
  const StreamState* state(StreamId id) const {
    for (const StreamState& s : opened.streams)
      if (s.stream == id) return &s;
    return nullptr;
  }
};

inline Result<OpenResult> open(Task& task, disk::Disk& disk, Options options = small_options()) {
  return Journal::open(task, disk, std::move(options), Rng(7), Log());
}

}  // namespace sg::wal::test
