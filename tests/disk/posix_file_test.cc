// What a file makes of answers that a healthy disk seldom gives, from a poller that gives them on order.
#include "disk/posix_file.h"

#include <doctest/doctest.h>
#include <fcntl.h>

#include <deque>
#include <optional>
#include <vector>

#include "base/scheduler.h"
#include "base/system_clock.h"
#include "tests/net/loop_fixture.h"

namespace sg {

namespace {

using disk::Durability;
using Kind = BlockingOperation::Kind;

// Answers each operation from the script; without a line there, performs it.
class ScriptedPoller final : public Poller {
 public:
  struct Answer {
    std::optional<int64_t> result;  // instead of the operation
    size_t at_most = SIZE_MAX;      // performs it on that many bytes of its first piece only
  };
  std::deque<Answer> script;
  std::vector<Kind> seen;

  std::string_view name() const override { return "scripted"; }
  Result<std::unique_ptr<Watch>> watch(int) override { return fail(Errc::unsupported); }

 protected:
  void submit(BlockingOperation& operation) override {
    seen.push_back(operation.kind);
    Answer answer;
    if (!script.empty()) {
      answer = script.front();
      script.pop_front();
    }
    if (answer.result) return operation.complete(*answer.result);
    if (answer.at_most == SIZE_MAX) return operation.complete(operation.perform());
    iovec first = operation.pieces.front();
    first.iov_len = std::min(first.iov_len, answer.at_most);
    operation.pieces = {&first, 1};
    operation.complete(operation.perform());
  }
  void wait_for_events(Duration) override {}
};

struct Fixture {
  test::TemporaryDirectory directory;
  SystemClock clock;
  StackPool stacks;
  Scheduler scheduler{clock, stacks};
  ScriptedPoller poller;

  std::unique_ptr<disk::File> open(bool direct = false) {
    std::string path = (directory.path / "file").string();
    FileDescriptor fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | (direct ? O_DIRECT : 0), 0600));
    if (!fd) return nullptr;
    return std::make_unique<disk::PosixFile>(poller, std::move(fd), path, direct);
  }
  void run(std::function<void(Task&)> body) {
    scheduler.spawn("test", std::move(body));
    scheduler.run_ready();
    REQUIRE(scheduler.live() == 0);
  }
  std::string content(Task& task, disk::File& file) {
    std::string text(1000, ' ');
    auto n = file.read(task, 0, {reinterpret_cast<uint8_t*>(text.data()), text.size()});
    REQUIRE(n);
    text.resize(*n);
    return text;
  }
};

}  // namespace

TEST_CASE("a short write goes on where it stopped, across pieces") {
  Fixture f;
  f.run([&](Task& task) {
    auto file = f.open();
    const ByteSpan pieces[] = {as_bytes("abcdef"), as_bytes(""), as_bytes("ghi"), as_bytes("jkl")};
    f.poller.script = {{.result = {}, .at_most = 4}, {.result = {}, .at_most = 2}, {.result = -EINTR}, {.result = {}, .at_most = 1}};
    CHECK(file->write(task, 0, pieces, Durability::buffered));
    CHECK(f.poller.seen.size() == 5);
    CHECK(f.content(task, *file) == "abcdefghijkl");
  });
}

TEST_CASE("a short or interrupted read goes on until the end of the file") {
  Fixture f;
  f.run([&](Task& task) {
    auto file = f.open();
    CHECK(file->write(task, 0, as_bytes("abcdefghijkl"), Durability::buffered));
    f.poller.script = {{.result = {}, .at_most = 5}, {.result = -EINTR}, {.result = -EAGAIN}, {.result = {}, .at_most = 1}};
    CHECK(f.content(task, *file) == "abcdefghijkl");
  });
}

TEST_CASE("errors keep their meaning, and a failed write or sync is not tried again") {
  Fixture f;
  f.run([&](Task& task) {
    auto file = f.open();
    f.poller.script = {{.result = -ENOSPC}, {.result = -EIO}, {.result = -EIO}, {.result = -EIO}, {.result = 0}};
    CHECK(file->write(task, 0, as_bytes("a"), Durability::synced).is(Errc::no_space));
    CHECK(file->write(task, 0, as_bytes("a"), Durability::synced).is(Errc::io));
    CHECK(file->sync(task).is(Errc::io));
    uint8_t byte = 0;
    CHECK(file->read(task, 0, {&byte, 1}).is(Errc::io));
    CHECK(file->write(task, 0, as_bytes("a"), Durability::synced).is(Errc::no_space));  // nothing written, no error: never a spin
    CHECK(f.poller.seen == std::vector{Kind::write, Kind::write, Kind::sync, Kind::read, Kind::write});
  });
}

TEST_CASE("direct access that is refused at the first transfer goes on cached") {
  Fixture f;
  f.run([&](Task& task) {
    auto file = f.open(true);
    if (!file) {
      MESSAGE("skipped: no direct access in the temporary directory");
      return;
    }
    CHECK(file->direct());
    CHECK(file->alignment() == 4096);
    SharedBytes block = SharedBytes::allocate(4096, 4096);
    std::ranges::fill(block.writable(), 'x');
    f.poller.script = {{.result = -EINVAL}};
    CHECK(file->write(task, 0, block, Durability::synced));
    CHECK_FALSE(file->direct());
    CHECK(file->alignment() == 1);
    CHECK(file->write(task, 3, as_bytes("abc"), Durability::buffered));  // would be refused if the kernel still had it as direct
    CHECK(f.content(task, *file).starts_with("xxxabcxxx"));
    f.poller.script = {{.result = -EINVAL}};
    CHECK(file->write(task, 0, block, Durability::synced).is(Errc::io));  // now it is an error like any other
  });
}

TEST_CASE("a direct read that ends inside of a block has met the end of the file") {
  Fixture f;
  f.run([&](Task& task) {
    CHECK(f.open()->write(task, 0, ByteVec(5'000, 7), Durability::synced));
    auto file = f.open(true);
    if (!file) {
      MESSAGE("skipped: no direct access in the temporary directory");
      return;
    }
    SharedBytes buffer = SharedBytes::allocate(16'384, 4096);
    f.poller.seen.clear();
    CHECK(file->read(task, 0, buffer.writable()) == 5'000u);
    CHECK(f.poller.seen.size() == 1);
  });
}

}  // namespace sg
