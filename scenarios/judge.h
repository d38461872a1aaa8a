// Where the checks of this folder report to: it counts how often each has judged something, and hands a violation on.
// Invariant: a check that reports was counted before, so a check that is never counted had nothing to look at.
// The names are those of correctness.md part 2.
#pragma once

#include <array>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

namespace sg::scenario {

// clang-format off
enum class Check : uint8_t {
  e1, e2, e3, e4, e5, e6, e7, e8, e9, e10, e11, e12, e13, e14, e15, e16, e17, e19, e21, e22, e23, e24, e25, e26, e27,
  h13, h14, l1, l4, l5, l9, twin, format, asked
};
// clang-format on
inline constexpr size_t kChecks = static_cast<size_t>(Check::asked) + 1;

inline std::string_view to_string(Check check) {
  static constexpr std::string_view kNames[] = {"E1",  "E2",  "E3",  "E4",  "E5",  "E6",  "E7",  "E8",   "E9",     "E10",  "E11", "E12",
                                                "E13", "E14", "E15", "E16", "E17", "E19", "E21", "E22",  "E23",    "E24",  "E25", "E26",
                                                "E27", "H13", "H14", "L1",  "L4",  "L5",  "L9",  "twin", "format", "asked"};
  static_assert(std::size(kNames) == kChecks);
  return kNames[static_cast<size_t>(check)];
}

// The checks that report by name alone: on client histories, on views of the cluster, on the run as a whole.
// (L1, L4 and L5 are judged at events too.)
inline constexpr std::string_view kChecksByName[] = {"H1", "H2", "H3", "H4",   "H7",    "H11",  "H15",     "H17",      "H18",
                                                     "L2", "L3", "L8", "calm", "setup", "exit", "refusal", "resources"};

class Judge {
 public:
  using Sink = std::function<void(Check, const std::string& text)>;
  explicit Judge(Sink sink) : sink_(std::move(sink)) {}

  // Counts one judgement; reports unless `holds`. `text` is called only then: node, stream, positions, what was expected and found.
  template <class Text>
  bool check(Check check, bool holds, Text&& text) {
    ++judged_[static_cast<size_t>(check)];
    if (!holds) [[unlikely]]
      sink_(check, text());
    return holds;
  }
  uint64_t judged(Check check) const { return judged_[static_cast<size_t>(check)]; }

 private:
  Sink sink_;
  std::array<uint64_t, kChecks> judged_{};
};

// Checks for which every run has an occasion: one that never had any has nothing to say, and then the run is not judged. Missing are E3 and
// E16 (nothing had to be cut), E7 (no snapshot), E15 (nobody was elected), E27 (a node alone forms its cluster unasked), twin (nobody
// started one).
inline constexpr Check kOwedChecks[] = {Check::e1,  Check::e2,  Check::e4,  Check::e5,  Check::e6,  Check::e8,     Check::e9,
                                        Check::e10, Check::e11, Check::e12, Check::e13, Check::e14, Check::e17,    Check::e21,
                                        Check::e22, Check::e23, Check::e24, Check::e25, Check::e26, Check::format, Check::asked};

// Why a run with these counts cannot be judged; empty if each owed check had something to judge.
inline std::string idle_check(const Judge& judge) {
  for (Check check : kOwedChecks)
    if (judge.judged(check) == 0) return std::string(to_string(check)) + " never had anything to judge";
  return "";
}

}  // namespace sg::scenario
