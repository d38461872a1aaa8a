#include "broker/stderr_log.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

namespace sg::broker {
namespace {

class StderrLog final : public LogSink {
 public:
  explicit StderrLog(bool verbose) : logger_("stormglassd", std::make_shared<spdlog::sinks::stderr_sink_st>()), verbose_(verbose) {
    logger_.set_pattern("%Y-%m-%dT%H:%M:%S.%e%z %-5l %v");
    logger_.set_level(spdlog::level::debug);
  }
  bool enabled(LogLevel level) const override { return verbose_ || level >= LogLevel::info; }
  void write(LogLevel level, std::string_view component, std::string_view message) override {
    logger_.log(translate(level), "{}: {}", component, message);
  }

 private:
  static spdlog::level::level_enum translate(LogLevel level) {
    switch (level) {
      case LogLevel::debug: return spdlog::level::debug;
      case LogLevel::info: return spdlog::level::info;
      case LogLevel::warn: return spdlog::level::warn;
      case LogLevel::error: return spdlog::level::err;
    }
    return spdlog::level::info;
  }
  spdlog::logger logger_;
  bool verbose_;
};

}  // namespace

std::unique_ptr<LogSink> make_stderr_log(bool verbose) { return std::make_unique<StderrLog>(verbose); }

}  // namespace sg::broker
