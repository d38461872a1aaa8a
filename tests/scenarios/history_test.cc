// The form of histories: values that name their send, and JSON lines that come back as they were.
#include "scenarios/history.h"

#include <doctest/doctest.h>

#include <algorithm>

using namespace sg;
using namespace sg::scenario;

namespace {

History sample() {
  History h;
  h.sends.push_back({.value = {3, 41},
                     .partition = {"orders", 1},
                     .acks = 1,
                     .idempotent = true,
                     .first_attempt = Time{5},
                     .completed = Time{INT64_MAX},
                     .outcome = Outcome::failed,
                     .offset = Offset(-1),
                     .attempts = 4,
                     .producer = ProducerId(77)});
  h.reads.push_back({9, {"a \"quoted\"\nname", 0}, Offset(INT64_MAX), {-7, INT64_MIN}, Time{8}});
  h.ends.push_back({9, {"orders", 1}, NodeId(2), LeaderEpoch(6), Offset(12), Time{10}});
  h.anomalies.push_back({9, {"orders", 1}, "offset out of range", Time{11}});
  h.time_looks.push_back({9, {"orders", 1}, 1234, 1235, Offset(7), Time{12}, Time{13}});
  h.topic_ops.push_back(
      {.client = 4, .kind = TopicOp::Kind::deleted, .topic = "orders", .begun = Time{14}, .ended = Time{15}, .outcome = Outcome::failed});
  h.listings.push_back({"node1", {"a", "b"}});
  h.odd_answers.push_back({9, {"orders", -1}, "node1:9092", "Fetch v9", {"NOT_LEADER_OR_FOLLOWER", "nothing"}, "records", Time{16}});
  return h;
}

std::string error_of(std::string_view text) {
  Result<History> parsed = parse_history(text);
  REQUIRE_FALSE(parsed.has_value());
  CHECK(parsed.is(Errc::invalid));
  return parsed.error().what;
}

}  // namespace

TEST_CASE("given any id and size, when a value is built and parsed, then the id comes back") {
  for (ValueId id : {ValueId{0, 0}, ValueId{1, 2}, ValueId{INT32_MAX, INT64_MAX}, ValueId{-1, -1}, ValueId{INT32_MIN, INT64_MIN}})
    for (size_t size : {0, 15, 16, 17, 300}) {
      ByteVec value = value_bytes(id, size);
      CHECK(value.size() == std::max<size_t>(size, 16));
      Result<ValueId> parsed = parse_value(value);
      REQUIRE(parsed.has_value());
      CHECK(*parsed == id);
    }
}

TEST_CASE("given a value with one damaged bit, when it is parsed, then it is refused or names another send") {
  const ValueId id{5, 1234};
  const ByteVec value = value_bytes(id, 64);
  for (size_t bit = 0; bit < value.size() * 8; ++bit) {
    ByteVec damaged = value;
    damaged[bit / 8] ^= static_cast<uint8_t>(1u << bit % 8);
    Result<ValueId> parsed = parse_value(damaged);
    bool in_id = bit / 8 >= 4 && bit / 8 < 16;
    CHECK((in_id ? !parsed || *parsed != id : parsed.is(Errc::invalid)));
  }
}

TEST_CASE("given fewer bytes than an id has, when they are parsed, then they are refused") {
  const ByteVec value = value_bytes({5, 6}, 16);
  for (size_t size = 0; size < value.size(); ++size) CHECK(parse_value(ByteSpan(value).first(size)).is(Errc::invalid));
}

TEST_CASE("given a history, when it is written and read, then every field comes back") {
  std::string text = to_json_lines(sample());
  CHECK(std::count(text.begin(), text.end(), '\n') == 8);
  Result<History> h = parse_history(text);
  REQUIRE(h.has_value());
  CHECK(to_json_lines(*h) == text);

  REQUIRE(h->sends.size() == 1);
  const Send& send = h->sends[0];
  CHECK(send.value == ValueId{3, 41});
  CHECK(send.partition == PartitionName{"orders", 1});
  CHECK(send.acks == 1);
  CHECK(send.idempotent);
  CHECK(send.first_attempt == Time{5});
  CHECK(send.completed == Time{INT64_MAX});
  CHECK(send.outcome == Outcome::failed);
  CHECK(send.offset == Offset(-1));
  CHECK(send.attempts == 4);
  CHECK(send.producer == ProducerId(77));

  REQUIRE(h->reads.size() == 1);
  const Read& read = h->reads[0];
  CHECK(read.client == 9);
  CHECK(read.partition.topic == "a \"quoted\"\nname");
  CHECK(read.offset == Offset(INT64_MAX));
  CHECK(read.value == ValueId{-7, INT64_MIN});
  CHECK(read.at == Time{8});

  REQUIRE(h->ends.size() == 1);
  const EndSeen& end = h->ends[0];
  CHECK(end.client == 9);
  CHECK(end.broker == NodeId(2));
  CHECK(end.leader_epoch == LeaderEpoch(6));
  CHECK(end.end == Offset(12));
  CHECK(end.at == Time{10});

  REQUIRE(h->anomalies.size() == 1);
  CHECK(h->anomalies[0].client == 9);
  CHECK(h->anomalies[0].what == "offset out of range");
  CHECK(h->anomalies[0].at == Time{11});
}

TEST_CASE("given each outcome, when it is written and read, then it comes back") {
  for (Outcome outcome : {Outcome::ok, Outcome::failed, Outcome::unknown}) {
    History h = sample();
    h.sends[0].outcome = outcome;
    Result<History> back = parse_history(to_json_lines(h));
    REQUIRE(back.has_value());
    CHECK(back->sends[0].outcome == outcome);
  }
}

TEST_CASE("given no lines, empty lines or no final newline, when they are read, then that is no error") {
  CHECK(parse_history("").has_value());
  CHECK(parse_history("\n\n").has_value());
  std::string text = to_json_lines(sample());
  text.pop_back();
  Result<History> h = parse_history("\n" + text);
  REQUIRE(h.has_value());
  CHECK(h->anomalies.size() == 1);
}

TEST_CASE("given an anomaly whose words are not UTF-8, when it is written, then it can be read again") {
  History h = sample();
  h.anomalies[0].what = "key \xff\xfe";
  Result<History> back = parse_history(to_json_lines(h));
  REQUIRE(back.has_value());
  CHECK(back->anomalies[0].what.starts_with("key "));
}

TEST_CASE("given a malformed line, when the history is read, then its number is named, empty lines counted") {
  const std::string good = to_json_lines(sample());
  CHECK(error_of("{").starts_with("line 1: "));
  CHECK(error_of(good + "\nnonsense\n").starts_with("line 10: "));
  CHECK(error_of(good + "{}\n").starts_with("line 9: "));
  CHECK(error_of(good + "[1,2]\n").starts_with("line 9: "));
}

TEST_CASE("given a line of the wrong kind, when the history is read, then what is wrong with it is said") {
  const std::string common = R"("client":1,"topic":"t","partition":0,"at":5)";
  CHECK(error_of(R"({"op":"stroll",)" + common + "}") == "line 1: unknown operation 'stroll'");
  CHECK(error_of(R"({"op":"read",)" + common + "}").find("offset") != std::string::npos);
  CHECK(error_of(R"({"op":"send","number":1,"acks":-1,"idempotent":true,"first_attempt":0,"outcome":"maybe","offset":0,)" + common + "}") ==
        "line 1: unknown outcome 'maybe'");
  CHECK(error_of(R"({"op":"anomaly","what":7,)" + common + "}").starts_with("line 1: "));
}
