// What clients observed, and nothing else: the material of the history checks (correctness.md part 2, H1 to H14). The same form comes
// from simulated and from real runs; as JSON lines it can be kept and judged elsewhere.
//
// A value is unique: it names its client and a number (see value_bytes), so a record that is read back says which send it came from.
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/result.h"
#include "base/time.h"

namespace sg::scenario {

struct ValueId {
  int32_t client = -1;
  int64_t number = -1;
  auto operator<=>(const ValueId&) const = default;
};

// A record value of at least 16 bytes that carries the id; what is beyond is derived from it, so that content is checkable.
ByteVec value_bytes(ValueId id, size_t size);
// Errc::invalid: not such a value, or its content is not what its id says.
Result<ValueId> parse_value(ByteSpan value);

struct PartitionName {
  std::string topic;
  int32_t partition = 0;
  auto operator<=>(const PartitionName&) const = default;
};
std::string to_string(const PartitionName& name);

enum class Outcome : uint8_t {
  ok,
  failed,   // certainly not appended
  unknown,  // it may have been, or may yet be
};

// One record that a client sent.
struct Send {
  ValueId value;
  PartitionName partition;
  int16_t acks = -1;
  bool idempotent = false;
  Time first_attempt;  // of its batch, when it first left; zero: it never did
  Time completed;
  Outcome outcome = Outcome::unknown;
  Offset offset{-1};                    // of the record, with ok and acks other than 0
  int32_t attempts = 0;                 // how often its batch was sent
  bool on_trial = false;                // its client asks for refusals: also where nothing is wrong, it may take more than one attempt
  ProducerId producer = kNoProducerId;  // under whose sequence, when idempotent
  int16_t producer_epoch = -1;
};

// One record that a client read.
struct Read {
  int32_t client = -1;
  PartitionName partition;
  Offset offset;
  ValueId value;
  Time at;
};

// What a client was told the end of a partition is (a high watermark, or ListOffsets latest).
struct EndSeen {
  int32_t client = -1;
  PartitionName partition;
  NodeId broker;
  LeaderEpoch leader_epoch;
  Offset end;
  Time at;
};

// Something that no client may ever see: an invalid answer, a batch whose checksum fails, an offset out of range below a known end.
struct Anomaly {
  int32_t client = -1;
  PartitionName partition;
  std::string what;
  Time at;
  bool is_refusal = false;  // what it was told of its position, as by a leader
  bool by_sleeper = false;  // who may have been none any more (TimeLook)
};

// What a client was told of the first record from a time on.
struct TimeLook {
  int32_t client = -1;
  PartitionName partition;
  int64_t asked_ms = 0;
  int64_t timestamp_ms = -1;  // of the record; -1: there is none
  Offset offset{-1};
  Time begun;
  Time at;
  bool by_sleeper = false;  // a process whose monotonic clock had stood still may have answered: it cannot know that it leads no more
};

// What an admin did to a topic, or tried to.
struct TopicOp {
  enum class Kind : uint8_t { made, deleted };
  int32_t client = -1;
  Kind kind = Kind::made;
  std::string topic;
  Time begun;
  Time ended;
  Outcome outcome = Outcome::unknown;
  bool denied = false;  // the answer: it is there already; there is none
  bool alone = true;    // nothing but this client's requests makes or deletes it
};

// Acknowledged into a topic that had been deleted, by a leader that had not heard of it yet: which topic a name means is the broker's to
// know, and Produce names nothing else. No client can see it.
struct LateAck {
  PartitionName partition;
  Offset first;
  Offset end;
  Time at;
};

// The topics that a broker lists at the end of a run.
struct Listing {
  std::string broker;
  std::set<std::string> topics;
};

// A consumer that follows a partition from its beginning, and was there before the first fault.
struct Follower {
  int32_t client = -1;
  PartitionName partition;
};

// What a client was answered to a question that no other asks, beside what it may be answered.
struct OddAnswer {
  int32_t client = -1;
  PartitionName partition;
  std::string broker;
  std::string asked;
  std::vector<std::string> permitted;
  std::string got;
  Time at;
};

struct History {
  std::vector<Send> sends;  // in the order in which they were handed to the producers, per client and partition
  std::vector<Read> reads;  // per client and partition in the order of reading
  std::vector<EndSeen> ends;
  std::vector<Anomaly> anomalies;
  std::vector<Follower> followers;
  // Up to where they are owed a partition: what comes in later, nobody waits for. All of it where nothing is said.
  std::map<PartitionName, Offset> owed_to_followers;
  std::vector<TimeLook> time_looks;
  std::vector<TopicOp> topic_ops;  // of one topic in their order: only one client touches it
  std::vector<Listing> listings;
  std::vector<OddAnswer> odd_answers;
  std::vector<LateAck> late_acks;  // as whoever looks from outside has seen them
};

// One operation per line.
std::string to_json_lines(const History& history);
Result<History> parse_history(std::string_view json_lines);

// The contents of one replica at the end of a run, as its disk holds them: for H1 and H3.
struct ReplicaRecord {
  Offset offset;
  LeaderEpoch epoch;
  ValueId value;
  int64_t timestamp_ms = 0;
};
struct ReplicaContents {
  NodeId node;
  PartitionName partition;
  bool in_sync = true;  // of the ISR at the end
  std::vector<ReplicaRecord> records;
};

}  // namespace sg::scenario
