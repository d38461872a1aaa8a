// The production log: lines on standard error through spdlog, `time level component message`.
#pragma once

#include <memory>

#include "base/log.h"

namespace sg::broker {

std::unique_ptr<LogSink> make_stderr_log(bool verbose);

}  // namespace sg::broker
