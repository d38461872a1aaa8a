// Lines to a descriptor that may not take them: nobody waits, what is lost is counted and said where it is missing.
#include "net/line_writer.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "base/file_descriptor.h"
#include "tests/net/loop_fixture.h"

namespace sg {
namespace {

std::string lost_line(uint64_t lost) { return "lost " + std::to_string(lost) + "\n"; }

struct Pipe {
  FileDescriptor read;
  FileDescriptor write;
  Pipe() {
    int fds[2];
    REQUIRE(::pipe2(fds, O_CLOEXEC) == 0);
    read = FileDescriptor(fds[0]);
    write = FileDescriptor(fds[1]);
  }
  // What comes until nothing came for 200 ms.
  std::string drain() {
    std::string text;
    pollfd some{.fd = read.get(), .events = POLLIN, .revents = 0};
    while (::poll(&some, 1, 200) == 1) {
      char bytes[65536];
      ssize_t n = ::read(read.get(), bytes, sizeof bytes);
      if (n <= 0) break;
      text.append(bytes, static_cast<size_t>(n));
    }
    return text;
  }
};

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  for (size_t at = 0; at < text.size();) {
    size_t end = text.find('\n', at);
    REQUIRE(end != std::string::npos);
    lines.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return lines;
}

TEST_CASE("given a descriptor that takes lines, then all come, in order, and flush waits for them") {
  Pipe pipe;
  net::LineWriter writer(pipe.write.get(), lost_line);
  for (int i = 0; i < 100; ++i) writer.write("line " + std::to_string(i) + "\n");
  CHECK(writer.flush(10s));
  auto lines = lines_of(pipe.drain());
  REQUIRE(lines.size() == 100);
  for (int i = 0; i < 100; ++i) CHECK(lines[static_cast<size_t>(i)] == "line " + std::to_string(i));
  CHECK(writer.lost() == 0);
}

TEST_CASE("given a pipe that nobody reads, then writing goes on, and once it is read a line stands where lines are missing") {
  Pipe pipe;
  net::LineWriter writer(pipe.write.get(), lost_line, 256 << 10);  // more than a pipe holds
  const std::string padding(100, 'x');
  constexpr int kLines = 20'000;  // 2 MB
  for (int i = 0; i < kLines; ++i) writer.write(std::to_string(i) + " " + padding + "\n");
  CHECK(!writer.flush(10ms));
  const uint64_t lost = writer.lost();
  CHECK(lost > kLines / 2);
  auto lines = lines_of(pipe.drain());
  writer.write("again\n");
  CHECK(writer.flush(10s));
  for (std::string& line : lines_of(pipe.drain())) lines.push_back(std::move(line));
  REQUIRE(lines.size() > 2);
  CHECK(lines.back() == "again");
  // Every line came, or is counted by the line in its place.
  uint64_t expected = 0;
  uint64_t counted = 0;
  for (const std::string& line : lines) {
    if (line == "again") continue;
    if (line.starts_with("lost ")) {
      uint64_t here = std::stoull(line.substr(5));
      counted += here;
      expected += here;
    } else {
      CHECK(line == std::to_string(expected) + " " + padding);
      ++expected;
    }
  }
  CHECK(expected == kLines);
  CHECK(counted == lost);
}

TEST_CASE("given a pipe that nobody reads, then the end of the writer waits for a bounded time") {
  Pipe pipe;
  timespec before{};
  timespec after{};
  REQUIRE(::clock_gettime(CLOCK_MONOTONIC, &before) == 0);
  {
    net::LineWriter writer(pipe.write.get(), lost_line);
    writer.write(std::string(200'000, 'x') + "\n");
  }
  REQUIRE(::clock_gettime(CLOCK_MONOTONIC, &after) == 0);
  CHECK(after.tv_sec - before.tv_sec <= 5);
  pipe.drain();  // lets the thread go that was left behind
}

TEST_CASE("given a pipe whose reader is gone, or one that another process made non-blocking, then the writer goes on") {
  Pipe closed;
  net::LineWriter to_nobody(closed.write.get(), lost_line);
  closed.read.reset();
  to_nobody.write("unheard\n");
  CHECK(to_nobody.flush(10s));
  to_nobody.write("unheard\n");
  CHECK(to_nobody.flush(10s));

  Pipe shared;
  REQUIRE(::fcntl(shared.write.get(), F_SETFL, O_NONBLOCK) == 0);
  net::LineWriter writer(shared.write.get(), lost_line);
  const std::string line = std::string(999, 'x') + "\n";
  for (int i = 0; i < 300; ++i) writer.write(line);
  std::string text = shared.drain();
  CHECK(writer.flush(10s));
  text += shared.drain();
  CHECK(text.size() == 300'000);
}

}  // namespace
}  // namespace sg
