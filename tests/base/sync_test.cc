// base/sync.h: signals, mailboxes and task groups.
#include "base/sync.h"

#include <doctest/doctest.h>

#include "tests/base/manual_clock.h"

namespace {

using namespace sg;
using sg::test::ManualClock;
using sg::test::run_all;

struct Fixture {
  ManualClock clock;
  StackPool stacks;
  Scheduler scheduler{clock, stacks};
  std::vector<std::string> log;
};

TEST_CASE_FIXTURE(Fixture, "signal: notify_one wakes the first that came, notify_all the rest in order") {
  Signal signal;
  for (const char* name : {"a", "b", "c"})
    scheduler.spawn(name, [&](Task& t) {
      CHECK(signal.wait(t).has_value());
      log.emplace_back(t.name());
    });
  scheduler.run_ready();
  signal.notify_one();
  scheduler.run_ready();
  CHECK(log == std::vector<std::string>{"a"});
  signal.notify_all();
  CHECK_FALSE(signal.has_waiters());
  scheduler.run_ready();
  CHECK(log == std::vector<std::string>{"a", "b", "c"});
}

TEST_CASE_FIXTURE(Fixture, "signal: it remembers nothing") {
  Signal signal;
  signal.notify_all();
  scheduler.spawn("t", [&](Task& t) { CHECK(signal.wait(t, t.now() + 1ms).is(Errc::timeout)); });
  scheduler.run_ready();
  CHECK(signal.has_waiters());
  run_all(scheduler, clock);
  CHECK_FALSE(signal.has_waiters());
}

TEST_CASE_FIXTURE(Fixture, "signal: whoever gives up leaves the queue intact, from its middle and its ends") {
  for (int quitter = 0; quitter < 3; ++quitter) {
    Signal signal;
    std::vector<int> woken;
    for (int i = 0; i < 3; ++i)
      scheduler.spawn("t", [&, i](Task& t) {
        if (signal.wait(t, i == quitter ? t.now() + 1ms : Time::never())) woken.push_back(i);
      });
    scheduler.run_ready();
    clock.advance(1ms);
    scheduler.run_ready();
    signal.notify_all();
    scheduler.run_ready();
    CHECK(woken.size() == 2);
    CHECK(std::is_sorted(woken.begin(), woken.end()));
  }
}

TEST_CASE_FIXTURE(Fixture, "signal: a notification wins over a stop or a deadline that comes after it in the same turn") {
  Signal signal;
  TaskRef ref = scheduler.spawn("t", [&](Task& t) {
    CHECK(signal.wait(t, t.now() + 1ms).has_value());
    log.emplace_back("notified");
  });
  scheduler.run_ready();
  signal.notify_one();
  scheduler.request_stop(ref);
  clock.advance(1ms);
  scheduler.run_ready();
  CHECK(log == std::vector<std::string>{"notified"});
}

TEST_CASE_FIXTURE(Fixture, "signal: a stop ends the wait unless it may not be interrupted") {
  Signal signal;
  TaskRef yes = scheduler.spawn("yes", [&](Task& t) { CHECK(signal.wait(t).is(Errc::stopped)); });
  TaskRef no = scheduler.spawn("no", [&](Task& t) { CHECK(signal.wait(t, Time::never(), "x", Interruptible::no).has_value()); });
  scheduler.run_ready();
  scheduler.request_stop(yes);
  scheduler.request_stop(no);
  scheduler.run_ready();
  CHECK_FALSE(scheduler.alive(yes));
  CHECK(scheduler.alive(no));
  signal.notify_all();
  scheduler.run_ready();
  CHECK_FALSE(scheduler.alive(no));
}

TEST_CASE_FIXTURE(Fixture, "mailbox: elements come out in order, before and after somebody waits") {
  Mailbox<int> mailbox;
  std::vector<int> got;
  mailbox.push(1);
  scheduler.spawn("reader", [&](Task& t) {
    while (auto value = mailbox.pop(t)) got.push_back(*value);
    log.emplace_back("closed");
  });
  mailbox.push(2);
  scheduler.run_ready();
  CHECK(got == std::vector<int>{1, 2});
  mailbox.push(3);
  mailbox.push(4);
  CHECK(mailbox.size() == 2);
  mailbox.close();
  mailbox.push(5);  // dropped
  scheduler.run_ready();
  CHECK(got == std::vector<int>{1, 2, 3, 4});
  CHECK(log == std::vector<std::string>{"closed"});
}

TEST_CASE_FIXTURE(Fixture, "mailbox: with two readers, each element goes to one of them and none is forgotten") {
  Mailbox<int> mailbox;
  std::vector<int> got;
  for (const char* name : {"a", "b"})
    scheduler.spawn(name, [&](Task& t) {
      while (auto value = mailbox.pop(t)) {
        got.push_back(*value);
        (void)t.yield();
      }
    });
  scheduler.run_ready();
  for (int i = 0; i < 10; ++i) mailbox.push(i);
  scheduler.run_ready();
  CHECK(got == std::vector<int>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9});
  mailbox.close();
  scheduler.run_ready();
  CHECK(scheduler.live() == 0);
}

