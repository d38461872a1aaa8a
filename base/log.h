// The structured log: one line per event, `component event key=value …`, for an operator who follows elections, ISR changes and
// recoveries. Quiet on the hot path. Where the lines go is decided by the sink: standard error in production (through spdlog), the
// trace in the simulator.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "base/time.h"

namespace sg {

enum class LogLevel : uint8_t { debug, info, warn, error };

class LogSink {
 public:
  virtual ~LogSink() = default;
  virtual bool enabled(LogLevel level) const = 0;
  virtual void write(LogLevel level, std::string_view component, std::string_view message) = 0;
};

// A sink that drops everything.
LogSink& null_log_sink();

// A handle that is cheap to copy; the sink outlives it.
class Log {
 public:
  Log() : Log(null_log_sink(), "") {}
  Log(LogSink& sink, std::string component) : sink_(&sink), component_(std::move(component)) {}

  Log with(std::string component) const { return Log(*sink_, std::move(component)); }

  template <class... A>
  void debug(fmt::format_string<A...> format, A&&... args) const {
    write(LogLevel::debug, format, std::forward<A>(args)...);
  }
  template <class... A>
  void info(fmt::format_string<A...> format, A&&... args) const {
    write(LogLevel::info, format, std::forward<A>(args)...);
  }
  template <class... A>
  void warn(fmt::format_string<A...> format, A&&... args) const {
    write(LogLevel::warn, format, std::forward<A>(args)...);
  }
  template <class... A>
  void error(fmt::format_string<A...> format, A&&... args) const {
    write(LogLevel::error, format, std::forward<A>(args)...);
  }

 private:
  template <class... A>
  void write(LogLevel level, fmt::format_string<A...> format, A&&... args) const {
    if (sink_->enabled(level)) sink_->write(level, component_, fmt::format(format, std::forward<A>(args)...));
  }
  LogSink* sink_;
  std::string component_;
};

// Lets through at most one line per interval and counts the rest: for events that a client can cause at will.
class LogLimiter {
 public:
  explicit LogLimiter(Duration interval) : interval_(interval) {}
  // True if a line may be written now; `suppressed()` then says how many were held back since the last one.
  bool allow(Time now) {
    if (now < next_) {
      ++held_;
      return false;
    }
    next_ = now + interval_;
    suppressed_ = held_;
    held_ = 0;
    return true;
  }
  uint64_t suppressed() const { return suppressed_; }

 private:
  Duration interval_;
  Time next_{};
  uint64_t held_ = 0;
  uint64_t suppressed_ = 0;
};

}  // namespace sg
