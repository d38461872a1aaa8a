// Reads a node's configuration from a TOML file, flags, and --set key=value, in this order of rising precedence (platform.md).
// Unknown keys and impossible values are refused with the place and the nearest valid name.
#pragma once

#include <string>
#include <vector>

#include "broker/config.h"

namespace sg::broker {

// Sets one value by its dotted key ("broker.num.partitions", "timing.heartbeat_ms", "node_id"), given as text. Lists are written as in
// TOML without brackets: "500,1000".  Errc::invalid, Errc::not_found (unknown key; the text names the nearest one).
Result<> set_config_value(Config& config, std::string_view key, std::string_view value);

// Errc::invalid with "file:line: what". Errc::not_found: no such file.
Result<> load_config_file(Config& config, const std::string& path);

// A command on the data directory of a node that is stopped.
struct OfflineCommand {
  enum class Kind : uint8_t { inspect, adopt, accept_damage } kind = Kind::inspect;
  std::string directory;
  bool moved = false;  // adopt: the original is gone, and this is all of it
};

// What the command line said. `exit_code` is set when the program is to end at once (help, version, a usage error).
struct CommandLine {
  Config config;
  std::optional<OfflineCommand> offline;  // instead of running a node
  bool check_only = false;
  bool verbose = false;
  bool no_io_uring = false;
  std::optional<int> exit_code;
};

// Prints help and usage errors itself.
CommandLine parse_command_line(int argc, char** argv);

}  // namespace sg::broker
