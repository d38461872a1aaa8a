// Majorities of one set: the pure sub-problem of elections (§3.4) and commitment (§3.6.2). Who is in the set, and joint sets:
// configuration.h.
#pragma once

#include <algorithm>
#include <functional>
#include <vector>

#include "base/ensure.h"

namespace sg::raft {

// The greatest value that a majority has reached, given one value per voter: with 2f + 1 (or 2f) voters, the (f + 1)-th greatest.
template <class T>
T majority_reached(std::vector<T> values) {
  ENSURE(!values.empty(), "a majority of no voters");
  auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end(), std::greater<T>());
  return *middle;
}

enum class VoteResult : uint8_t { pending, won, lost };

// Lost as soon as a majority is out of reach.
inline VoteResult vote_result(size_t voters, size_t granted, size_t refused) {
  ENSURE(voters > 0 && granted + refused <= voters, "{} granted, {} refused of {} voters", granted, refused, voters);
  size_t quorum = voters / 2 + 1;
  if (granted >= quorum) return VoteResult::won;
  return voters - refused < quorum ? VoteResult::lost : VoteResult::pending;
}

}  // namespace sg::raft
