// Property: whatever is asked of the journal and wherever it dies, the next start finds, in each lane, the state after some request
// that is not older than the last one reported durable; finds it again a second time; and never calls it damage.
#include <doctest/doctest.h>
#include <rapidcheck.h>

#include "tests/wal/world.h"

using namespace sg;
using namespace sg::wal;
using namespace sg::wal::test;

namespace {

constexpr StreamId kStreams[] = {kRaftLog, StreamId{16}, StreamId{17}, StreamId{18}};

// The dumb twin: a list of entries per stream, copied after every request.
struct TwinEntry {
  int64_t first, next, epoch;
  size_t size;
  bool operator==(const TwinEntry&) const = default;
};
struct TwinStream {
  int64_t start = 0;
  int64_t end = 0;
  std::vector<TwinEntry> entries;
};
using TwinLane = std::map<StreamId, TwinStream>;

struct Twin {
  // states[t]: after request t of the lane; [0]: at the start of the run.
  std::vector<TwinLane> metadata{{}}, data{{}};
  std::vector<HardState> hard_states{{}};

  std::vector<TwinLane>& lane(StreamId s) { return is_metadata(s) ? metadata : data; }
  TwinStream& next_state(StreamId s) {
    auto& states = lane(s);
    states.push_back(states.back());
    if (is_metadata(s)) hard_states.push_back(hard_states.back());
    return states.back()[s];
  }
  void restart(size_t metadata_at, size_t data_at) {
    metadata = {metadata[metadata_at]};
    hard_states = {hard_states[metadata_at]};
    data = {data[data_at]};
  }
};

TwinLane observed(Journal& journal, bool metadata) {
  TwinLane lane;
  for (StreamId s : kStreams) {
    if (is_metadata(s) != metadata) continue;
    TwinStream t;
    for (const Entry& e : journal.entries(s, 0)) t.entries.push_back({e.first, e.next, e.epoch, e.bytes});
    t.start = journal.start_of(s);
    t.end = journal.end_of(s);
    lane[s] = t;
  }
  return lane;
}

bool same(const TwinLane& twin, const TwinLane& seen) {
  for (const auto& [id, t] : seen) {
    auto at = twin.find(id);
    TwinStream expected = at == twin.end() ? TwinStream() : at->second;
    if (expected.entries != t.entries) return false;
    // An empty log of Raft that was truncated to its first index may say 0 or 1.
    if (t.entries.empty() && id == kRaftLog && expected.end <= 1 && t.end <= 1) continue;
    if (expected.end != t.end || (id != kRaftLog && expected.start != t.start)) return false;
  }
  return true;
}

struct Collector : LogSink {
  std::string text;
  bool enabled(LogLevel level) const override { return level >= LogLevel::warn; }
  void write(LogLevel, std::string_view, std::string_view message) override { text += "\n" + std::string(message); }
};

class Simulation {
 public:
  explicit Simulation(uint64_t seed) : rng_(seed) {
    options_ = small_options();
    options_.first_segment_bytes = options_.segment_bytes = rng_.chance(1, 2) ? 4096 : 6 * 4096;
    options_.tail_cache_bytes = rng_.chance(1, 2) ? 0 : 1 << 20;
    options_.max_commit_bytes = rng_.chance(1, 2) ? 6000 : 1 << 20;
  }

  void run() {
    for (int round = 0; round < 5; ++round) {
      bool crash_early = rng_.chance(1, 3);  // also inside recovery
      disk_.crash_at = static_cast<uint64_t>(crash_early ? rng_.between(1, 6) : rng_.between(5, 60));
      reported_ = {};
      world_.run([&](Task& task) { one_run(task); });
      if (rng_.chance(1, 3))
        disk_.kill();
      else
        disk_.power_cut(rng_);
      if (!failure_.empty()) break;
    }
    RC_ASSERT(failure_ == "");
    world_.run([&](Task& task) {
      auto result = Journal::open(task, disk_, options_, Rng(7), Log(log_, "journal"));
      expect(result.has_value(), result ? "" : "open: " + result.error().what);
      if (!result) return;
      check_recovered(task, *result);
    });
    RC_ASSERT(failure_ == "");
  }

 private:
  // An assertion that throws would have to leave a fiber: the first failure is remembered instead, and ends the run.
  void expect(bool good, const std::string& what) {
    if (!good && failure_.empty()) failure_ = what;
  }

  static std::string describe(const TwinLane& lane) {
    std::string text;
    for (const auto& [id, t] : lane) {
      text += fmt::format(" {}: start {} end {}", id, t.start, t.end);
      for (const TwinEntry& e : t.entries) text += fmt::format(" [{},{})@{}", e.first, e.next, e.epoch);
    }
    return text;
  }

  void one_run(Task& task) {
    auto result = Journal::open(task, disk_, options_, Rng(7), Log(log_, "journal"));
    if (!result) {
      expect(result.is(Errc::stopped), "open: " + result.error().what);
      return;
    }
    check_recovered(task, *result);
    Session run(task, std::move(*result));
    while (!disk_.dead && !run.journal().failed()) {
      request(run.journal());
      if (rng_.chance(1, 3)) (void)task.sleep_for(Duration(rng_.between(1, 15'000'000)));
      reported_ = run.listener.durable;
    }
    reported_ = run.listener.durable;
    run.abandon();
  }

