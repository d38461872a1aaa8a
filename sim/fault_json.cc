// The JSON form of a fault plan. Exceptions of the library stay in here.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "sim/fault.h"

namespace sg::sim {
namespace {

using Json = nlohmann::ordered_json;

template <class E>
E name_to(const Json& value, int count) {
  std::string name = value.get<std::string>();
  for (int i = 0; i < count; ++i)
    if (to_string(static_cast<E>(i)) == name) return static_cast<E>(i);
  throw std::runtime_error(fmt::format("unknown name '{}'", name));
}

Json to_json(const Fault& fault) {
  Json object;
  object["at_ns"] = fault.at.ns;
  object["kind"] = to_string(fault.kind);
  object["target"] = fault.target;
  if (!fault.peer.empty()) object["peer"] = fault.peer;
  if (!fault.path.empty()) object["path"] = fault.path;
  if (!fault.choice.empty()) object["choice"] = fault.choice;
  if (!fault.until.empty()) object["until"] = fault.until;
  if (fault.kind == FaultKind::crash_point || fault.point != Fault{}.point) object["point"] = to_string(fault.point);
  if (fault.kind == FaultKind::crash_point || fault.death != Fault{}.death) object["death"] = to_string(fault.death);
  if (fault.value != 0) object["value"] = fault.value;
  object["duration_ns"] = fault.duration.count();
  object["draw"] = fault.draw;
  return object;
}

Fault from_json(const Json& object) {
  Fault fault;
  for (const auto& [key, value] : object.items()) {
    if (key == "at_ns")
      fault.at = Time{value.get<int64_t>()};
    else if (key == "kind")
      fault.kind = name_to<FaultKind>(value, kFaultKinds);
    else if (key == "target")
      fault.target = value.get<std::string>();
    else if (key == "peer")
      fault.peer = value.get<std::string>();
    else if (key == "path")
      fault.path = value.get<std::string>();
    else if (key == "choice")
      fault.choice = value.get<std::string>();
    else if (key == "until")
      fault.until = value.get<std::string>();
    else if (key == "point")
      fault.point = name_to<CrashPoint>(value, kCrashPoints);
    else if (key == "death")
      fault.death = name_to<Death>(value, kDeaths);
    else if (key == "value")
      fault.value = value.get<int64_t>();
    else if (key == "duration_ns")
      fault.duration = Duration(value.get<int64_t>());
    else if (key == "draw")
      fault.draw = value.get<uint64_t>();
    else
      throw std::runtime_error(fmt::format("unknown key '{}'", key));
  }
  if (!object.contains("at_ns") || !object.contains("kind")) throw std::runtime_error("a fault needs at_ns and kind");
  if (fault.at.ns < 0 || fault.duration.count() < 0) throw std::runtime_error("times are not negative");
  return fault;
}

}  // namespace

std::string to_json_lines(const FaultPlan& plan) {
  std::string text;
  for (const Fault& fault : plan.faults) text += to_json(fault).dump() + "\n";
  return text;
}

Result<FaultPlan> parse_json_lines(std::string_view text) {
  FaultPlan plan;
  for (int number = 1; !text.empty(); ++number) {
    size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.empty()) continue;
    try {
      plan.faults.push_back(from_json(Json::parse(line)));
    } catch (const std::exception& e) {
      return fail(Errc::invalid, fmt::format("line {}: {}", number, e.what()));
    }
  }
  std::ranges::stable_sort(plan.faults, {}, &Fault::at);
  return plan;
}

}  // namespace sg::sim
