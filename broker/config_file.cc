#include "broker/config_file.h"

#include <fmt/format.h>

#include <toml++/toml.h>
#include <CLI/CLI.hpp>
#include <charconv>
#include <functional>

#include "base/nearest.h"

namespace sg::broker {
namespace {

Result<int64_t> parse_integer(std::string_view text, int64_t low, int64_t high) {
  int64_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return fail(Errc::invalid, fmt::format("'{}' is not an integer", text));
  if (value < low || value > high) return fail(Errc::invalid, fmt::format("{} is not between {} and {}", value, low, high));
  return value;
}

Result<bool> parse_bool(std::string_view text) {
  if (text != "true" && text != "false") return fail(Errc::invalid, fmt::format("'{}' is neither true nor false", text));
  return text == "true";
}

Result<Voter> parse_voter(std::string_view text) {
  size_t at = text.find('@');
  if (at == std::string_view::npos) return fail(Errc::invalid, fmt::format("'{}' is not id@host:port", text));
  TRY(int64_t id, parse_integer(text.substr(0, at), 0, INT32_MAX));
  TRY(net::Address address, net::parse_address(text.substr(at + 1)));
  return Voter{NodeId(static_cast<int32_t>(id)), std::move(address)};
}

std::vector<std::string_view> split(std::string_view text) {
  std::vector<std::string_view> parts;
  while (!text.empty()) {
    size_t comma = text.find(',');
    std::string_view part = text.substr(0, comma);
    while (!part.empty() && part.front() == ' ') part.remove_prefix(1);
    while (!part.empty() && part.back() == ' ') part.remove_suffix(1);
    if (!part.empty()) parts.push_back(part);
    if (comma == std::string_view::npos) break;
    text.remove_prefix(comma + 1);
  }
  return parts;
}

using Setter = std::function<Result<>(Config&, std::string_view)>;
struct Key {
  const char* name;
  Setter set;
};

Setter text_of(std::string Config::*member) {
  return [=](Config& c, std::string_view v) -> Result<> {
    c.*member = std::string(v);
    return {};
  };
}

template <class Target>
Setter integer(Target target, int64_t low, int64_t high) {
  return [=](Config& c, std::string_view v) -> Result<> {
    TRY(int64_t value, parse_integer(v, low, high));
    auto& out = target(c);
    out = static_cast<std::remove_reference_t<decltype(out)>>(value);
    return {};
  };
}

template <class Target>
Setter milliseconds(Target target) {
  return [=](Config& c, std::string_view v) -> Result<> {
    TRY(int64_t value, parse_integer(v, 1, 86'400'000));
    target(c) = std::chrono::milliseconds(value);
    return {};
  };
}

template <class Target>
Setter mebibytes(Target target) {
  return [=](Config& c, std::string_view v) -> Result<> {
    TRY(int64_t value, parse_integer(v, 1, int64_t{1} << 40));
    target(c) = static_cast<uint64_t>(value) << 20;
    return {};
  };
}

template <class Target>
Setter address(Target target) {
  return [=](Config& c, std::string_view v) -> Result<> {
    TRY(target(c), net::parse_address(v));
    return {};
  };
}

const std::vector<Key>& keys() {
  static const std::vector<Key> all = {
      {"node_id", integer(
                      [](Config & c) -> auto& { return c.node_id.v; }, 0, INT32_MAX)},
      {"data_dir", text_of(&Config::data_dir)},
      {"rack", text_of(&Config::rack)},
      {"voters",
       [](Config& c, std::string_view v) -> Result<> {
         c.voters.clear();
         for (std::string_view part : split(v)) {
           TRY(Voter voter, parse_voter(part));
           c.voters.push_back(std::move(voter));
         }
         return {};
       }},
      {"listen.kafka", address([](Config & c) -> auto& { return c.listen.kafka; })},
      {"listen.advertise", address([](Config & c) -> auto& { return c.listen.advertise; })},
      {"listen.peer", address([](Config & c) -> auto& { return c.listen.peer; })},
      {"broker.auto.create.topics.enable",
       [](Config& c, std::string_view v) -> Result<> {
         TRY(c.broker.auto_create_topics_enable, parse_bool(v));
         return {};
       }},
      {"broker.default.replication.factor", integer(
                                                [](Config & c) -> auto& { return c.broker.default_replication_factor; }, -1, 127)},
      {"broker.min.insync.replicas", integer(
                                         [](Config & c) -> auto& { return c.broker.min_insync_replicas; }, -1, 127)},
      {"broker.num.partitions", integer(
                                    [](Config & c) -> auto& { return c.broker.num_partitions; }, 1, 10'000)},
      {"broker.message.max.bytes", integer(
                                       [](Config & c) -> auto& { return c.broker.message_max_bytes; }, 1024, 64 << 20)},
      {"broker.socket.request.max.bytes", integer(
                                              [](Config & c) -> auto& { return c.limits.request_max_bytes; }, 1024, INT32_MAX)},
      {"broker.fetch.max.bytes", integer(
                                     [](Config & c) -> auto& { return c.limits.answer_max_bytes; }, 1024, INT32_MAX)},
      {"broker.max.connections", integer(
                                     [](Config & c) -> auto& { return c.limits.connections; }, 1, 8192)},
      {"broker.connections.max.idle.ms", milliseconds([](Config & c) -> auto& { return c.limits.connection_max_idle; })},
      {"timing.heartbeat_ms", milliseconds([](Config & c) -> auto& { return c.timing.heartbeat; })},
      {"timing.election_timeout_ms",
       [](Config& c, std::string_view v) -> Result<> {
         auto parts = split(v);
         if (parts.size() != 2) return fail(Errc::invalid, "expected two values, the least and the greatest, as in [500, 1000]");
         TRY(int64_t low, parse_integer(parts[0], 1, 3'600'000));
         TRY(int64_t high, parse_integer(parts[1], 1, 3'600'000));
         c.timing.election_min = std::chrono::milliseconds(low);
         c.timing.election_max = std::chrono::milliseconds(high);
         return {};
       }},
      {"timing.session_timeout_ms", milliseconds([](Config & c) -> auto& { return c.timing.session_timeout; })},
      {"timing.replica_lag_time_max_ms", milliseconds([](Config & c) -> auto& { return c.timing.replica_lag_time_max; })},
      {"timing.link_timeout_ms", milliseconds([](Config & c) -> auto& { return c.timing.link_timeout; })},
      {"journal.segment_mib", mebibytes([](Config & c) -> auto& { return c.journal.segment_bytes; })},
      {"journal.tail_cache_mib", mebibytes([](Config & c) -> auto& { return c.journal.tail_cache_bytes; })},
      {"journal.copy_check",
       [](Config& c, std::string_view v) -> Result<> {
         TRY(c.journal.copy_check, parse_bool(v));
         return {};
       }},
      {"journal.budget_mib", mebibytes([](Config & c) -> auto& { return c.journal.budget_bytes; })},
  };
  return all;
}

// A TOML value as the text that set_config_value takes.
Result<std::string> text_of(const toml::node& node) {
  if (auto s = node.value_exact<std::string>()) return *s;
  if (auto i = node.value_exact<int64_t>()) return std::to_string(*i);
  if (auto b = node.value_exact<bool>()) return std::string(*b ? "true" : "false");
  if (const toml::array* array = node.as_array()) {
    std::string joined;
    for (const toml::node& element : *array) {
      TRY(std::string part, text_of(element));
      joined += (joined.empty() ? "" : ",") + part;
    }
    return joined;
  }
  return fail(Errc::invalid, "expected a string, an integer, true, false, or a list of these");
}

Result<> load_table(Config& config, const toml::table& table, const std::string& prefix, const std::string& path) {
  for (const auto& [name, node] : table) {
    std::string key = prefix.empty() ? std::string(name.str()) : prefix + "." + std::string(name.str());
    if (const toml::table* inner = node.as_table()) {
      TRY_DO(load_table(config, *inner, key, path));
      continue;
    }
    Result<std::string> value = text_of(node);
    Result<> set = value ? set_config_value(config, key, *value) : Result<>(fail(value.error().code, value.error().what));
    if (!set) return fail(Errc::invalid, fmt::format("{}:{}: {}", path, name.source().begin.line, set.error().what));
  }
  return {};
}

}  // namespace

Result<> set_config_value(Config& config, std::string_view key, std::string_view value) {
  std::vector<std::string_view> names;
  for (const Key& k : keys()) {
    if (k.name == key) {
      Result<> set = k.set(config, value);
      if (!set) return fail(Errc::invalid, fmt::format("{} = {}: {}", key, value, set.error().what));
      return {};
    }
    names.emplace_back(k.name);
  }
  return fail(Errc::not_found, fmt::format("unknown key '{}'; did you mean '{}'?", key, nearest(key, names)));
}

Result<> load_config_file(Config& config, const std::string& path) {
  try {
    toml::table table = toml::parse_file(path);
    return load_table(config, table, "", path);
  } catch (const toml::parse_error& e) {
    if (e.source().begin.line == 0) return fail(Errc::not_found, fmt::format("{}: {}", path, e.description()));
    return fail(Errc::invalid, fmt::format("{}:{}: {}", path, e.source().begin.line, e.description()));
  }
}

CommandLine parse_command_line(int argc, char** argv) {
  CommandLine out;
  CLI::App app{"stormglassd: a Kafka-compatible broker. Without flags: one node on 127.0.0.1:9092 with its data under ./data."};
  std::string file;
  std::string voters;
  std::vector<std::string> settings;
  struct Flag {
    const char* key;
    std::string value;
  };
  Flag flags[] = {{"node_id", ""},     {"data_dir", ""}, {"listen.kafka", ""}, {"listen.advertise", ""},
                  {"listen.peer", ""}, {"voters", ""},   {"rack", ""}};
  app.add_option("--config", file, "TOML file with everything; flags override it");
  app.add_option("--node-id", flags[0].value, "this node's id, 0 or above");
  app.add_option("--data-dir", flags[1].value, "directory for this node's data");
  app.add_option("--kafka", flags[2].value, "host:port for clients");
  app.add_option("--advertise", flags[3].value, "host:port that clients are told, if it differs");
  app.add_option("--peer", flags[4].value, "host:port for the other nodes");
  app.add_option("--voters", flags[5].value, "id@host:port,... of the 1, 3, 5 or 7 nodes that vote");
  app.add_flag("--form", out.config.form, "form a new cluster together with all its voters, once; without it an empty directory waits");
  app.add_option("--rack", flags[6].value, "failure domain; replicas are spread over racks");
  app.add_option("--set", settings, "KEY=VALUE, any key of the file, e.g. broker.num.partitions=3");
  app.add_flag("--check", out.check_only, "validate the configuration and exit");
  app.add_flag("--verbose", out.verbose, "log debug lines too");
  app.add_flag("--no-io-uring", out.no_io_uring, "use epoll and a helper thread");
  OfflineCommand offline;
  CLI::App* inspect = app.add_subcommand("inspect", "prints whose data directory DIR is, its segments, its streams and known damage");
  CLI::App* adopt = app.add_subcommand("adopt", "makes a copied or restored data directory DIR another directory of its node");
  CLI::App* accept =
      app.add_subcommand("accept-damage", "lets the only voter of a cluster lead again without what is missing of its metadata in DIR");
  for (CLI::App* command : {inspect, adopt, accept})
    command->add_option("DIR", offline.directory, "data directory of a stopped node")->required();
  adopt->add_flag("--moved", offline.moved, "it stays the same one: DIR is complete, and the original is gone for good");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    int code = app.exit(e);
    out.exit_code = code == 0 ? 0 : 2;
    return out;
  }
  using Kind = OfflineCommand::Kind;
  for (auto [command, kind] : {std::pair{inspect, Kind::inspect}, {adopt, Kind::adopt}, {accept, Kind::accept_damage}}) {
    if (!command->parsed()) continue;
    offline.kind = kind;
    out.offline = std::move(offline);
    return out;
  }
  auto apply = [&]() -> Result<> {
    if (!file.empty()) TRY_DO(load_config_file(out.config, file));
    for (const Flag& flag : flags)
      if (!flag.value.empty()) TRY_DO(set_config_value(out.config, flag.key, flag.value));
    for (const std::string& setting : settings) {
      size_t equals = setting.find('=');
      if (equals == std::string::npos) return fail(Errc::invalid, fmt::format("--set {}: expected KEY=VALUE", setting));
      TRY_DO(set_config_value(out.config, setting.substr(0, equals), setting.substr(equals + 1)));
    }
    return validate(out.config);
  };
  if (Result<> applied = apply(); !applied) {
    fmt::print(stderr, "stormglassd: {}\n", applied.error().what);
    out.exit_code = 2;
  }
  return out;
}

}  // namespace sg::broker
