#include "sim/fault.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

namespace sg::sim {
namespace {

constexpr std::array<std::string_view, kFaultKinds> kKindNames = {
    "kill",
    "power_cut",
    "wipe",
    "stop",
    "start",
    "pause",
    "suspend",
    "link_cut",
    "link_stall",
    "link_delay",
    "link_reset",
    "disk_latency",
    "disk_stall",
    "sync_failure",
    "bit_flip",
    "file_loss",
    "disk_full",
    "clock_jump",
    "clock_drift",
    "crash_point",
    "operator_start",
    "operator_clock",
    "operator_move",
    "operator_restore",
    "operator_unmount",
    "operator_twin",
    "operator_twin_copy",
    "operator_twin_restore",
    "operator_stale_first",
    "link_hold",
    "read_error",
    "write_failure",
};

std::optional<int64_t> parse_integer(std::string_view text) {
  int64_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<uint64_t> parse_unsigned(std::string_view text) {
  uint64_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::string seconds(int64_t ns) {
  std::string text = fmt::format("{}.{:09}", ns / 1'000'000'000, ns % 1'000'000'000);
  text.erase(std::max(text.find_last_not_of('0') + 1, text.find('.') + 2));
  return text;
}

// "12.3" -> ns; at most nine digits after the point.
std::optional<int64_t> parse_seconds(std::string_view text) {
  size_t point = std::min(text.find('.'), text.size());
  std::string fraction(text.substr(std::min(point + 1, text.size())));
  if (fraction.size() > 9) return std::nullopt;
  fraction.resize(9, '0');
  auto whole = parse_unsigned(text.substr(0, point));
  auto ns = parse_unsigned(fraction);
  if (!whole || !ns || *whole > 9'000'000'000) return std::nullopt;
  return static_cast<int64_t>(*whole) * 1'000'000'000 + static_cast<int64_t>(*ns);
}

bool plain_word(std::string_view text) { return text.find_first_of(" \t\r\n") == std::string_view::npos; }

// The enumerator below `count` that is called `name`.
template <class E>
std::optional<E> find_name(std::string_view name, int count) {
  for (int i = 0; i < count; ++i)
    if (to_string(static_cast<E>(i)) == name) return static_cast<E>(i);
  return std::nullopt;
}

bool set_field(Fault& fault, std::string_view key, std::string_view value) {
  auto assign = [](auto& field, const auto& parsed) {
    if (!parsed) return false;
    field = std::decay_t<decltype(field)>(*parsed);
    return true;
  };
  if (key == "target") return fault.target = value, true;
  if (key == "peer") return fault.peer = value, true;
  if (key == "path") return fault.path = value, true;
  if (key == "choice") return fault.choice = value, true;
  if (key == "until") return fault.until = value, true;
  if (key == "duration") return assign(fault.duration, parse_seconds(value));
  if (key == "value") return assign(fault.value, parse_integer(value));
  if (key == "draw") return assign(fault.draw, parse_unsigned(value));
  if (key == "death") return assign(fault.death, find_name<Death>(value, kDeaths));
  if (key == "point") return assign(fault.point, find_name<CrashPoint>(value, kCrashPoints));
  return false;
}

Result<Fault> parse_fault(std::string_view line) {
  Fault fault;
  int position = 0;
  while (!line.empty()) {
    size_t space = std::min(line.find(' '), line.size());
    std::string_view word = line.substr(0, space);
    line.remove_prefix(std::min(space + 1, line.size()));
    if (word.empty()) continue;
    if (position == 0) {
      auto at = parse_seconds(word);
      if (!at) return fail(Errc::invalid, fmt::format("'{}' is not a time in seconds", word));
      fault.at = Time{*at};
    } else if (position == 1) {
      auto kind = find_name<FaultKind>(word, kFaultKinds);
      if (!kind) return fail(Errc::invalid, fmt::format("'{}' is not a fault", word));
      fault.kind = *kind;
    } else {
      size_t equals = word.find('=');
      if (equals == std::string_view::npos || !set_field(fault, word.substr(0, equals), word.substr(equals + 1)))
        return fail(Errc::invalid, fmt::format("'{}' is not a parameter of a fault", word));
    }
    ++position;
  }
  if (position < 2) return fail(Errc::invalid, "a fault needs a time and a kind");
  return fault;
}

}  // namespace

std::string_view to_string(FaultKind kind) { return kKindNames[static_cast<size_t>(kind)]; }

std::string to_string(const Fault& fault) {
  for (const std::string* word : {&fault.target, &fault.peer, &fault.path, &fault.choice, &fault.until})
    ENSURE(plain_word(*word), "names in a fault plan have no blanks: '{}'", *word);
  ENSURE(fault.at.ns >= 0 && fault.duration.count() >= 0);
  std::string line = fmt::format("{} {}", seconds(fault.at.ns), to_string(fault.kind));
  if (!fault.target.empty()) line += fmt::format(" target={}", fault.target);
  if (!fault.peer.empty()) line += fmt::format(" peer={}", fault.peer);
  if (!fault.path.empty()) line += fmt::format(" path={}", fault.path);
  if (!fault.choice.empty()) line += fmt::format(" choice={}", fault.choice);
  if (!fault.until.empty()) line += fmt::format(" until={}", fault.until);
  if (fault.point != Fault{}.point) line += fmt::format(" point={}", to_string(fault.point));
  if (fault.death != Fault{}.death) line += fmt::format(" death={}", to_string(fault.death));
  if (fault.value != 0) line += fmt::format(" value={}", fault.value);
  if (fault.duration.count() != 0) line += fmt::format(" duration={}", seconds(fault.duration.count()));
  if (fault.draw != 0) line += fmt::format(" draw={}", fault.draw);
  return line;
}

std::string to_string(const FaultPlan& plan) {
  std::string text;
  for (const Fault& fault : plan.faults) text += to_string(fault) + "\n";
  return text;
}

Result<FaultPlan> parse_fault_plan(std::string_view text) {
  FaultPlan plan;
  for (int number = 1; !text.empty(); ++number) {
    size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.empty() || line.front() == '#') continue;
    auto fault = parse_fault(line);
    if (!fault) return fail(Errc::invalid, fmt::format("line {}: {}", number, fault.error().what));
    plan.faults.push_back(std::move(*fault));
  }
  std::ranges::stable_sort(plan.faults, {}, &Fault::at);
  return plan;
}

}  // namespace sg::sim
