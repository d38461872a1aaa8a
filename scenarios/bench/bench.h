// `stormglass bench`: our own Kafka client as a load generator against a real cluster (platform.md).
#pragma once

#include <functional>

namespace CLI {
class App;
}

namespace sg::scenario {

// Registers the command and its options; parsing sets `chosen` to what is to run.
void add_bench_command(CLI::App& app, std::function<int()>& chosen);

}  // namespace sg::scenario
