// The production log: lines for standard error, `time level component: message`, formatted by spdlog. Where they go, and that nobody waits
// for them, is the caller's business (net/line_writer.h in production).
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/log.h"

namespace sg::broker {

// One line as the log has it, with its newline. From any thread.
std::string log_line(LogLevel level, std::string_view component, std::string_view message);

// `write` takes whole lines, and does not block.
std::unique_ptr<LogSink> make_stderr_log(bool verbose, std::function<void(std::string_view line)> write);

}  // namespace sg::broker
