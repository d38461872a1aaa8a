// A trace written to a file and read back is the same trace; what is no trace is refused with its line.
#include "sim/trace_file.h"

#include <doctest/doctest.h>
#include <rapidcheck.h>
#include <stdlib.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>

using namespace sg;
using namespace sg::sim;

namespace {

// A name in the temporary directory that is removed at the end.
struct TemporaryFile {
  TemporaryFile() {
    char name[] = "/tmp/stormglass-trace-XXXXXX";
    int fd = ::mkstemp(name);
    REQUIRE(fd >= 0);
    ::close(fd);
    path = name;
  }
  ~TemporaryFile() { std::remove(path.c_str()); }
  std::string path;
};

TraceEvent event_of(uint64_t n, TraceKind kind, uint32_t node) {
  return {.time = Time{static_cast<int64_t>(n % 10'000'000'000'000)}, .a = n, .b = ~n, .c = n >> 7, .d = 0, .node = node, .kind = kind};
}

}  // namespace

TEST_CASE("every event survives being written as a line and parsed") {
  CHECK(rc::check("line and back", [](uint64_t n, uint16_t kind_number, uint32_t node, bool world) {
    const auto last = static_cast<uint16_t>(TraceKind::fault);
    auto kind = kind_number % 3 == 0 ? static_cast<TraceKind>(256 + kind_number % 5000) : static_cast<TraceKind>(kind_number % (last + 1));
    const TraceEvent e = event_of(n, kind, world ? kNoNodeIndex : node);
    auto read = parse_trace_line(to_line(e, "what it says"));
    RC_ASSERT(read.has_value());
    RC_ASSERT(read->event == e);
    RC_ASSERT(read->text == "what it says");
  }));
}

TEST_CASE("a trace file gives the same events, and the log lines between them do not count") {
  TemporaryFile file;
  MemoryTrace memory;
  {
    auto trace = FileTrace::create(file.path);
    REQUIRE(trace.has_value());
    for (uint64_t i = 0; i < 20; ++i) {
      memory.on_event(event_of(i, TraceKind::send, 1), "");
      (*trace)->on_event(event_of(i, TraceKind::send, 1), "");
      if (i % 5 == 0) (*trace)->on_event(event_of(i, TraceKind::note, 2), "info raft a log line");
    }
  }
  auto read = read_trace_file(file.path);
  REQUIRE(read.has_value());
  CHECK(read->records().size() == 24);
  CHECK_FALSE(first_difference(memory, *read).has_value());

  MemoryTrace other = memory;
  other.on_event(event_of(99, TraceKind::deliver, 0), "");
  auto at = first_difference(*read, other);
  REQUIRE(at.has_value());
  CHECK(*at == 20);
  const std::string text = describe_difference(*read, other, *at, "left", "right");
  CHECK(text.find("a log line") != std::string::npos);  // of event 15, within the context
  CHECK(text.find("(the run has ended)") != std::string::npos);
  CHECK(text.find(">       20 0.000000099 n0 deliver") != std::string::npos);
}

TEST_CASE("what is no trace is refused with its line") {
  TemporaryFile file;
  std::ofstream(file.path) << "0.000000001 n1 turn 1 0 0 0\n0.000000002 n1 tun 1 0 0 0\n";
  auto read = read_trace_file(file.path);
  REQUIRE(read.is(Errc::invalid));
  CHECK(read.error().what.find(":2:") != std::string::npos);
  for (const char* line :
       {"", "1 n1 turn 1 0 0 0", "0.000000001 x1 turn 1 0 0 0", "0.000000001 n1 turn 1 0 0", "0.000000001 n1 turn 1 0 0 z"})
    CHECK(parse_trace_line(line).is(Errc::invalid));
  CHECK(read_trace_file("/no/such/file").is(Errc::not_found));
  CHECK(FileTrace::create("/no/such/directory/trace").is(Errc::io));
}
