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

enum class Check : uint8_t { e1, e2, e3, e4, e5, e6, e8, e9, e10, e11, e12, e13, e14, e15, e16, e17, e21, e22, e24, l1, l5, format };
inline constexpr size_t kChecks = static_cast<size_t>(Check::format) + 1;

inline std::string_view to_string(Check check) {
  static constexpr std::string_view kNames[] = {"E1",  "E2",  "E3",  "E4",  "E5",  "E6",  "E8",  "E9",  "E10", "E11", "E12",
                                                "E13", "E14", "E15", "E16", "E17", "E21", "E22", "E24", "L1",  "L5",  "format"};
  static_assert(std::size(kNames) == kChecks);
  return kNames[static_cast<size_t>(check)];
}

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

}  // namespace sg::scenario
