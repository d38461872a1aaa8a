// Scenarios as files: those that come with Stormglass load, and what is mistyped, impossible or contradictory is refused with its line.
#include "scenarios/scenario_file.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <filesystem>

#include "scenarios/workloads/produce.h"
#include "tests/base/temp_file.h"

using namespace sg;
using namespace sg::scenario;
using sg::test::TempFile;

namespace {

// What is wrong with a scenario, as ":line: text"; empty if nothing is.
std::string wrong(std::string_view text) {
  TempFile file(text);
  Result<Scenario> loaded = load_scenario_file(file.path());
  if (loaded) return "";
  CHECK(loaded.is(Errc::invalid));
  REQUIRE(loaded.error().what.starts_with(file.path()));
  return loaded.error().what.substr(file.path().size());
}

// A scenario of nine lines, without a newline at the end.
constexpr std::string_view kBase = R"(name = "small"
about = "for tests"
[cluster]
nodes = 3
topics = [{ name = "orders", replicas = 3, min_insync = 2 }]
[[workload]]
kind = "produce"
acks = "all"
topics = "orders")";

// kBase with one piece replaced.
std::string with(std::string_view piece, std::string_view replacement) {
  std::string text(kBase);
  size_t at = text.find(piece);
  REQUIRE(at != std::string::npos);
  return text.replace(at, piece.size(), replacement);
}
// kBase with more lines behind it; the first of them is line 10.
std::string and_then(std::string_view more) { return fmt::format("{}\n{}", kBase, more); }

ProduceOptions produce_of(const Scenario& s) { return dynamic_cast<const Produce&>(*s.workloads.at(0).what).options(); }

bool has(const std::string& text, std::string_view piece) { return text.find(piece) != std::string::npos; }

}  // namespace

TEST_CASE("given the scenarios that come with Stormglass, when they are loaded, then each is accepted under its own name") {
  namespace fs = std::filesystem;
  fs::path folder = fs::absolute(__FILE__).parent_path().parent_path().parent_path() / "scenarios";
  int loaded = 0;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.path().extension() != ".toml") continue;
    CAPTURE(entry.path().string());
    Result<Scenario> scenario = load_scenario_file(entry.path().string());
    std::string error = scenario ? "" : scenario.error().what;
    CHECK(error == "");
    if (!scenario) continue;
    CHECK(scenario->name == entry.path().stem().string());
    CHECK_FALSE(scenario->about.empty());
    CHECK_FALSE(scenario->workloads.empty());
    Result<Scenario> found = find_scenario(entry.path().string());
    REQUIRE(found.has_value());
    CHECK(found->name == scenario->name);
    ++loaded;
  }
  CHECK(loaded >= 5);
}

