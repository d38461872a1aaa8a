// base/scheduler.h and base/task.h: the order in which tasks run, deadlines, stopping, and the pool of stacks.
#include "base/scheduler.h"

#include <doctest/doctest.h>

#include "base/ensure.h"
#include "tests/base/death.h"
#include "tests/base/manual_clock.h"

namespace {

using namespace sg;
using sg::test::death_of;
using sg::test::ManualClock;
using sg::test::run_all;

struct Fixture {
  ManualClock clock;
  StackPool stacks;
  Scheduler scheduler{clock, stacks, "node"};
  std::vector<std::string> log;
};

TEST_CASE_FIXTURE(Fixture, "scheduler: tasks first run in the order in which they were spawned") {
  for (const char* name : {"a", "b", "c"}) scheduler.spawn(name, [this](Task& t) { log.emplace_back(t.name()); });
  CHECK(log.empty());
  CHECK(scheduler.has_ready());
  CHECK(scheduler.run_ready() == 3);
  CHECK(log == std::vector<std::string>{"a", "b", "c"});
  CHECK(scheduler.live() == 0);
  CHECK_FALSE(scheduler.has_ready());
}

TEST_CASE_FIXTURE(Fixture, "scheduler: yield lets every other ready task run first") {
  for (const char* name : {"a", "b"})
    scheduler.spawn(name, [this](Task& t) {
      for (int i = 0; i < 2; ++i) {
        log.push_back(std::string(t.name()) + std::to_string(i));
        CHECK(t.yield().has_value());
      }
    });
  scheduler.run_ready();
  CHECK(log == std::vector<std::string>{"a0", "b0", "a1", "b1"});
}

TEST_CASE_FIXTURE(Fixture, "scheduler: a task that is spawned by a task runs in the same turn, after those that were ready") {
  scheduler.spawn("parent", [this](Task& t) {
    t.scheduler().spawn("child", [this](Task&) { log.emplace_back("child"); });
    log.emplace_back("parent");
  });
  scheduler.spawn("other", [this](Task&) { log.emplace_back("other"); });
  scheduler.run_ready();
  CHECK(log == std::vector<std::string>{"parent", "other", "child"});
}

TEST_CASE_FIXTURE(Fixture,
                  "scheduler: sleepers wake in the order of their deadlines, equal ones in the order in which they went to sleep") {
  for (auto [name, ms] : {std::pair("c", 3), {"a1", 1}, {"b", 2}, {"a2", 1}})
    scheduler.spawn(name, [this, ms](Task& t) {
      CHECK(t.sleep_for(ms * 1ms).has_value());
      CHECK(t.now() == Time{} + ms * 1ms);
      log.emplace_back(t.name());
    });
  scheduler.run_ready();
  CHECK(scheduler.next_deadline() == Time{} + 1ms);
  CHECK(scheduler.run_ready() == 0);  // the clock has not moved
  run_all(scheduler, clock);
  CHECK(log == std::vector<std::string>{"a1", "a2", "b", "c"});
  CHECK(scheduler.next_deadline() == Time::never());
}

TEST_CASE_FIXTURE(Fixture, "scheduler: sleeping until a moment that has passed does not suspend") {
  scheduler.spawn("t", [](Task& t) {
    CHECK(t.sleep_until(t.now()).has_value());
    CHECK(t.sleep_for(-5ms).has_value());
  });
  CHECK(scheduler.run_ready() == 1);
}

TEST_CASE_FIXTURE(Fixture, "scheduler: a wake-up that comes before the deadline leaves no timer behind") {
  Task* parked = nullptr;
  scheduler.spawn("t", [&](Task& t) {
    parked = &t;
    CHECK(t.park("event", t.now() + 10ms) == Wake::woken);
    log.emplace_back("woken");
    CHECK(t.park("event", t.now() + 100ms) == Wake::timeout);
    log.emplace_back("timeout");
  });
  scheduler.run_ready();
  parked->wake();
  scheduler.run_ready();
  CHECK(log == std::vector<std::string>{"woken"});
  CHECK(scheduler.next_deadline() == Time{} + 100ms);
  clock.advance(10ms);  // the first wait's deadline must not end the second wait
  CHECK(scheduler.run_ready() == 0);
  clock.advance(90ms);
  scheduler.run_ready();
  CHECK(log == std::vector<std::string>{"woken", "timeout"});
}

TEST_CASE_FIXTURE(Fixture, "scheduler: a timer of a task that has ended does not wake the task that took its place") {
  Task* first = nullptr;
  scheduler.spawn("first", [&](Task& t) {
    first = &t;
    CHECK(t.park("event", t.now() + 5ms) == Wake::woken);
  });
  scheduler.run_ready();
  first->wake();
  scheduler.run_ready();
  scheduler.spawn("second", [&](Task& t) {
    CHECK(&t == first);  // the slot is reused, which is the point of this test
    CHECK(t.park("event", t.now() + 50ms) == Wake::timeout);
    CHECK(t.now() == Time{} + 50ms);
  });
  scheduler.run_ready();
  run_all(scheduler, clock);
  CHECK(scheduler.live() == 0);
}

TEST_CASE_FIXTURE(Fixture, "scheduler: a stop ends the present wait and every later one at once") {
  TaskRef ref = scheduler.spawn("t", [this](Task& t) {
    CHECK(t.sleep_for(1h).is(Errc::stopped));
    CHECK(t.stopping());
    CHECK(t.sleep_for(1h).is(Errc::stopped));
    CHECK(t.yield().is(Errc::stopped));
    CHECK(t.park("anything") == Wake::stopped);
    log.emplace_back("returned");
  });
  scheduler.run_ready();
  scheduler.request_stop(ref);
  scheduler.request_stop(ref);
  scheduler.run_ready();
  CHECK(log == std::vector<std::string>{"returned"});
  CHECK_FALSE(scheduler.alive(ref));
  scheduler.request_stop(ref);  // it has ended: nothing happens
}

TEST_CASE_FIXTURE(Fixture, "scheduler: a wait that may not be interrupted ends by its event, also when the task is stopped") {
  Task* parked = nullptr;
  TaskRef ref = scheduler.spawn("t", [&](Task& t) {
    parked = &t;
    CHECK(t.park("kernel", Time::never(), Interruptible::no) == Wake::woken);
    CHECK(t.stopping());
    log.emplace_back("done");
  });
  scheduler.run_ready();
  scheduler.request_stop(ref);
  CHECK(scheduler.run_ready() == 0);
  parked->wake();
  scheduler.run_ready();
  CHECK(log == std::vector<std::string>{"done"});
}

TEST_CASE_FIXTURE(Fixture, "scheduler: stop_all stops present and future tasks") {
  auto body = [this](Task& t) {
    CHECK(t.sleep_for(1h).is(Errc::stopped));
    log.emplace_back(t.name());
  };
  scheduler.spawn("present", body);
  scheduler.run_ready();
  scheduler.stop_all();
  scheduler.spawn("future", body);
  scheduler.run_ready();
  CHECK(log == std::vector<std::string>{"present", "future"});
}

TEST_CASE_FIXTURE(Fixture, "scheduler: a stopped task may be refused 1,000 waits, and not one more") {
  TaskRef ref = scheduler.spawn("polite", [](Task& t) {
    for (int i = 0; i < Task::kMaxRefusedWaits; ++i) (void)t.park("again");
  });
  scheduler.request_stop(ref);
  scheduler.run_ready();
  CHECK_FALSE(scheduler.alive(ref));

  std::string text = death_of([this] {
    TaskRef stubborn = scheduler.spawn("stubborn", [](Task& t) {
      for (;;) (void)t.park("again");
    });
    scheduler.request_stop(stubborn);
    scheduler.run_ready();
  });
  CHECK(text.find("task 'stubborn' was stopped and keeps waiting for 'again'") != std::string::npos);
}

TEST_CASE_FIXTURE(Fixture, "scheduler: a reference goes stale when its task ends, although the slot is reused") {
  TaskRef first = scheduler.spawn("first", [](Task&) {});
  scheduler.run_ready();
  TaskRef second = scheduler.spawn("second", [](Task& t) { (void)t.sleep_for(1ms); });
  CHECK_FALSE(first == second);
  CHECK_FALSE(scheduler.alive(first));
  CHECK(scheduler.alive(second));
  scheduler.request_stop(first);
  scheduler.run_ready();
  CHECK(scheduler.alive(second));
  run_all(scheduler, clock);
}

TEST_CASE_FIXTURE(Fixture, "scheduler: describes what each live task waits for") {
  TaskRef ref = scheduler.spawn("fetcher", [](Task& t) { (void)t.park("data from the leader"); });
  scheduler.run_ready();
  CHECK(scheduler.describe_tasks() == "  fetcher: data from the leader\n");
  scheduler.request_stop(ref);
  scheduler.run_ready();
  CHECK(scheduler.describe_tasks().empty());
}

TEST_CASE_FIXTURE(Fixture, "scheduler: the hook tells when a task becomes ready while none was") {
  int calls = 0;
  scheduler.set_on_ready([&] { ++calls; });
  Task* parked = nullptr;
  scheduler.spawn("a", [&](Task& t) {
    parked = &t;
    (void)t.park("event");
    t.scheduler().spawn("c", [](Task&) {});  // inside of a turn: the turn goes on until nobody is ready
  });
  scheduler.spawn("b", [](Task&) {});
  CHECK(calls == 1);
  scheduler.run_ready();
  CHECK(calls == 1);
  parked->wake();
  CHECK(calls == 2);
  scheduler.run_ready();
  CHECK(calls == 2);
}

TEST_CASE_FIXTURE(Fixture, "scheduler: stacks are taken when a task first runs and reused afterwards") {
  for (int i = 0; i < 100; ++i) {
    scheduler.spawn("t", [](Task& t) { (void)t.yield(); });
    scheduler.run_ready();
  }
  CHECK(stacks.high_water() == 1);
  CHECK(stacks.in_use() == 0);
  for (int i = 0; i < 3; ++i) scheduler.spawn("t", [](Task& t) { (void)t.sleep_for(1ms); });
  CHECK(stacks.in_use() == 0);
  scheduler.run_ready();
  CHECK(stacks.in_use() == 3);
  run_all(scheduler, clock);
  CHECK(stacks.in_use() == 0);
  CHECK(stacks.high_water() == 3);
}

TEST_CASE_FIXTURE(Fixture, "scheduler: a task has tens of kilobytes of stack across a suspension") {
  scheduler.spawn("deep", [this](Task& t) {
    volatile char frame[40 * 1024];
    frame[0] = 1;
    (void)t.yield();
    frame[sizeof frame - 1] = 2;
    log.push_back(std::to_string(frame[0] + frame[sizeof frame - 1]));
  });
  scheduler.run_ready();
  CHECK(log == std::vector<std::string>{"3"});
}

TEST_CASE_FIXTURE(Fixture, "scheduler: what a task holds is released when it ends") {
  auto token = std::make_shared<int>(1);
  scheduler.spawn("t", [token](Task& t) { (void)t.yield(); });
  CHECK(token.use_count() == 2);
  scheduler.run_ready();
  CHECK(token.use_count() == 1);
}

TEST_CASE("scheduler: to destroy it under live tasks, or to wait outside of a task, is a bug") {
  CHECK(death_of([] {
          ManualClock clock;
          StackPool stacks;
          Scheduler scheduler(clock, stacks, "n1");
          scheduler.spawn("forgotten", [](Task& t) { (void)t.park("the end"); });
          scheduler.run_ready();
        }).find("forgotten: the end") != std::string::npos);
  CHECK(death_of([] {
          ManualClock clock;
          StackPool stacks;
          Scheduler scheduler(clock, stacks);
          Task* parked = nullptr;
          scheduler.spawn("t", [&](Task& t) {
            parked = &t;
            (void)t.park("event");
          });
          scheduler.run_ready();
          (void)parked->park("from outside");
        }).find("while it does not run") != std::string::npos);
}

}  // namespace
