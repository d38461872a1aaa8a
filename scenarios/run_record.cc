#include "scenarios/run_record.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

namespace sg::scenario {

std::string_view to_string(Verdict verdict) {
  switch (verdict) {
    case Verdict::pass: return "pass";
    case Verdict::fail: return "fail";
    case Verdict::vacuous: return "vacuous";
  }
  return "?";
}

std::string verdict_line(const RunRecord& r) {
  std::string line = fmt::format("{} {}:{} hash={:016x} events={} sim_s={}.{:03} acked={}", r.passed() ? "PASS" : "FAIL", r.scenario,
                                 r.seed, r.hash, r.events, r.sim_ns / 1'000'000'000, r.sim_ns / 1'000'000 % 1000, r.acked);
  if (r.verdict == Verdict::fail) line += fmt::format(" check={}", r.check);
  if (r.verdict == Verdict::vacuous) line += fmt::format(" check=vacuous ({})", r.check);
  return line;
}

std::string description(const RunRecord& r) {
  std::string out =
      fmt::format("Drawn configuration:\n{}\nFault plan ({} faults, {} struck):\n{}\n", r.drawn, r.faults_planned, r.faults_struck, r.plan);
  out += fmt::format("What happened: {} records acknowledged, {} changes of leader, {} events\n", r.acked, r.leader_changes, r.events);
  for (const std::string& e : r.exits) out += fmt::format("  {}\n", e);
  if (r.passed()) return out;
  out += fmt::format("\n{}\n", r.verdict == Verdict::fail ? r.text : "This run is vacuous, it judged too little: " + r.check);
  for (const std::string& w : r.waiting) out += fmt::format("  {}\n", w);
  out += fmt::format("\nReplay: stormglass run {} --seed {} --trace FILE\n", r.scenario, r.seed);
  if (!r.last_events.empty()) out += "Last events of the nodes:\n";
  for (const std::string& e : r.last_events) out += fmt::format("  {}\n", e);
  return out;
}

std::string to_json_line(const RunRecord& r) {
  nlohmann::json j = {{"scenario", r.scenario},
                      {"seed", r.seed},
                      {"verdict", to_string(r.verdict)},
                      {"passed", r.passed()},
                      {"hash", fmt::format("{:016x}", r.hash)},
                      {"events", r.events},
                      {"sim_ns", r.sim_ns},
                      {"acked", r.acked},
                      {"struck", r.struck},
                      {"judged", r.judged},
                      {"line", verdict_line(r)}};
  if (!r.passed()) {
    j["check"] = r.check;
    j["text"] = r.text;
    j["plan"] = r.plan;
  }
  return j.dump();
}

}  // namespace sg::scenario