TEST_CASE_FIXTURE(Fixture, "mailbox: pop ends by its deadline, by a stop, or because it was closed empty, and says which") {
  Mailbox<int> mailbox;
  TaskRef stopped = scheduler.spawn("stopped", [&](Task& t) { CHECK(mailbox.pop(t).is(Errc::stopped)); });
  scheduler.spawn("late", [&](Task& t) { CHECK(mailbox.pop(t, t.now() + 1ms).is(Errc::timeout)); });
  scheduler.spawn("closed", [&](Task& t) { CHECK(mailbox.pop(t).is(Errc::closed)); });
  scheduler.run_ready();
  scheduler.request_stop(stopped);
  scheduler.run_ready();
  clock.advance(1ms);
  scheduler.run_ready();
  CHECK(scheduler.live() == 1);
  mailbox.close();
  scheduler.run_ready();
  CHECK(scheduler.live() == 0);
}

TEST_CASE_FIXTURE(Fixture, "mailbox: what arrived is delivered even to a reader that is being stopped") {
  Mailbox<std::unique_ptr<int>> mailbox;
  mailbox.push(std::make_unique<int>(7));
  TaskRef ref = scheduler.spawn("t", [&](Task& t) {
    auto value = mailbox.pop(t);
    REQUIRE(value);
    CHECK(**value == 7);
    CHECK(mailbox.pop(t).is(Errc::stopped));
  });
  scheduler.request_stop(ref);
  scheduler.run_ready();
}

TEST_CASE_FIXTURE(Fixture, "task group: stop and join end all children, also those that are spawned after the stop") {
  scheduler.spawn("owner", [this](Task& t) {
    TaskGroup group(scheduler);
    for (const char* name : {"a", "b"})
      group.spawn(name, [this](Task& child) {
        CHECK(child.sleep_for(1h).is(Errc::stopped));
        log.emplace_back(child.name());
      });
    CHECK(t.yield().has_value());
    CHECK(group.live() == 2);
    group.stop();
    group.spawn("late", [this](Task& child) {
      CHECK(child.stopping());
      log.emplace_back(child.name());
    });
    group.join(t);
    CHECK(group.live() == 0);
    log.emplace_back("joined");
  });
  scheduler.run_ready();
  CHECK(log == std::vector<std::string>{"a", "b", "late", "joined"});
  CHECK(clock.now() == Time{});
}

TEST_CASE_FIXTURE(Fixture, "task group: join goes on waiting when the owner itself is stopped") {
  Signal release;
  TaskRef owner = scheduler.spawn("owner", [&](Task& t) {
    TaskGroup group(scheduler);
    group.spawn("child", [&](Task& child) { (void)release.wait(child, Time::never(), "kernel", Interruptible::no); });
    group.join(t);
    CHECK(t.stopping());
    log.emplace_back("joined");
  });
  scheduler.run_ready();
  scheduler.request_stop(owner);
  scheduler.run_ready();
  CHECK(log.empty());
  release.notify_all();
  scheduler.run_ready();
  CHECK(log == std::vector<std::string>{"joined"});
}

TEST_CASE_FIXTURE(Fixture, "task group: children that have ended do not pile up") {
  scheduler.spawn("owner", [this](Task& t) {
    TaskGroup group(scheduler);
    for (int i = 0; i < 1000; ++i) {
      group.spawn("short", [](Task&) {});
      CHECK(t.yield().has_value());
      CHECK(group.live() == 0);
    }
    group.join(t);
  });
  scheduler.run_ready();
  CHECK(stacks.high_water() == 2);
}

}  // namespace
