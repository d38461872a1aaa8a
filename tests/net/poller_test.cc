// The loop: which poller is chosen, sleeping, signals, and blocking calls.
#include "net/poller.h"

#include <doctest/doctest.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <vector>

#include "base/file_descriptor.h"
#include "net/process_signals.h"
#include "tests/net/loop_fixture.h"

namespace sg {

namespace {

using test::Loop;
using test::PollerKind;

class Lines final : public LogSink {
 public:
  bool enabled(LogLevel) const override { return true; }
  void write(LogLevel, std::string_view, std::string_view message) override { lines.emplace_back(message); }
  std::vector<std::string> lines;
};

template <class F>
void on_each_poller(F&& body) {
  for (PollerKind kind : {PollerKind::uring, PollerKind::epoll}) {
    Loop loop(kind);
    if (!loop.have()) continue;
    CAPTURE(loop.poller->name());
    body(loop);
  }
}

int64_t cpu_ns() {
  timespec t{};
  REQUIRE(::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t) == 0);
  return t.tv_sec * 1'000'000'000 + t.tv_nsec;
}

}  // namespace

TEST_CASE("the choice of the poller is one line of the log") {
  Lines lines;
  auto chosen = net::make_poller(net::PollerPreference::automatic, Log(lines, "net"));
  bool have_uring = net::make_uring_poller().has_value();
  CHECK(chosen->name() == (have_uring ? "io_uring" : "epoll"));
  auto forced = net::make_poller(net::PollerPreference::epoll, Log(lines, "net"));
  CHECK(forced->name() == "epoll");
  REQUIRE(lines.lines.size() == 2);
  CHECK(lines.lines[0].find(std::string("kind=") + std::string(chosen->name())) != std::string::npos);
  CHECK(lines.lines[1].find("kind=epoll") != std::string::npos);
}

TEST_CASE("deadlines are met, never early, and waiting for them costs few turns") {
  on_each_poller([](Loop& loop) {
    int turns = 0;
    int woken = 0;
    for (int i = 1; i <= 5; ++i)
      loop.scheduler.spawn("sleeper", [&, i](Task& task) {
        Time deadline = task.now() + i * 3ms + 123us;
        CHECK(task.sleep_until(deadline));
        CHECK(task.now() >= deadline);
        ++woken;
      });
    CHECK(loop.run_until([&] { return ++turns, woken == 5; }));
    CHECK(turns <= 20);
  });
}

TEST_CASE("a loop without events stops at its limit, and idles without CPU") {
  on_each_poller([](Loop& loop) {
    int turns = 0;
    int64_t before = cpu_ns();
    loop.clock.refresh();
    Time limit = loop.clock.now() + 200ms;
    CHECK_FALSE(net::run_event_loop(
        loop.scheduler, *loop.poller, loop.clock, [&] { return ++turns, false; }, limit));
    CHECK(loop.clock.now() >= limit);
    CHECK(turns <= 5);
    CHECK(cpu_ns() - before < 100'000'000);
  });
}

TEST_CASE("the clock stands still within a turn and the wall clock is a clock") {
  on_each_poller([](Loop& loop) {
    loop.run([&](Task& task) {
      Time first = task.now();
      ::usleep(2'000);
      CHECK(task.now() == first);
      CHECK(task.sleep_for(1us));
      CHECK(task.now() - first >= 2ms);
    });
    CHECK(loop.clock.wall_ms() > 1'600'000'000'000);  // after 2020
  });
}

TEST_CASE("SIGTERM and SIGINT come to the task that waits for them") {
  on_each_poller([](Loop& loop) {
    auto signals = net::ProcessSignals::open(*loop.poller);
    REQUIRE(signals);
    loop.run([&](Task& task) {
      CHECK((*signals)->wait(task, task.now() + 5ms).is(Errc::timeout));
      task.scheduler().spawn("sender", [](Task& t) {
        CHECK(t.sleep_for(5ms));
        CHECK(::kill(::getpid(), SIGTERM) == 0);
      });
      CHECK((*signals)->wait(task) == SIGTERM);
      CHECK(::kill(::getpid(), SIGINT) == 0);
      CHECK((*signals)->wait(task) == SIGINT);
      CHECK(::raise(SIGPIPE) == 0);  // ignored
      CHECK((*signals)->wait(task, task.now() + 5ms).is(Errc::timeout));
    });
  });
}

TEST_CASE("blocking calls come back with their values, while other tasks go on") {
  on_each_poller([](Loop& loop) {
    int ticks = 0;
    loop.run([&](Task& task) {
      bool done = false;
      TaskRef ticker = task.scheduler().spawn("ticker", [&](Task& t) {
        while (!done && t.sleep_for(1ms)) ++ticks;
      });
      auto slow = [] {
        ::usleep(30'000);
        return int64_t{42};
      };
      CHECK(loop.poller->call(task, slow) == 42);
      CHECK(ticks > 0);
      CHECK(loop.poller->call(task, [] { return int64_t{-EPERM}; }) == -EPERM);
      done = true;
      while (task.scheduler().alive(ticker)) CHECK(task.sleep_for(1ms));
    });
  });
}

TEST_CASE("a look-up that takes long holds up no call of a file") {
  on_each_poller([](Loop& loop) {
    FileDescriptor fd(::memfd_create("poller", 0));
    REQUIRE(fd);
    int gate[2];
    REQUIRE(::pipe(gate) == 0);
    FileDescriptor opened(gate[0]);
    FileDescriptor opener(gate[1]);
    bool looked_up = false;
    loop.scheduler.spawn("look-up", [&](Task& task) {
      auto slow = [&] {
        char byte;
        return static_cast<int64_t>(::read(opened.get(), &byte, 1));
      };
      CHECK(loop.poller->call(task, slow, Helper::names) == 1);
      looked_up = true;
    });
    loop.run([&](Task& task) {
      CHECK(loop.poller->call(task, [] { return int64_t{7}; }) == 7);
      uint8_t byte = 1;
      iovec piece{&byte, 1};
      CHECK(loop.poller->write(task, fd.get(), 0, {&piece, 1}, true) == 1);
      CHECK(!looked_up);
      CHECK(::write(opener.get(), "x", 1) == 1);
      while (!looked_up) CHECK(task.sleep_for(1ms));
    });
  });
}

TEST_CASE("more requests in one turn than the ring has places") {
  on_each_poller([](Loop& loop) {
    FileDescriptor fd(::memfd_create("poller", 0));
    REQUIRE(fd);
    constexpr int kTasks = 1'000;
    int done = 0;
    for (int i = 0; i < kTasks; ++i)
      loop.scheduler.spawn("writer", [&, i](Task& task) {
        auto byte = static_cast<uint8_t>(i);
        iovec piece{&byte, 1};
        CHECK(loop.poller->write(task, fd.get(), static_cast<uint64_t>(i), {&piece, 1}, false) == 1);
        byte = 0;
        CHECK(loop.poller->read(task, fd.get(), static_cast<uint64_t>(i), {&piece, 1}) == 1);
        CHECK(byte == static_cast<uint8_t>(i));
        ++done;
      });
    CHECK(loop.run_until([&] { return done == kTasks; }));
  });
}

}  // namespace sg
