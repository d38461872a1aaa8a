// Starts a thread that does the node's waiting for it. Invariant: signals are for the node's own thread, so none is ever taken here.
#pragma once

#include <functional>
#include <thread>

namespace sg::net {

std::thread start_helper_thread(std::function<void()> body);

}  // namespace sg::net
