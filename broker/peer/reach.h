// A connection to a node, soon after it can be reached again. A packet that asks for a connection and is lost is sent again by TCP only
// after a second, and then after two; so a further attempt begins every kReachStep while the earlier ones still wait, and the first that
// is answered counts. An answer that takes longer than a step is waited for none the less.
#pragma once

#include "broker/env.h"

namespace sg::broker::peer {

inline constexpr Duration kReachStep = 200ms;

// Each attempt resolves the name anew.  Errors: those of net::Network::connect; a refusal counts as an answer.
Result<std::unique_ptr<net::Connection>> reach(Task& task, net::Network& network, const net::Address& address, Time deadline);

}  // namespace sg::broker::peer
