#include "scenarios/scenario_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "base/nearest.h"
#include "scenarios/toml_table.h"
#include "scenarios/workloads/workload.h"
#include "scenarios/world/holds.h"
#include "scenarios/world/knobs.h"
#include "scenarios/world/mistakes.h"

namespace sg::scenario {
namespace {

namespace fs = std::filesystem;

sim::FaultKind fault_kind(const toml::table& table, const std::string& name) {
  std::vector<std::string_view> names;
  for (int i = 0; i < sim::kFaultKinds; ++i) {
    names.push_back(sim::to_string(static_cast<sim::FaultKind>(i)));
    if (names.back() == name) return static_cast<sim::FaultKind>(i);
  }
  refuse_name(table, "fault kind", name, names);
}

// The values of an enum by their names.
template <class T>
std::vector<T> named(const toml::table& table, std::string_view key, const std::vector<std::string>& wanted, int count) {
  std::vector<std::string_view> names;
  for (int i = 0; i < count; ++i) names.push_back(to_string(static_cast<T>(i)));
  std::vector<T> out;
  for (const std::string& name : wanted) {
    auto it = std::find(names.begin(), names.end(), name);
    if (it == names.end()) refuse_name(table, key, name, names);
    out.push_back(static_cast<T>(it - names.begin()));
  }
  return out;
}

// What faults of people start nodes with.
void check_choices(const toml::table& table, sim::FaultKind kind, const std::vector<std::string>& choices) {
  std::vector<std::string_view> names(mistakes().begin(), mistakes().end());
  for (const std::string& choice : choices) {
    if (!sim::is_of_people(kind)) refuse(table, fmt::format("choice: only people choose, and '{}' is not theirs", to_string(kind)));
    if (std::find(names.begin(), names.end(), choice) == names.end()) refuse_name(table, "choice", choice, names);
  }
  if (kind == sim::FaultKind::operator_start && choices.empty()) refuse(table, "operator_start needs a choice: what is wrong");
}

void check_word(const toml::node& where, std::string_view key, const std::string& word, const std::vector<std::string_view>& names) {
  if (std::find(names.begin(), names.end(), word) == names.end())
    refuse(where, fmt::format("{} '{}' does not exist; did you mean '{}'?", key, word, nearest(word, names)));
}

struct Hold {
  std::vector<std::string> messages;
  std::string until;
};
// What a link holds back, and what ends it; empty for every other fault.
Hold read_hold(const toml::table& toml, const Table& t, sim::FaultKind kind) {
  if (kind != sim::FaultKind::link_hold) {
    for (std::string_view key : {"message", "until"})
      if (const toml::node* node = t.find(key))
        refuse(*node, fmt::format("{}: only a link_hold has one, and '{}' is none", key, to_string(kind)));
    return {};
  }
  if (const toml::node* value = t.find("value")) refuse(*value, "value: a link_hold has none");
  Hold out{t.texts("message"), t.text("until", "")};
  if (out.messages.empty()) refuse(toml, "link_hold needs a message: what is held back");
  for (const std::string& message : out.messages) check_word(*t.find("message"), "message", message, held_kinds());
  if (t.find("until")) check_word(*t.find("until"), "until", out.until, hold_ends());
  return out;
}

Refusal read_refusal(const toml::table& toml) {
  Table t(toml, {"mistake", "line", "must"});
  Refusal out{t.text("mistake", ""), t.text("line", ""), t.boolean("must", false)};
  std::vector<std::string_view> names(mistakes().begin(), mistakes().end());
  for (int i = 0; i < sim::kFaultKinds; ++i)
    if (auto kind = static_cast<sim::FaultKind>(i); sim::is_of_people(kind)) names.push_back(to_string(kind));
  if (std::find(names.begin(), names.end(), out.mistake) == names.end()) refuse_name(toml, "mistake", out.mistake, names);
  if (out.line.empty()) refuse(toml, "line is missing: what the process says when it refuses");
  return out;
}

EveryCall read_every_call(const toml::table& toml) {
  Table t(toml, {"t_s", "target", "death", "point", "calls", "down_s", "one_in"});
  EveryCall out;
  out.at = Time{0} + t.seconds("t_s", {}).low;
  out.targets = t.texts("target");
  if (out.targets.empty()) refuse(toml, "target is missing");
  if (t.find("death")) out.deaths = named<sim::Death>(toml, "death", t.texts("death"), sim::kDeaths);
  if (t.find("point")) out.point = named<sim::CrashPoint>(toml, "point", {t.text("point", "")}, sim::kCrashPoints).front();
  out.calls = t.integer("calls", out.calls, 1, 1'000'000);
  out.down = t.seconds("down_s", {}).low;
  out.one_in = t.integer("one_in", out.one_in, 1, 1000);
  return out;
}

// The bounds of a knob are such that everything within them fits together.
KnobOverride read_knob(const Table& t, const Knob& knob) {
  KnobOverride out{std::string(knob.name), t.range(knob.name, {}, knob.low, knob.high)};
  if (out.value.low % knob.step != 0 || out.value.high % knob.step != 0)
    refuse(*t.find(knob.name), fmt::format("{}: not a multiple of {}", knob.name, knob.step));
  return out;
}

std::vector<KnobOverride> read_knobs(const toml::node* node) {
  if (!node) return {};
  if (!node->as_table()) refuse(*node, "knobs: expected a table");
  std::vector<std::string_view> names;
  for (const Knob& knob : knobs()) names.push_back(knob.name);
  Table t(*node->as_table(), names);
  std::vector<KnobOverride> out;
  for (const Knob& knob : knobs())
    if (t.find(knob.name)) out.push_back(read_knob(t, knob));
  return out;
}

ClusterSpec read_cluster(const toml::table& toml) {
  Table t(toml, {"nodes", "topics", "draw_knobs", "knobs", "resonance"});
  ClusterSpec out;
  if (const toml::node* nodes = t.find("nodes"); nodes && nodes->as_array()) {
    for (const toml::node& n : *nodes->as_array()) out.nodes_of_seed.push_back(static_cast<int>(Table::integer_of(n, "nodes", 1, 9)));
    if (out.nodes_of_seed.empty()) refuse(*nodes, "nodes: an empty list");
    out.nodes = std::ranges::min(out.nodes_of_seed);
  } else {
    out.nodes = static_cast<int>(t.integer("nodes", 3, 1, 9));
  }
  out.draw_knobs = t.boolean("draw_knobs", true);
  out.knobs = read_knobs(t.find("knobs"));
  out.resonance = t.boolean("resonance", false);
  each_table(t.find("topics"), "topics", [&](const toml::table& topic_toml) {
    Table topic(topic_toml, {"name", "partitions", "replicas", "min_insync", "made_after_s"});
    TopicSpec spec;
    spec.name = topic.text("name", "");
    if (spec.name.empty()) refuse(topic_toml, "a topic needs a name");
    spec.partitions = static_cast<int32_t>(topic.integer("partitions", 1, 1, 100));
    spec.replicas = static_cast<int32_t>(topic.integer("replicas", 3, 1, 9));
    spec.min_insync = static_cast<int32_t>(topic.integer("min_insync", spec.replicas >= 3 ? 2 : 1, 1, 9));
    spec.made_after = topic.seconds("made_after_s", {}).low;
    if (spec.replicas > out.nodes) refuse(topic_toml, fmt::format("{} replicas on {} nodes", spec.replicas, out.nodes));
    if (spec.min_insync > spec.replicas) refuse(topic_toml, fmt::format("min_insync {} with {} replicas", spec.min_insync, spec.replicas));
    for (const TopicSpec& other : out.topics)
      if (other.name == spec.name) refuse(topic_toml, fmt::format("topic '{}' appears twice", spec.name));
    out.topics.push_back(std::move(spec));
  });
  if (out.topics.empty()) refuse(toml, "a cluster needs at least one topic");
  return out;
}

const WorkloadKind& workload_kind(const toml::table& toml) {
  const toml::node* node = toml.get("kind");
  const std::string name = node ? node->value<std::string>().value_or("") : "";
  std::vector<std::string_view> names;
  for (const WorkloadKind& kind : workload_kinds()) {
    if (kind.name == name) return kind;
    names.push_back(kind.name);
  }
  refuse_name(toml, "workload kind", name, names);
}

WorkloadSpec read_workload(const toml::table& toml, const ClusterSpec& cluster) {
  const WorkloadKind& kind = workload_kind(toml);
  std::vector<std::string_view> keys{"kind", "clients", "topics"};
  keys.insert(keys.end(), kind.keys.begin(), kind.keys.end());
  Table t(toml, keys);
  WorkloadSpec out;
  out.clients = static_cast<int>(t.integer("clients", 1, 1, 100));
  out.topics = t.texts("topics");
  std::vector<std::string_view> existing;
  for (const TopicSpec& topic : cluster.topics) existing.push_back(topic.name);
  for (const std::string& topic : out.topics)
    if (std::find(existing.begin(), existing.end(), topic) == existing.end())
      refuse(*t.find("topics"), fmt::format("topics: the cluster has no '{}'; did you mean '{}'?", topic, nearest(topic, existing)));
  out.what = kind.read(t, cluster);
  return out;
}

sim::FaultRule read_fault(const toml::table& toml) {
  Table t(toml, {"kind", "target", "peer", "path", "every_s", "down_s", "for_s", "value", "at_most", "at_once", "spread_s",
                 "enabled_percent", "death", "point", "choice", "message", "until"});
  sim::FaultRule out;
  out.kind = fault_kind(toml, t.text("kind", ""));
  if (t.find("target")) out.targets = t.texts("target");
  out.peers = t.texts("peer");
  out.path = t.text("path", "");
  out.choices = t.texts("choice");
  check_choices(toml, out.kind, out.choices);
  if (Hold hold = read_hold(toml, t, out.kind); !hold.messages.empty()) {
    out.choices = std::move(hold.messages);
    out.until = std::move(hold.until);
  }
  out.every = t.seconds("every_s", out.every);
  if (t.find("down_s") && t.find("for_s")) refuse(toml, "down_s and for_s mean the same: how long it lasts");
  out.duration = t.seconds(t.find("for_s") ? "for_s" : "down_s", out.duration);
  IntRange value = t.range("value", {0, 0}, INT64_MIN, INT64_MAX);
  out.value = {value.low, value.high};
  out.at_most = static_cast<uint32_t>(t.integer("at_most", 0, 0, 1'000'000));
  out.at_once = static_cast<uint32_t>(t.integer("at_once", 1, 1, 9));
  out.spread = t.seconds("spread_s", {0s, 0s}).high;
  out.enabled_percent = static_cast<uint32_t>(t.integer("enabled_percent", 100, 1, 100));
  if (t.find("death")) out.deaths = named<sim::Death>(toml, "death", t.texts("death"), sim::kDeaths);
  if (t.find("point")) out.points = named<sim::CrashPoint>(toml, "point", t.texts("point"), sim::kCrashPoints);
  return out;
}

sim::Fault read_moment(const toml::table& toml) {
  Table t(toml, {"t_s", "do", "target", "between", "for_s", "value", "death", "choice", "message", "until"});
  sim::Fault out;
  if (!t.find("t_s")) refuse(toml, "t_s is missing: seconds from the beginning of the safety phase");
  out.at = Time{0} + t.seconds("t_s", {}).low;
  out.kind = fault_kind(toml, t.text("do", ""));
  out.target = t.text("target", "random");
  if (std::vector<std::string> between = t.texts("between"); !between.empty()) {
    if (between.size() != 2) refuse(toml, "between: expected two targets");
    out.target = between[0];
    out.peer = between[1];
  }
  out.duration = t.seconds("for_s", {}).low;
  out.value = t.integer("value", 0, INT64_MIN, INT64_MAX);
  if (t.find("death")) out.death = named<sim::Death>(toml, "death", {t.text("death", "")}, sim::kDeaths).front();
  out.choice = t.text("choice", "");
  check_choices(toml, out.kind, out.choice.empty() ? std::vector<std::string>() : std::vector{out.choice});
  if (Hold hold = read_hold(toml, t, out.kind); !hold.messages.empty()) {
    if (hold.messages.size() > 1) refuse(*t.find("message"), "message: one at a moment");
    out.choice = std::move(hold.messages.front());
    out.until = std::move(hold.until);
  }
  return out;
}

Scenario read_scenario(const toml::table& toml) {
  Table t(toml, {"name", "about", "cluster", "workload", "fault", "at", "every_call", "refusal", "phases"});
  Scenario out;
  out.name = t.text("name", "");
  out.about = t.text("about", "");
  if (out.name.empty()) refuse(toml, "name is missing");
  const toml::node* cluster = t.find("cluster");
  if (!cluster || !cluster->as_table()) refuse(toml, "[cluster] is missing");
  out.cluster = read_cluster(*cluster->as_table());
  each_table(t.find("workload"), "workload", [&](const toml::table& w) { out.workloads.push_back(read_workload(w, out.cluster)); });
  each_table(t.find("fault"), "fault", [&](const toml::table& f) { out.faults.push_back(read_fault(f)); });
  each_table(t.find("at"), "at", [&](const toml::table& a) { out.at.push_back(read_moment(a)); });
  each_table(t.find("every_call"), "every_call", [&](const toml::table& e) { out.every_call.push_back(read_every_call(e)); });
  each_table(t.find("refusal"), "refusal", [&](const toml::table& r) { out.refusals.push_back(read_refusal(r)); });
  if (out.workloads.empty()) refuse(toml, "a scenario without [[workload]] shows nothing");
  if (const toml::node* node = t.find("phases")) {
    if (!node->as_table()) refuse(*node, "phases: expected a table");
    Table phases(*node->as_table(),
                 {"set_up_s", "safety_s", "liveness_s", "ending", "calm", "rejoin", "check", "owes_silence", "full_journals"});
    out.phases.set_up = phases.seconds("set_up_s", {out.phases.set_up, out.phases.set_up}).high;
    out.phases.safety = phases.seconds("safety_s", out.phases.safety);
    out.phases.liveness = phases.seconds("liveness_s", {out.phases.liveness, out.phases.liveness}).high;
    out.phases.calm = phases.boolean("calm", false);
    if (phases.find("ending")) out.phases.endings = named<Ending>(*node->as_table(), "ending", phases.texts("ending"), kEndings);
    out.phases.rejoin = phases.boolean("rejoin", false);
    out.phases.full_journals = phases.boolean("full_journals", false);
    out.owes_silence = phases.boolean("owes_silence", false);
    if (phases.find("check")) out.checks = phases.texts("check");
    if (out.checks != std::vector<std::string>{"all"}) refuse(*node, "check: only [\"all\"] exists");
  }
  return out;
}

}  // namespace

Result<Scenario> load_scenario_file(const std::string& path) {
  try {
    return read_scenario(toml::parse_file(path));
  } catch (const toml::parse_error& e) {
    if (e.source().begin.line == 0) return fail(Errc::not_found, fmt::format("{}: {}", path, e.description()));
    return fail(Errc::invalid, fmt::format("{}:{}: {}", path, e.source().begin.line, e.description()));
  } catch (const Refused& e) {
    return fail(Errc::invalid, fmt::format("{}:{}: {}", path, e.where.begin.line, e.what));
  }
}

std::string scenario_folder() {
  std::error_code ignored;
  fs::path program = fs::read_symlink("/proc/self/exe", ignored);
  for (fs::path folder = program.parent_path(); folder != folder.parent_path(); folder = folder.parent_path())
    if (fs::exists(folder / "scenarios" / "leader_kill.toml", ignored)) return (folder / "scenarios").string();
  return "scenarios";
}

std::vector<std::string> scenario_files() {
  std::vector<std::string> out;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(scenario_folder(), ignored))
    if (entry.path().extension() == ".toml") out.push_back(entry.path().string());
  std::sort(out.begin(), out.end());
  return out;
}

Result<Scenario> find_scenario(const std::string& name_or_path) {
  if (name_or_path.ends_with(".toml")) return load_scenario_file(name_or_path);
  std::vector<std::string> stems;
  for (const std::string& file : scenario_files()) {
    stems.push_back(fs::path(file).stem().string());
    if (stems.back() == name_or_path) return load_scenario_file(file);
  }
  if (stems.empty())
    return fail(Errc::not_found, fmt::format("no scenario '{}': {} holds none; start in the project's root, or name a TOML file",
                                             name_or_path, scenario_folder()));
  std::vector<std::string_view> names(stems.begin(), stems.end());
  return fail(Errc::not_found, fmt::format("no scenario '{}' in {}; did you mean '{}'? (stormglass list shows all)", name_or_path,
                                           scenario_folder(), nearest(name_or_path, names)));
}

}  // namespace sg::scenario
