#include "sim/trace.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/ensure.h"

namespace sg::sim {

std::string_view to_string(TraceKind kind) {
  switch (kind) {
    case TraceKind::none: return "none";
    case TraceKind::node_start: return "start";
    case TraceKind::node_exit: return "exit";
    case TraceKind::node_death: return "death";
    case TraceKind::node_stop: return "stop";
    case TraceKind::node_stall: return "stall";
    case TraceKind::turn: return "turn";
    case TraceKind::callback: return "callback";
    case TraceKind::listen: return "listen";
    case TraceKind::connect: return "connect";
    case TraceKind::accept: return "accept";
    case TraceKind::refused: return "refused";
    case TraceKind::send: return "send";
    case TraceKind::deliver: return "deliver";
    case TraceKind::stream_end: return "stream_end";
    case TraceKind::close: return "close";
    case TraceKind::link: return "link";
    case TraceKind::disk_open: return "open";
    case TraceKind::disk_read: return "read";
    case TraceKind::disk_write: return "write";
    case TraceKind::disk_written: return "written";
    case TraceKind::disk_sync: return "sync";
    case TraceKind::disk_truncate: return "truncate";
    case TraceKind::disk_name: return "name";
    case TraceKind::disk_name_sync: return "name_sync";
    case TraceKind::disk_cut: return "cut";
    case TraceKind::fault: return "fault";
    case TraceKind::note: return "note";
    case TraceKind::disk_exchange: return "exchange";
    case TraceKind::host_moved: return "moved";
    case TraceKind::user: break;
  }
  return "user";
}

std::string to_line(const TraceEvent& e, std::string_view text) {
  std::string line = fmt::format("{}.{:09} ", e.time.ns / 1'000'000'000, e.time.ns % 1'000'000'000);
  line += e.node == kNoNodeIndex ? "world" : fmt::format("n{}", e.node);
  line += fmt::format(" {}", to_string(e.kind));
  if (e.kind > TraceKind::user) line += fmt::format("+{}", static_cast<int>(e.kind) - static_cast<int>(TraceKind::user));
  if (e.kind != TraceKind::note) line += fmt::format(" {} {} {} {}", e.a, e.b, e.c, e.d);
  if (!text.empty()) line += fmt::format(" {}", text);
  return line;
}

Trace::Ring& Trace::ring_of(uint32_t node) {
  size_t index = node == kNoNodeIndex ? 0 : node + size_t{1};
  if (index >= rings_.size()) rings_.resize(index + 1);
  return rings_[index];
}

void Trace::fold(const TraceEvent& e) {
  ++count_;
  uint64_t h = mix(hash_, static_cast<uint64_t>(e.time.ns));
  h = mix(h, static_cast<uint64_t>(e.kind) << 32 | e.node);
  h = mix(h, e.a);
  h = mix(h, e.b);
  h = mix(h, e.c);
  hash_ = mix(h, e.d);
  Ring& ring = ring_of(e.node);
  ring.events[ring.next++ % kRingSize] = e;
}

void Trace::note(Time time, uint32_t node, LogLevel level, std::string_view component, std::string_view message) {
  if (!sink_) return;
  static constexpr std::string_view kLevels[] = {"debug", "info", "warn", "error"};
  TraceEvent e{time, 0, 0, 0, 0, node, TraceKind::note};
  sink_->on_event(e, fmt::format("{} {} {}", kLevels[static_cast<int>(level)], component, message));
}

std::vector<TraceEvent> Trace::last(uint32_t node) const {
  size_t index = node == kNoNodeIndex ? 0 : node + size_t{1};
  std::vector<TraceEvent> events;
  if (index >= rings_.size()) return events;
  const Ring& ring = rings_[index];
  for (uint64_t i = ring.next - std::min<uint64_t>(ring.next, kRingSize); i < ring.next; ++i) events.push_back(ring.events[i % kRingSize]);
  return events;
}

namespace {

std::vector<const MemoryTrace::Record*> events_of(const MemoryTrace& trace) {
  std::vector<const MemoryTrace::Record*> events;
  for (const MemoryTrace::Record& record : trace.records())
    if (record.event.kind != TraceKind::note) events.push_back(&record);
  return events;
}

}  // namespace

std::optional<size_t> first_difference(const MemoryTrace& a, const MemoryTrace& b) {
  auto left = events_of(a);
  auto right = events_of(b);
  size_t common = std::min(left.size(), right.size());
  for (size_t i = 0; i < common; ++i)
    if (left[i]->event != right[i]->event) return i;
  if (left.size() != right.size()) return common;
  return std::nullopt;
}

std::string describe_difference(const MemoryTrace& a, const MemoryTrace& b, size_t index, std::string_view name_a, std::string_view name_b,
                                size_t context) {
  std::string text;
  for (const MemoryTrace* trace : {&a, &b}) {
    text += fmt::format("{}:\n", trace == &a ? name_a : name_b);
    size_t events = 0;
    for (const MemoryTrace::Record& record : trace->records()) {
      const bool note = record.event.kind == TraceKind::note;
      if (events + context >= index && events <= index + context)
        text += fmt::format("{} {:>8} {}\n", !note && events == index ? ">" : " ", note ? std::string() : std::to_string(events),
                            to_line(record.event, record.text));
      if (!note) ++events;
    }
    if (index >= events) text += fmt::format("> {:>8} (the run has ended)\n", events);
  }
  return text;
}

}  // namespace sg::sim
