// What operators get wrong, as configurations; and how a process that was started wrongly may end.
#include "scenarios/world/mistakes.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "broker/node.h"
#include "scenarios/checks/run_checks.h"
#include "tests/scenarios/pairs.h"

using namespace sg;
using namespace sg::scenario;

namespace {

broker::Config right() {
  broker::Config out;
  out.node_id = NodeId(2);
  out.form = true;
  for (int32_t i = 1; i <= 3; ++i) out.voters.push_back({NodeId(i), {"node" + std::to_string(i), 9192}});
  return out;
}

std::vector<int32_t> voters(std::string_view mistake) {
  std::vector<int32_t> out;
  for (const broker::Voter& v : mistaken(right(), mistake).voters) out.push_back(v.id.v);
  return out;
}

}  // namespace

TEST_CASE("given a mistake, then the configuration is wrong in this one respect") {
  using Ids = std::vector<int32_t>;
  CHECK(voters("") == Ids{1, 2, 3});
  CHECK(voters("no_voters").empty());
  CHECK(voters("other_voters") == Ids{101, 2, 103});
  CHECK(voters("a_stranger") == Ids{101, 2, 3});
  CHECK(mistaken(right(), "other_voters").voters[0].address.host != "node1");
  CHECK(mistaken(right(), "other_node").node_id == NodeId(1));
  CHECK(voters("other_node") == Ids{1, 2, 3});
  CHECK_FALSE(mistaken(right(), "no_form").form);
  CHECK_FALSE(mistaken(right(), "unchecked").journal.copy_check);
  for (std::string_view mistake : mistakes()) {
    CAPTURE(mistake);
    if (mistake != "no_form") CHECK(mistaken(right(), mistake).form);
    if (mistake != "other_node") CHECK(mistaken(right(), mistake).node_id == NodeId(2));
  }
}

TEST_CASE("given a fault of people, then it is called by what was chosen, or by its kind") {
  sim::Fault fault;
  fault.kind = sim::FaultKind::operator_start;
  fault.choice = "no_voters";
  CHECK(name_of(fault) == "no_voters");
  fault.kind = sim::FaultKind::operator_twin;
  fault.choice.clear();
  CHECK(name_of(fault) == "operator_twin");
}

namespace {

const std::vector<Refusal> kRefusals = {{"other_voters", "the voters of this directory", true}, {"operator_twin", "lives", false}};

std::string check(const ProcessEnd& end) {
  auto v = check_exit(end, kRefusals);
  return v ? v->check : "";
}
std::string check(const MistakeEnd& end) {
  auto v = check_refused(end, kRefusals);
  return v ? v->check : "";
}

}  // namespace

TEST_CASE("given a process that ends with a refusal, then it may only after a mistake, with its code and a clear line") {
  ProcessEnd end{.node = "node1", .code = broker::kExitRefused, .why = "the voters of this directory are 1,2,3", .mistake = "other_voters"};
  CHECK(check(end) == "");
  end.code = broker::kExitDisk;
  CHECK(check(end) == "exit");
  end.code = broker::kExitRefused;
  end.mistake = "operator_twin";
  CHECK(check(end) == "exit");
  end.mistake = "";
  CHECK(check(end) == "exit");
}

TEST_CASE("given a mistake that must be refused, then a process that runs on is reported; one that was ended early, or may run, is not") {
  MistakeEnd end{.node = "node1", .mistake = "other_voters", .refused = false, .running = 3s};
  CHECK(check(end) == "refusal");
  end.running = 300ms;
  CHECK(check(end) == "");
  end.running.reset();
  CHECK(check(end) == "");
  end.running = 3s;
  end.mistake = "operator_twin";
  CHECK(check(end) == "");
}

namespace {

const testing::AddPairs kMistakePairs({
    {"refusal", "a node that was started with other voters runs on",
     [](bool broken) {
       MistakeEnd end{.node = "node1", .mistake = "other_voters", .refused = !broken, .running = {}};
       if (broken) end.running = 5s;
       return check(end);
     }},
    {"exit", "a refusal that does not say why",
     [](bool broken) {
       return check(ProcessEnd{.node = "node1",
                               .code = broker::kExitRefused,
                               .why = broken ? "cannot start" : "not one of the voters of this directory",
                               .mistake = "other_voters"});
     }},
});

}  // namespace
