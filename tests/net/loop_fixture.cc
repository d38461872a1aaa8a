#include "tests/net/loop_fixture.h"

#include <doctest/doctest.h>
#include <stdlib.h>

namespace sg::test {

Loop::Loop(PollerKind kind) {
  auto made = kind == PollerKind::uring ? net::make_uring_poller() : net::make_epoll_poller();
  if (made)
    poller = std::move(*made);
  else
    MESSAGE("skipped: " << made.error().what);
  REQUIRE((made || kind == PollerKind::uring));
}

bool Loop::run_until(const std::function<bool()>& done) {
  clock.refresh();
  return net::run_event_loop(scheduler, *poller, clock, done, clock.now() + 60s);
}

void Loop::run(std::function<void(Task&)> body) {
  bool ended = false;
  TaskRef task = scheduler.spawn("test", [&](Task& t) {
    body(t);
    ended = true;
  });
  if (run_until([&] { return ended; })) return;
  FAIL_CHECK("still waiting:\n", scheduler.describe_tasks());
  scheduler.request_stop(task);
  REQUIRE(run_until([&] { return ended; }));
}

TemporaryDirectory::TemporaryDirectory() {
  std::string name = (std::filesystem::temp_directory_path() / "stormglass-test-XXXXXX").string();
  REQUIRE(::mkdtemp(name.data()) != nullptr);
  path = name;
}

TemporaryDirectory::~TemporaryDirectory() {
  std::error_code ignored;
  std::filesystem::remove_all(path, ignored);
}

}  // namespace sg::test
