// A connection whose peer is a script: reads yield the given chunks one by one, then the end of the stream, an error or silence; what is
// written is kept. And a scheduler to run tasks against it.
#pragma once

#include <algorithm>
#include <deque>
#include <initializer_list>

#include "base/sync.h"
#include "net/network.h"
#include "tests/base/manual_clock.h"

namespace sg::broker::testing {

class ScriptConnection final : public net::Connection {
 public:
  enum class AtEnd { finished, reset, silence };

  void chunk(ByteSpan bytes) {
    chunks_.emplace_back(bytes.begin(), bytes.end());
    changed_.notify_all();
  }
  // What comes when all chunks have been read.
  void then(AtEnd end) {
    at_end_ = end;
    changed_.notify_all();
  }

  Result<size_t> read(Task& task, MutableByteSpan into, Time deadline) override {
    ENSURE(!into.empty(), "read into nothing");
    ++reads;
    while (!closed && chunks_.empty() && at_end_ == AtEnd::silence) TRY_DO(changed_.wait(task, deadline, "script"));
    if (closed) return fail(Errc::closed);
    if (chunks_.empty()) {
      if (at_end_ == AtEnd::reset) return fail(Errc::reset);
      return 0;
    }
    ByteVec& front = chunks_.front();
    size_t n = std::min(front.size(), into.size());
    std::copy_n(front.begin(), n, into.begin());
    front.erase(front.begin(), front.begin() + static_cast<std::ptrdiff_t>(n));
    if (front.empty()) chunks_.pop_front();
    return n;
  }
  using Connection::write;
  Result<> write(Task& task, std::span<const ByteSpan> pieces, Time deadline) override {
    while (!closed && takes_nothing) TRY_DO(changed_.wait(task, deadline, "script"));
    if (closed) return fail(Errc::closed);
    if (refuse_writes) return fail(Errc::reset);
    for (ByteSpan piece : pieces) written.insert(written.end(), piece.begin(), piece.end());
    return {};
  }
  void close() override {
    closed = true;
    changed_.notify_all();
  }
  void give_up_after(Duration) override {}
  net::Address peer() const override { return {"script", 1}; }

  ByteVec written;
  size_t reads = 0;
  bool closed = false;
  bool refuse_writes = false;
  bool takes_nothing = false;  // writes wait until take()
  void take() {
    takes_nothing = false;
    changed_.notify_all();
  }

 private:
  std::deque<ByteVec> chunks_;
  AtEnd at_end_ = AtEnd::silence;
  Signal changed_;
};

// A frame as it stands in the stream.
inline ByteVec framed(ByteSpan body) {
  ByteVec out;
  ByteWriter w(out);
  w.be<int32_t>(static_cast<int32_t>(body.size()));
  w.bytes(body);
  return out;
}
inline ByteVec framed(std::string_view body) { return framed(as_bytes(body)); }

inline ByteVec joined(std::initializer_list<ByteVec> parts) {
  ByteVec all;
  for (const ByteVec& part : parts) all.insert(all.end(), part.begin(), part.end());
  return all;
}

struct World {
  test::ManualClock clock;
  StackPool stacks;
  Scheduler scheduler{clock, stacks};

  // Runs `body` as a task until nothing is left to do.
  void run(TaskBody body) {
    scheduler.spawn("test", std::move(body));
    test::run_all(scheduler, clock);
  }
};

}  // namespace sg::broker::testing