  void request(Journal& journal) {
    StreamId s = kStreams[rng_.below(4)];
    const TwinLane& lane = twin_.lane(s).back();
    TwinStream now = lane.contains(s) ? lane.at(s) : TwinStream();
    int64_t last_epoch = now.entries.empty() ? 0 : now.entries.back().epoch;
    uint64_t what = rng_.below(10);
    if (what == 0 && !now.entries.empty()) {
      int64_t cut = now.entries[rng_.below(now.entries.size())].first;
      cut = std::max(cut, now.start);
      journal.truncate(s, cut, last_epoch);
      TwinStream& t = twin_.next_state(s);
      while (!t.entries.empty() && t.entries.back().next > cut) t.entries.pop_back();
      t.end = t.entries.empty() ? t.start : t.entries.back().next;
    } else if (what <= 2 && now.end > 0) {
      int64_t start = rng_.chance(1, 4) ? now.end : rng_.between(now.start, now.end);
      journal.advance_start(s, start);
      TwinStream& t = twin_.next_state(s);
      std::erase_if(t.entries, [&](const TwinEntry& e) { return e.next <= start; });
      t.start = start;
      if (t.entries.empty()) t.end = t.start;
    } else if (what == 3 && is_metadata(s)) {
      HardState h{Term{static_cast<int64_t>(rng_.below(1000))}, NodeId{static_cast<int32_t>(rng_.below(3))}};
      journal.set_hard_state(h);
      twin_.next_state(s);
      twin_.hard_states.back() = h;
    } else if (what == 4) {
      journal.set_mark(s, now.end);
    } else {
      int64_t first = s == kRaftLog && now.end == 0 ? 1 : now.end;
      int64_t next = first + (s == kRaftLog ? 1 : rng_.between(1, 5));
      epochs_ += static_cast<int64_t>(rng_.below(2));
      size_t size = static_cast<size_t>(rng_.log_between(1, 9000));
      journal.append(make(s, first, next, epochs_, size));
      TwinStream& t = twin_.next_state(s);
      if (t.entries.empty() && s == kRaftLog) t.start = first;
      t.entries.push_back({first, next, epochs_, size});
      t.end = next;
    }
  }

  // Which request the recovered state follows.
  size_t find_state(const std::vector<TwinLane>& states, const TwinLane& seen, uint64_t at_least, const HardState* hard) {
    for (size_t i = at_least; i < states.size(); ++i)
      if (same(states[i], seen) && (!hard || twin_.hard_states[i] == *hard)) return i;
    expect(false, fmt::format("the recovered log is none of requests {}..{}: {}", at_least, states.size() - 1, describe(seen)));
    return states.size() - 1;
  }

  void check_recovered(Task& task, OpenResult& result) {
    std::string damage;
    for (const StreamState& stream : result.streams)
      if (stream.damaged)
        damage += fmt::format(" stream {} [{}, {}) with {} holes", stream.stream, stream.start, stream.end, stream.holes.size());
    expect(result.start != StartKind::damaged, "a crash was taken for damage:" + damage + log_.text);
    Journal& journal = *result.journal;
    size_t m = find_state(twin_.metadata, observed(journal, true), reported_.metadata, &result.hard_state);
    size_t d = find_state(twin_.data, observed(journal, false), reported_.data, nullptr);
    twin_.restart(m, d);
    reported_ = {};
    for (StreamId s : kStreams) read_all(task, journal, s);
    if (disk_.dead) return;
    auto copy = disk_.clone();
    auto again = open(task, *copy, options_);
    expect(again.has_value(), "the second start fails");
    if (!again) return;
    expect(again->streams == result.streams && again->hard_state == result.hard_state, "the second start finds something else");
    expect(again->run.counter > result.run.counter, "an incarnation comes twice");
  }

  void read_all(Task& task, Journal& journal, StreamId s) {
    for (int64_t at = journal.start_of(s); at < journal.end_of(s);) {
      auto batches = journal.read(task, s, at, 5000, true);
      bool readable = batches && !batches->empty();
      expect(readable, fmt::format("stream {} cannot be read at {}", s, at));
      if (!readable) return;
      for (const ReadBatch& b : *batches)
        expect(equal(b.payload, content(s, b.first, b.epoch, b.payload.size())), fmt::format("stream {}: wrong bytes at {}", s, b.first));
      at = batches->back().next;
    }
  }

  Rng rng_;
  Options options_;
  World world_;
  MemoryDisk disk_;
  Twin twin_;
  Tickets reported_;
  int64_t epochs_ = 0;
  std::string failure_;
  Collector log_;
};

}  // namespace

TEST_CASE("given random requests and a crash at any operation, then recovery loses nothing that was reported durable") {
  CHECK(rc::check([](uint64_t seed) {
    for (uint64_t i = 0; i < 3; ++i) Simulation(seed + i).run();
  }));
}
