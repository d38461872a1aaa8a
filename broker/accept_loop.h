// Accepts connections until stopped and serves each in a task of its own: the one loop of the Kafka port and the peer port.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/sync.h"
#include "net/network.h"

namespace sg::broker {

// Returns when the task is stopped or the listener closed; every connection's task has ended then. Out of descriptors it backs off and
// goes on.
void accept_loop(Task& task, net::Listener& listener, const std::string& name,
                 const std::function<void(Task&, std::shared_ptr<net::Connection>)>& serve);

}  // namespace sg::broker