TEST_CASE("given a small scenario, when it is loaded, then what it says is there and the rest has its defaults") {
  TempFile file(and_then(R"(rate_per_s = [3, 4]
in_flight = 2
[[fault]]
kind = "kill"
target = ["leader", "n2"]
every_s = [2, 5]
down_s = 0.25
[[at]]
t_s = 1.5
do = "kill"
target = "n1"
[phases]
safety_s = 7
liveness_s = 11
)"));
  Result<Scenario> s = load_scenario_file(file.path());
  std::string error = s ? "" : s.error().what;
  REQUIRE(error == "");
  CHECK(s->name == "small");
  CHECK(s->cluster.nodes == 3);
  CHECK(s->cluster.draw_knobs);
  REQUIRE(s->cluster.topics.size() == 1);
  CHECK(s->cluster.topics[0].name == "orders");
  CHECK(s->cluster.topics[0].partitions == 1);
  REQUIRE(s->workloads.size() == 1);
  CHECK(s->workloads[0].topics == std::vector<std::string>{"orders"});
  const ProduceOptions w = produce_of(*s);
  CHECK(w.acks == -1);
  CHECK(w.idempotent);
  CHECK(w.rate_per_s.low == 3);
  CHECK(w.rate_per_s.high == 4);
  CHECK(w.in_flight.low == 2);
  CHECK(w.in_flight.high == 2);
  REQUIRE(s->faults.size() == 1);
  CHECK(s->faults[0].kind == sim::FaultKind::kill);
  CHECK(s->faults[0].targets == std::vector<std::string>{"leader", "n2"});
  CHECK(s->faults[0].every.low == 2s);
  CHECK(s->faults[0].every.high == 5s);
  CHECK(s->faults[0].duration.low == 250ms);
  REQUIRE(s->at.size() == 1);
  CHECK(s->at[0].at == Time{0} + 1500ms);
  CHECK(s->at[0].target == "n1");
  CHECK(s->phases.safety.low == 7s);
  CHECK(s->phases.safety.high == 7s);
  CHECK(s->phases.liveness == 11s);
}

TEST_CASE("given a hold, when the scenario is loaded, then its messages and its end are there, drawn or at a moment") {
  TempFile file(and_then(R"([[fault]]
kind = "link_hold"
target = "leader"
message = ["data", "heartbeat"]
until = "leader_change"
for_s = [1, 2]
[[at]]
t_s = 1
do = "link_hold"
between = ["node1", "leader"]
message = "ack"
)"));
  Result<Scenario> s = load_scenario_file(file.path());
  std::string error = s ? "" : s.error().what;
  REQUIRE(error == "");
  CHECK(s->faults[0].choices == std::vector<std::string>{"data", "heartbeat"});
  CHECK(s->faults[0].until == "leader_change");
  CHECK(s->at[0].choice == "ack");
  CHECK(s->at[0].until.empty());
  CHECK(s->at[0].peer == "leader");
}

TEST_CASE("given a hold that is mistyped, incomplete or contradictory, then it is refused with its line") {
  struct Case {
    std::string_view lines;
    std::string_view line;  // of the complaint
    std::string_view says;
  };
  for (const Case& c :
       {Case{"kind = \"link_hold\"\nmessage = \"akc\"\n", ":12: ", "did you mean 'ack'?"},
        Case{"kind = \"link_hold\"\nmessage = \"ack\"\nuntil = \"leader_chang\"\n", ":13: ", "did you mean 'leader_change'?"},
        Case{"kind = \"link_hold\"\nuntil = \"leader_change\"\n", ":10: ", "link_hold needs a message"},
        Case{"kind = \"link_hold\"\nmessage = \"ack\"\nvalue = 1\n", ":13: ", "value: a link_hold has none"},
        Case{"kind = \"link_hold\"\nmessage = \"ack\"\nchoice = \"no_voters\"\n", ":10: ", "only people choose"},
        Case{"kind = \"link_cut\"\nmessage = \"ack\"\n", ":12: ", "message: only a link_hold has one"},
        Case{"kind = \"link_cut\"\nuntil = \"leader_change\"\n", ":12: ", "until: only a link_hold has one"}}) {
    CAPTURE(c.lines);
    const std::string what = wrong(and_then("[[fault]]\n" + std::string(c.lines)));
    CAPTURE(what);
    CHECK(what.starts_with(c.line));
    CHECK(has(what, c.says));
  }
  CHECK(has(wrong(and_then("[[at]]\nt_s = 1\ndo = \"link_hold\"\nmessage = [\"ack\", \"data\"]\n")), ":13: message: one at a moment"));
}

TEST_CASE("given a crash point, when the scenario is loaded, then death and point are known by their names") {
  std::string_view fault = R"([[fault]]
kind = "crash_point"
death = "power_cut"
point = ["during_write", "after_sync"]
)";
  TempFile file(and_then(fault));
  Result<Scenario> scenario = load_scenario_file(file.path());
  REQUIRE(scenario.has_value());
  REQUIRE(scenario->faults.size() == 1);
  CHECK(scenario->faults[0].deaths == std::vector{sim::Death::power_cut});
  CHECK(scenario->faults[0].points == std::vector{sim::CrashPoint::during_write, sim::CrashPoint::after_sync});

  TempFile wrong(and_then("[[fault]]\nkind = \"crash_point\"\npoint = \"during_wirte\"\n"));
  Result<Scenario> refused = load_scenario_file(wrong.path());
  REQUIRE_FALSE(refused.has_value());
  CHECK(has(refused.error().what, "during_write"));
}

TEST_CASE("given mistakes of operators, when the scenario is loaded, then what is chosen and how it may end is known") {
  TempFile file(with("nodes = 3", "nodes = [3, 5]") + R"(
[[fault]]
kind = "operator_start"
choice = ["no_voters", "other_voters"]
for_s = 2
[[at]]
t_s = 1
do = "operator_start"
choice = "no_form"
death = "exit"
[[every_call]]
target = ["node1", "all"]
death = ["kill", "power_cut"]
point = "after_sync"
calls = 7
down_s = 0.3
one_in = 5
[[refusal]]
mistake = "other_voters"
line = "voters"
must = true
)");
  Result<Scenario> s = load_scenario_file(file.path());
  std::string error = s ? "" : s.error().what;
  REQUIRE(error == "");
  CHECK(s->cluster.nodes == 3);
  CHECK(s->cluster.nodes_of_seed == std::vector<int>{3, 5});
  CHECK(s->faults[0].choices == std::vector<std::string>{"no_voters", "other_voters"});
  CHECK(s->at[0].choice == "no_form");
  CHECK(s->at[0].death == sim::Death::exit);
  REQUIRE(s->every_call.size() == 1);
  CHECK(s->every_call[0].targets == std::vector<std::string>{"node1", "all"});
  CHECK(s->every_call[0].deaths == std::vector{sim::Death::kill, sim::Death::power_cut});
  CHECK(s->every_call[0].point == sim::CrashPoint::after_sync);
  CHECK(s->every_call[0].calls == 7);
  CHECK(s->every_call[0].down == 300ms);
  CHECK(s->every_call[0].one_in == 5);
  REQUIRE(s->refusals.size() == 1);
  CHECK(s->refusals[0].mistake == "other_voters");
  CHECK(s->refusals[0].line == "voters");
  CHECK(s->refusals[0].must);
}

TEST_CASE("given a mistake that nobody knows, or one that is not people's, when the scenario is loaded, then it is refused with the line") {
  CHECK(wrong(and_then("[[fault]]\nkind = \"operator_start\"\nchoice = \"no_voter\"")) ==
        ":10: choice 'no_voter' does not exist; did you mean 'no_voters'?");
  CHECK(has(wrong(and_then("[[fault]]\nkind = \"kill\"\nchoice = \"no_voters\"")), "only people choose"));
  CHECK(has(wrong(and_then("[[fault]]\nkind = \"operator_start\"")), "needs a choice"));
  CHECK(has(wrong(and_then("[[refusal]]\nmistake = \"operator_twn\"\nline = \"x\"")), "did you mean 'operator_twin'?"));
  CHECK(has(wrong(and_then("[[refusal]]\nmistake = \"operator_twin\"")), "line is missing"));
  CHECK(has(wrong(and_then("[[every_call]]\ncalls = 3")), "target is missing"));
  CHECK(wrong(with("nodes = 3", "nodes = [3, 10]")) == ":4: nodes: 10 is not between 1 and 9");
  CHECK(has(wrong(with("nodes = 3", "nodes = []")), "an empty list"));
  CHECK(wrong(with("nodes = 3", "nodes = [5, 2]")) == ":5: 3 replicas on 2 nodes");
}

TEST_CASE(
    "given producers in mid-sequence and a topic that is made late, when the scenario is loaded, then a workload may name that topic") {
  std::string text(kBase);
  size_t topics = text.find("topics = [");
  REQUIRE(topics != std::string::npos);
  text.insert(topics + 10, "{ name = \"late\", made_after_s = 2.5 }, ");
  TempFile file(text + "\nfirst_sequence = [1, 2147483647]\nidentity_batches = 4\nmetadata_every_s = [0.1, 1]\n");
  Result<Scenario> s = load_scenario_file(file.path());
  std::string error = s ? "" : s.error().what;
  REQUIRE(error == "");
  CHECK(s->cluster.topics[0].made_after == 2500ms);
  CHECK(s->cluster.topics[1].made_after == Duration::zero());
  CHECK(produce_of(*s).first_sequence.high == 2147483647);
  CHECK(produce_of(*s).identity_batches.low == 4);
  CHECK(produce_of(*s).metadata_every.low == 100ms);
  text.replace(text.rfind("orders"), 6, "late");
  TempFile named(text);
  CHECK(load_scenario_file(named.path()).has_value());
  text.replace(text.rfind("late"), 4, "lat");
  CHECK(has(wrong(text), "topics: the cluster has no 'lat'; did you mean 'late'?"));
  CHECK(has(wrong(and_then("first_sequence = -1")), "first_sequence: -1 is not between 0 and 2147483647"));
}

TEST_CASE("given acks below all, when nothing is said about idempotence, then the producer is not idempotent") {
  TempFile file(with("\"all\"", "\"1\""));
  Result<Scenario> s = load_scenario_file(file.path());
  REQUIRE(s.has_value());
  CHECK(produce_of(*s).acks == 1);
  CHECK_FALSE(produce_of(*s).idempotent);
}

TEST_CASE("given an unknown key, when the scenario is loaded, then its line and the nearest key are named") {
  CHECK(wrong(with("nodes", "nods")) == ":4: unknown key 'nods'; did you mean 'nodes'?");
  CHECK(wrong(with("min_insync", "min_isync")) == ":5: unknown key 'min_isync'; did you mean 'min_insync'?");
  CHECK(wrong(with("acks", "ack")) == ":8: unknown key 'ack'; did you mean 'acks'?");
  CHECK(wrong(and_then("[phase]\nsafety_s = 1")).starts_with(":10: unknown key 'phase'; did you mean 'phases'?"));
  CHECK(wrong(and_then("[phases]\nsafty_s = 1")) == ":11: unknown key 'safty_s'; did you mean 'safety_s'?");
  CHECK(wrong(and_then("[[fault]]\nkind = \"kill\"\nevery = 1")) == ":12: unknown key 'every'; did you mean 'every_s'?");
  CHECK(wrong(and_then("[[fault]]\nkind = \"kil\"")) == ":10: fault kind 'kil' does not exist; did you mean 'kill'?");
}

TEST_CASE("given an impossible value, when the scenario is loaded, then its line and what is possible are named") {
  CHECK(wrong(with("nodes = 3", "nodes = 0")) == ":4: nodes: 0 is not between 1 and 9");
  CHECK(wrong(with("nodes = 3", "nodes = \"3\"")) == ":4: nodes: expected an integer");
  CHECK(wrong(with("nodes = 3", "nodes = 3\ndraw_knobs = 1")) == ":5: draw_knobs: expected true or false");
  CHECK(wrong(with("\"small\"", "7")) == ":1: name: expected a string");
  CHECK(has(wrong(with("\"all\"", "\"2\"")), "acks '2'"));
  CHECK(has(wrong(with("\"produce\"", "\"product\"")), "workload kind 'product'"));
  CHECK(wrong(and_then("rate_per_s = [5, 4]")) == ":10: rate_per_s: 5 is above 4");
  CHECK(wrong(and_then("rate_per_s = [1, 2, 3]")).starts_with(":10: rate_per_s: a range has two values"));
  CHECK(wrong(and_then("in_flight = 6")) == ":10: in_flight: 6 is not between 1 and 5");
  for (const char* seconds : {"-1", "86401", "nan", "inf", "\"1\""})
    CHECK(wrong(and_then("[phases]\nsafety_s = " + std::string(seconds))) == ":11: safety_s: expected seconds between 0 and 86400");
  CHECK(has(wrong(and_then("[phases]\ncheck = [\"some\"]")), "only [\"all\"] exists"));
  CHECK(has(wrong(and_then("[phases]\nending = \"heeled\"")), "ending 'heeled'"));
  CHECK(wrong(and_then("[[at]]\ndo = \"kill\"")).starts_with(":10: t_s is missing"));
  CHECK(wrong(and_then("workload = ")).starts_with(":10: "));  // not TOML
}

TEST_CASE("given something that is missing, when the scenario is loaded, then it is named") {
  CHECK(has(wrong("about = \"x\""), "name is missing"));
  CHECK(has(wrong("name = \"x\""), "[cluster] is missing"));
  CHECK(has(wrong("name = \"x\"\n[cluster]\nnodes = 3"), "at least one topic"));
  CHECK(has(wrong("name = \"x\"\n[cluster]\ntopics = [{ name = \"t\" }]"), "without [[workload]]"));
  CHECK(has(wrong(with("name = \"orders\", ", "")), "a topic needs a name"));
}

TEST_CASE("given parts that contradict each other, when the scenario is loaded, then it is refused with the line") {
  CHECK(wrong(with("\"all\"", "\"1\"\nidempotent = true")) == ":6: an idempotent producer needs acks = \"all\"");
  CHECK(wrong(with("nodes = 3", "nodes = 2")) == ":5: 3 replicas on 2 nodes");
  CHECK(wrong(with("min_insync = 2", "min_insync = 4")) == ":5: min_insync 4 with 3 replicas");
  CHECK(wrong(with("topics = \"orders\"", "topics = \"order\"")) == ":9: topics: the cluster has no 'order'; did you mean 'orders'?");
  CHECK(wrong(with("topics = [", "topics = [{ name = \"orders\" }, ")) == ":5: topic 'orders' appears twice");
  CHECK(has(wrong(and_then("[[fault]]\nkind = \"kill\"\ndown_s = 1\nfor_s = 1")), "mean the same"));
}

TEST_CASE("given no such file or scenario, when it is looked for, then it is not found") {
  CHECK(load_scenario_file("/nonexistent/scenario.toml").is(Errc::not_found));
  CHECK(find_scenario("/nonexistent/scenario.toml").is(Errc::not_found));
  CHECK(find_scenario("no_such_scenario").is(Errc::not_found));
}

TEST_CASE("given knobs and resonance, when the scenario is loaded, then fixed values and ranges are there") {
  TempFile file(with("nodes = 3", "nodes = 3\nresonance = true\nknobs = { segment_bytes = [4096, 12288], kept_behind_snapshot = 0 }"));
  Result<Scenario> s = load_scenario_file(file.path());
  std::string error = s ? "" : s.error().what;
  REQUIRE(error == "");
  CHECK(s->cluster.resonance);
  REQUIRE(s->cluster.knobs.size() == 2);
  CHECK(s->cluster.knobs[0].name == "segment_bytes");
  CHECK(s->cluster.knobs[0].value.low == 4096);
  CHECK(s->cluster.knobs[0].value.high == 12288);
  CHECK(s->cluster.knobs[1].name == "kept_behind_snapshot");
  CHECK(s->cluster.knobs[1].value.high == 0);
}

TEST_CASE("given a knob that nobody knows or that cannot be set so, when the scenario is loaded, then it is refused with its line") {
  auto knobs = [](std::string_view table) { return wrong(with("nodes = 3", fmt::format("nodes = 3\nknobs = {}", table))); };
  CHECK(knobs("{ segment_byte = 4096 }") == ":5: unknown key 'segment_byte'; did you mean 'segment_bytes'?");
  CHECK(knobs("{ segment_bytes = 5000 }") == ":5: segment_bytes: not a multiple of 4096");
  CHECK(knobs("{ budget_segments = 3 }") == ":5: budget_segments: 3 is not between 4 and 1048576");
  CHECK(knobs("{ session_timeout_ms = [900, 800] }") == ":5: session_timeout_ms: 900 is above 800");
  CHECK(knobs("{ patience_ms = \"2 s\" }") == ":5: patience_ms: expected an integer");
  CHECK(knobs("3") == ":5: knobs: expected a table");
  CHECK(wrong(with("nodes = 3", "nodes = 3\nresonance = 1")) == ":5: resonance: expected true or false");
}
