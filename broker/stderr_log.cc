#include "broker/stderr_log.h"

#include <spdlog/details/log_msg.h>
#include <spdlog/pattern_formatter.h>

namespace sg::broker {
namespace {

spdlog::level::level_enum translate(LogLevel level) {
  switch (level) {
    case LogLevel::debug: return spdlog::level::debug;
    case LogLevel::info: return spdlog::level::info;
    case LogLevel::warn: return spdlog::level::warn;
    case LogLevel::error: return spdlog::level::err;
  }
  return spdlog::level::info;
}

class LineFormat {
 public:
  std::string line(LogLevel level, std::string_view component, std::string_view message) {
    text_.clear();
    fmt::format_to(std::back_inserter(text_), "{}: {}", component, message);
    line_.clear();
    formatter_.format({"", translate(level), {text_.data(), text_.size()}}, line_);
    return {line_.data(), line_.size()};
  }

 private:
  spdlog::pattern_formatter formatter_{"%Y-%m-%dT%H:%M:%S.%e%z %-5l %v"};
  spdlog::memory_buf_t text_;
  spdlog::memory_buf_t line_;
};

class StderrLog final : public LogSink {
 public:
  StderrLog(bool verbose, std::function<void(std::string_view)> write) : write_(std::move(write)), verbose_(verbose) {}
  bool enabled(LogLevel level) const override { return verbose_ || level >= LogLevel::info; }
  void write(LogLevel level, std::string_view component, std::string_view message) override {
    write_(format_.line(level, component, message));
  }

 private:
  LineFormat format_;
  std::function<void(std::string_view)> write_;
  bool verbose_;
};

}  // namespace

std::string log_line(LogLevel level, std::string_view component, std::string_view message) {
  return LineFormat().line(level, component, message);
}

std::unique_ptr<LogSink> make_stderr_log(bool verbose, std::function<void(std::string_view line)> write) {
  return std::make_unique<StderrLog>(verbose, std::move(write));
}

}  // namespace sg::broker
