// For tests of ENSURE: runs a piece of code in a forked child and says how it died.
#pragma once

#include <functional>
#include <string>

namespace sg::test {

// What the child wrote to standard error before it aborted; empty if it did not abort.
std::string death_of(const std::function<void()>& body);

}  // namespace sg::test
