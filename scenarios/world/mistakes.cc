#include "scenarios/world/mistakes.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace sg::scenario {
namespace {

constexpr std::array<std::string_view, 6> kMistakes = {"no_voters", "other_voters", "a_stranger", "other_node", "unchecked", "no_form"};

// A node that is nowhere.
broker::Voter stranger(const broker::Voter& of) { return {of.id + 100, {fmt::format("stranger{}", of.id), of.address.port}}; }

}  // namespace

std::span<const std::string_view> mistakes() { return kMistakes; }

broker::Config mistaken(broker::Config right, std::string_view mistake) {
  ENSURE(mistake.empty() || std::ranges::find(kMistakes, mistake) != kMistakes.end(), "nobody knows the mistake '{}'", mistake);
  auto other = [&](const broker::Voter& v) { return v.id != right.node_id; };
  if (mistake == "no_voters") {
    right.voters.clear();
  } else if (mistake == "other_voters") {
    for (broker::Voter& v : right.voters)
      if (other(v)) v = stranger(v);
  } else if (mistake == "a_stranger") {
    if (auto v = std::ranges::find_if(right.voters, other); v != right.voters.end()) *v = stranger(*v);
  } else if (mistake == "other_node") {
    if (auto v = std::ranges::find_if(right.voters, other); v != right.voters.end()) right.node_id = v->id;
  } else if (mistake == "unchecked") {
    right.journal.copy_check = false;
  } else if (mistake == "no_form") {
    right.form = false;
  }
  return right;
}

std::string_view name_of(const sim::Fault& fault) { return fault.choice.empty() ? sim::to_string(fault.kind) : fault.choice; }

}  // namespace sg::scenario
