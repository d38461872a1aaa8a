#include "base/log.h"

namespace sg {
namespace {

class NullSink final : public LogSink {
 public:
  bool enabled(LogLevel) const override { return false; }
  void write(LogLevel, std::string_view, std::string_view) override {}
};

}  // namespace

LogSink& null_log_sink() {
  static NullSink sink;
  return sink;
}

}  // namespace sg
