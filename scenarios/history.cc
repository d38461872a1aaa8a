#include "scenarios/history.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

namespace sg::scenario {
namespace {

using nlohmann::json;

constexpr size_t kIdBytes = 16;
constexpr uint32_t kMagic = 0x56474c53;  // "SLGV"

uint8_t filler(ValueId id, size_t at) { return static_cast<uint8_t>(id.number * 31 + id.client * 7 + static_cast<int64_t>(at)); }

constexpr const char* kOutcomes[] = {"ok", "failed", "unknown"};

json partition_json(const PartitionName& p) { return {{"topic", p.topic}, {"partition", p.partition}}; }

PartitionName partition_of(const json& j) { return {j.at("topic"), j.at("partition")}; }

Outcome outcome_of(const std::string& name) {
  for (size_t i = 0; i < std::size(kOutcomes); ++i)
    if (name == kOutcomes[i]) return static_cast<Outcome>(i);
  throw std::invalid_argument(fmt::format("unknown outcome '{}'", name));
}

void parse_line(const json& j, History& h) {
  const std::string op = j.at("op");
  if (op == "list") {
    h.listings.push_back({j.at("broker"), j.at("topics")});
    return;
  }
  PartitionName partition = partition_of(j);
  const Time at{j.at("at").get<int64_t>()};
  const int32_t client = j.at("client");
  if (op == "send") {
    h.sends.push_back({.value = {client, j.at("number")},
                       .partition = std::move(partition),
                       .acks = j.at("acks"),
                       .idempotent = j.at("idempotent"),
                       .first_attempt = Time{j.at("first_attempt").get<int64_t>()},
                       .completed = at,
                       .outcome = outcome_of(j.at("outcome")),
                       .offset = Offset(j.at("offset").get<int64_t>()),
                       .attempts = j.at("attempts"),
                       .producer = ProducerId(j.value("producer", kNoProducerId.v)),
                       .producer_epoch = j.value("producer_epoch", int16_t{-1})});
  } else if (op == "read") {
    h.reads.push_back({client, std::move(partition), Offset(j.at("offset").get<int64_t>()), {j.at("by"), j.at("number")}, at});
  } else if (op == "end") {
    h.ends.push_back({client, std::move(partition), NodeId(j.at("broker").get<int32_t>()), LeaderEpoch(j.at("epoch").get<int32_t>()),
                      Offset(j.at("end").get<int64_t>()), at});
  } else if (op == "anomaly") {
    h.anomalies.push_back({client, std::move(partition), j.at("what"), at});
  } else if (op == "odd") {
    h.odd_answers.push_back({client, std::move(partition), j.at("broker"), j.at("asked"), j.at("permitted"), j.at("got"), at});
  } else if (op == "time") {
    h.time_looks.push_back({client, std::move(partition), j.at("asked_ms"), j.at("timestamp_ms"), Offset(j.at("offset").get<int64_t>()),
                            Time{j.at("begun").get<int64_t>()}, at});
  } else if (op == "make" || op == "delete") {
    h.topic_ops.push_back({.client = client,
                           .kind = op == "make" ? TopicOp::Kind::made : TopicOp::Kind::deleted,
                           .topic = partition.topic,
                           .begun = Time{j.at("begun").get<int64_t>()},
                           .ended = at,
                           .outcome = outcome_of(j.at("outcome"))});
  } else if (op == "follow") {
    h.followers.push_back({client, std::move(partition)});
  } else {
    throw std::invalid_argument(fmt::format("unknown operation '{}'", op));
  }
}

}  // namespace

ByteVec value_bytes(ValueId id, size_t size) {
  ByteVec out;
  ByteWriter w(out);
  w.be<uint32_t>(kMagic);
  w.be<int32_t>(id.client);
  w.be<int64_t>(id.number);
  for (size_t at = kIdBytes; at < size; ++at) out.push_back(filler(id, at));
  return out;
}

Result<ValueId> parse_value(ByteSpan value) {
  ByteReader r(value);
  uint32_t magic = r.be<uint32_t>();
  ValueId id;
  id.client = r.be<int32_t>();
  id.number = r.be<int64_t>();
  if (!r.ok() || magic != kMagic) return fail(Errc::invalid, fmt::format("{} bytes that no workload has written", value.size()));
  for (size_t at = kIdBytes; at < value.size(); ++at)
    if (value[at] != filler(id, at))
      return fail(Errc::invalid, fmt::format("value {}/{}: byte {} is not what was written", id.client, id.number, at));
  return id;
}

std::string to_string(const PartitionName& name) { return fmt::format("{}-{}", name.topic, name.partition); }

std::string to_json_lines(const History& h) {
  std::string out;
  auto line = [&](json j, const PartitionName& p) {
    j.update(partition_json(p));
    // What is not UTF-8 is replaced: names and messages are for people, and a history that cannot be written helps nobody.
    out += j.dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
  };
  for (const Send& s : h.sends)
    line({{"op", "send"},
          {"client", s.value.client},
          {"number", s.value.number},
          {"acks", s.acks},
          {"idempotent", s.idempotent},
          {"first_attempt", s.first_attempt.ns},
          {"at", s.completed.ns},
          {"outcome", kOutcomes[static_cast<size_t>(s.outcome)]},
          {"offset", s.offset.v},
          {"attempts", s.attempts},
          {"producer", s.producer.v},
          {"producer_epoch", s.producer_epoch}},
         s.partition);
  for (const Read& r : h.reads)
    line(
        {{"op", "read"}, {"client", r.client}, {"offset", r.offset.v}, {"by", r.value.client}, {"number", r.value.number}, {"at", r.at.ns}},
        r.partition);
  for (const EndSeen& e : h.ends)
    line({{"op", "end"}, {"client", e.client}, {"broker", e.broker.v}, {"epoch", e.leader_epoch.v}, {"end", e.end.v}, {"at", e.at.ns}},
         e.partition);
  for (const Anomaly& a : h.anomalies) line({{"op", "anomaly"}, {"client", a.client}, {"what", a.what}, {"at", a.at.ns}}, a.partition);
  for (const OddAnswer& a : h.odd_answers)
    line({{"op", "odd"},
          {"client", a.client},
          {"broker", a.broker},
          {"asked", a.asked},
          {"permitted", a.permitted},
          {"got", a.got},
          {"at", a.at.ns}},
         a.partition);
  for (const TimeLook& l : h.time_looks)
    line({{"op", "time"},
          {"client", l.client},
          {"asked_ms", l.asked_ms},
          {"timestamp_ms", l.timestamp_ms},
          {"offset", l.offset.v},
          {"begun", l.begun.ns},
          {"at", l.at.ns}},
         l.partition);
  for (const TopicOp& t : h.topic_ops)
    line({{"op", t.kind == TopicOp::Kind::made ? "make" : "delete"},
          {"client", t.client},
          {"begun", t.begun.ns},
          {"at", t.ended.ns},
          {"outcome", kOutcomes[static_cast<size_t>(t.outcome)]}},
         {t.topic, 0});
  for (const Listing& l : h.listings)
    out += json{{"op", "list"}, {"broker", l.broker}, {"topics", l.topics}}.dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
  for (const Follower& f : h.followers) line({{"op", "follow"}, {"client", f.client}, {"at", 0}}, f.partition);
  return out;
}

Result<History> parse_history(std::string_view json_lines) {
  History h;
  size_t number = 0;
  while (!json_lines.empty()) {
    ++number;
    size_t end = std::min(json_lines.find('\n'), json_lines.size());
    std::string_view text = json_lines.substr(0, end);
    json_lines.remove_prefix(std::min(end + 1, json_lines.size()));
    if (text.empty()) continue;
    try {
      parse_line(json::parse(text), h);
    } catch (const std::exception& e) {
      return fail(Errc::invalid, fmt::format("line {}: {}", number, e.what()));
    }
  }
  return h;
}

}  // namespace sg::scenario
