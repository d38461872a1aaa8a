// base/log.h: lines reach the sink, disabled ones cost no formatting, and the limiter counts what it holds back.
#include "base/log.h"

#include <doctest/doctest.h>

#include <vector>

namespace {

struct CountsFormatting {
  int* count;
};

}  // namespace

template <>
struct fmt::formatter<CountsFormatting> {
  constexpr auto parse(fmt::format_parse_context& ctx) { return ctx.begin(); }
  template <class Context>
  auto format(const CountsFormatting& value, Context& ctx) const {
    ++*value.count;
    return ctx.out();
  }
};

namespace {

using namespace sg;

struct Collect final : LogSink {
  bool enabled(LogLevel level) const override { return level >= LogLevel::info; }
  void write(LogLevel level, std::string_view component, std::string_view message) override {
    lines.push_back(fmt::format("{} {} {}", static_cast<int>(level), component, message));
  }
  std::vector<std::string> lines;
};

TEST_CASE("log: a line names its component and level") {
  Collect sink;
  Log log(sink, "raft");
  log.info("elected term={}", 3);
  log.with("wal").error("damage segment={} block={}", 1, 2);
  CHECK(sink.lines == std::vector<std::string>{"1 raft elected term=3", "3 wal damage segment=1 block=2"});
}

TEST_CASE("log: a level that is off is not even formatted") {
  Collect sink;
  Log log(sink, "x");
  int formatted = 0;
  log.debug("{}", CountsFormatting{&formatted});
  CHECK(formatted == 0);
  log.warn("{}", CountsFormatting{&formatted});
  CHECK(formatted == 1);
  CHECK(sink.lines.size() == 1);
}

TEST_CASE("log: without a sink it is silent") {
  int formatted = 0;
  Log().error("{}", CountsFormatting{&formatted});
  CHECK(formatted == 0);
}

TEST_CASE("log limiter: one line per interval, and the next one says how many were held back") {
  LogLimiter limiter(1s);
  Time now{};
  CHECK(limiter.allow(now));
  CHECK(limiter.suppressed() == 0);
  for (int i = 0; i < 5; ++i) CHECK_FALSE(limiter.allow(now + 999ms));
  CHECK(limiter.allow(now + 1s));
  CHECK(limiter.suppressed() == 5);
  CHECK_FALSE(limiter.allow(now + 1'999ms));
  CHECK(limiter.allow(now + 1h));
  CHECK(limiter.suppressed() == 1);
  CHECK(limiter.allow(now + 2h));
  CHECK(limiter.suppressed() == 0);
}

}  // namespace
