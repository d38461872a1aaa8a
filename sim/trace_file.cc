#include "sim/trace_file.h"

#include <fmt/format.h>

#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <fstream>

#include "base/ensure.h"

namespace sg::sim {

Result<std::unique_ptr<FileTrace>> FileTrace::create(const std::string& path) {
  std::FILE* file = std::fopen(path.c_str(), "w");
  if (!file) return fail(Errc::io, fmt::format("cannot write a trace to {}: {}", path, std::strerror(errno)));
  return std::unique_ptr<FileTrace>(new FileTrace(file));
}

FileTrace::~FileTrace() { std::fclose(static_cast<std::FILE*>(file_)); }

void FileTrace::on_event(const TraceEvent& event, std::string_view text) {
  std::string line = to_line(event, text);
  line += '\n';
  ENSURE(std::fwrite(line.data(), 1, line.size(), static_cast<std::FILE*>(file_)) == line.size(), "cannot write the trace");
}

namespace {

// Takes what comes before the next space off the front of `rest`.
std::string_view next_word(std::string_view& rest) {
  const size_t space = std::min(rest.find(' '), rest.size());
  std::string_view word = rest.substr(0, space);
  rest.remove_prefix(std::min(space + 1, rest.size()));
  return word;
}

template <class T>
bool parse_number(std::string_view text, T& out) {
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc() && end == text.data() + text.size();
}

// "12.345678901"
bool parse_time(std::string_view text, Time& out) {
  const size_t dot = text.find('.');
  int64_t seconds = 0;
  int64_t ns = 0;
  if (dot == std::string_view::npos || text.size() - dot != 10) return false;
  if (!parse_number(text.substr(0, dot), seconds) || !parse_number(text.substr(dot + 1), ns)) return false;
  out.ns = seconds * 1'000'000'000 + ns;
  return true;
}

bool parse_kind(std::string_view text, TraceKind& out) {
  uint16_t beyond = 0;
  if (text.starts_with("user+")) {
    if (!parse_number(text.substr(5), beyond)) return false;
    out = static_cast<TraceKind>(static_cast<uint16_t>(TraceKind::user) + beyond);
    return true;
  }
  for (uint16_t k = 0; k <= static_cast<uint16_t>(TraceKind::host_moved); ++k) {
    out = static_cast<TraceKind>(k);
    if (to_string(out) == text) return true;
  }
  out = TraceKind::user;
  return text == to_string(TraceKind::user);
}

bool parse_node(std::string_view text, uint32_t& out) {
  out = kNoNodeIndex;
  return text == "world" || (text.starts_with('n') && parse_number(text.substr(1), out));
}

}  // namespace

Result<MemoryTrace::Record> parse_trace_line(std::string_view line) {
  MemoryTrace::Record record;
  TraceEvent& e = record.event;
  if (!parse_time(next_word(line), e.time) || !parse_node(next_word(line), e.node) || !parse_kind(next_word(line), e.kind))
    return fail(Errc::invalid, "expected 'seconds node kind …', as `stormglass run --trace` writes it");
  if (e.kind != TraceKind::note)
    for (uint64_t* number : {&e.a, &e.b, &e.c, &e.d})
      if (!parse_number(next_word(line), *number)) return fail(Errc::invalid, "expected four numbers behind the kind");
  record.text = line;
  return record;
}

Result<MemoryTrace> read_trace_file(const std::string& path) {
  std::ifstream file(path);
  if (!file) return fail(Errc::not_found, fmt::format("{}: no such file, or it cannot be read", path));
  MemoryTrace trace;
  std::string line;
  for (size_t number = 1; std::getline(file, line); ++number) {
    auto record = parse_trace_line(line);
    if (!record) return fail(Errc::invalid, fmt::format("{}:{}: {}", path, number, record.error().what));
    trace.on_event(record->event, record->text);
  }
  return trace;
}

}  // namespace sg::sim
