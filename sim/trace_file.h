// A trace as a text file: one line per event or note, as sim::to_line writes it; read back, it is the same trace.
// Invariant: read_trace_file(what FileTrace wrote) holds the same events, so that runs of other builds and machines can be compared.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "sim/trace.h"

namespace sg::sim {

// ENSUREs that what it writes arrives: a trace that is silently short is worse than none.
class FileTrace final : public TraceSink {
 public:
  // Errc::io: the file cannot be created.
  static Result<std::unique_ptr<FileTrace>> create(const std::string& path);
  ~FileTrace() override;
  FileTrace(const FileTrace&) = delete;
  FileTrace& operator=(const FileTrace&) = delete;
  void on_event(const TraceEvent& event, std::string_view text) override;

 private:
  explicit FileTrace(void* file) : file_(file) {}
  void* file_;
};

// One line of a trace.  Errc::invalid: it is none.
Result<MemoryTrace::Record> parse_trace_line(std::string_view line);

// Errc::not_found; Errc::invalid with the number of the line.
Result<MemoryTrace> read_trace_file(const std::string& path);

}  // namespace sg::sim
