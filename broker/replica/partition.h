// One replica of one partition, as leader and as follower: architecture §6. A function of events: no socket, no file, no clock.
//
// Invariants: a record is committed when every member of the in-sync set has it on its disk; the high watermark only passes committed
// records; a successful acks=all answer is given for committed records only; nothing below the high watermark is ever truncated here.
// Why that is safe: an ISR change counts only once the catalogue has committed it, a leader counts over every set that may be committed
// already (the maximal ISR), and an election picks from the ISR alone. So whoever is elected has every committed record on its disk.
//
// The shell hands in events and does the actions of `Output` in order (output.h says what each asks for). Rules for it:
//  - one journal stream per partition, written in the order of `append` results and Write/Truncate actions;
//  - `catalogue` is called only after this node has applied the catalogue up to its own registration;
//  - every ProposeIsr is answered by a newer catalogue state or by isr_refused, sooner or later;
//  - it calls `wake` at `deadline()`, or later.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>

#include "base/result.h"
#include "base/time.h"
#include "broker/replica/log.h"
#include "broker/replica/output.h"
#include "broker/replica/standing.h"

namespace sg::replica {

class Leader;
class Follower;

// What a produce request waits for. acks=0 waits like acks=1: its client is not told, but it is held back until its bytes are on the
// disk, so that a client that never listens cannot outrun it.
enum class Acks : uint8_t { leader, all };

struct Appended {
  // ok: stamp base_offset and leader_epoch into the batch and hand it to the journal; report `durable(generation, base + delta + 1)`.
  // duplicate: discard the batch. In both cases a Complete for the token follows, at once or later.
  // Otherwise nothing was appended, and the token is forgotten.
  Outcome outcome;
  Offset base_offset;
  LeaderEpoch leader_epoch;
  uint64_t generation = 0;
};

struct OffsetAnswer {
  Outcome outcome;
  Offset offset;
};

// A Fetch: where it reads on, and the leader epochs that it names.
struct ReadFrom {
  Offset offset;
  LeaderEpoch current_epoch = kNoLeaderEpoch;
  LeaderEpoch last_epoch = kNoLeaderEpoch;
};
struct ReadAnswer {
  Outcome outcome;
  Offset bound;                         // that no record read may reach: the high watermark
  std::optional<EpochEnd> diverging{};  // the client has read what is not in this log: the epoch and the end up to which it fits
};

// Read whole batches from `from`, the first whatever its size, then no more than max_bytes in all; 0 = none, only the header goes.
struct SendPlan {
  Offset from;
  uint64_t max_bytes = 0;
  LeaderEpoch leader_epoch;
  uint64_t subscription = 0;
};

// What Invariants and log lines look at. A copy.
struct PartitionView {
  struct Peer {
    NodeId node;
    bool subscribed;
    Offset next;
    std::optional<Offset> durable_end;
    uint64_t bytes_in_flight;
  };
  Role role = Role::none;
  bool faulted = false;
  LeaderEpoch leader_epoch = kNoLeaderEpoch;
  PartitionEpoch partition_epoch;
  Offset log_start, log_end, durable_end, high_watermark;
  uint64_t generation = 0;
  std::vector<EpochStart> epochs;
  // As leader only:
  Offset epoch_start;
  std::vector<NodeId> isr, maximal_isr;
  int32_t min_isr = 0;
  std::vector<Peer> peers;
  size_t waits_for_commit = 0, waits_for_leader = 0;
};

class Partition {
 public:
  // `log_start` and `high_watermark`: what the journal kept (0 and 0 for a new partition); then `recover` for each batch, in order.
  Partition(NodeId self, StreamId stream, const Config& config, Offset log_start, Offset high_watermark);
  ~Partition();
  Partition(const Partition&) = delete;  // its parts refer to each other
  Partition& operator=(const Partition&) = delete;

  void recover(const Descriptor& batch) { log_.recover(batch); }

  // --- the catalogue and its controller ---

  // The catalogue's newest word; `own` is the broker epoch that this node serves under. Older words than the last are ignored.
  void catalogue(Time now, BrokerEpoch own, const PartitionState& state, Output& out);
  // The answer to the proposal that was made at `partition_epoch`, where it is not a newer state.
  void isr_refused(Time now, PartitionEpoch partition_epoch, IsrRefusal why, Output& out);
  // What this node is to its cluster now. Initially registered.
  void standing(Time now, Standing standing, Output& out);

  // --- the journal ---

  // Everything below `end` in this generation is synced.
  void durable(Time now, uint64_t generation, Offset end, Output& out);
  // The journal takes no more data / takes data again.
  void set_log_full(bool full) { log_full_ = full; }
  // Records in [from, to) that were promised cannot be read, or are missing. The replica gives up its role and takes none any more,
  // whatever the catalogue says; it goes on hearing that.
  void damaged(Offset from, Offset to, Output& out);

  // --- clients ---

  // May it be said, and how (standing.h)? The calls below refuse accordingly.
  Verdict may(const Asked& asked) const;
  Appended append(Time now, const BatchInfo& batch, Acks acks, Token token, Time deadline, Output& out);
  // ListOffsets(latest): the high watermark, or what `may` says, or offset_not_available.
  OffsetAnswer latest() const;
  // A Fetch. Ok with an offset that is not below the bound means: wait. Otherwise what `may` says, or offset_out_of_range; where only
  // committed records may be given, whatever else there would be to say is controller_silent.
  ReadAnswer read(const ReadFrom& from) const;

  // --- as leader: sessions that followers dialed. An error means that the peer broke the protocol: end the session. ---

  void subscribe(Time now, NodeId from, const Subscribe& message, Output& out);
  void unsubscribe(Time now, NodeId from, const Unsubscribe& message, Output& out);
  Result<> ack(Time now, NodeId from, const Ack& message, Output& out);
  // The session ended.
  void follower_lost(Time now, NodeId node, Output& out);
  // What to send now; none if there is nothing, or the window is full. Data need not be durable here to be sent.
  std::optional<SendPlan> next_to_send(NodeId to) const;
  // The batches [plan.from, end) were read for `plan` and go out now, behind the header that this returns. None: the plan is stale (the
  // world moved while they were read); drop them and ask again.
  std::optional<Data> sent(NodeId to, const SendPlan& plan, Offset end, std::vector<uint32_t> batch_bytes);

  // --- as follower: the session that this node dialed ---

  void session_opened(Time now, NodeId leader, Output& out);
  void session_closed(Time now, NodeId leader, Output& out);
  // `batches` describes the bytes behind the header, in order; their CRCs were verified. Stale messages are dropped without error.
  Result<> data(Time now, NodeId from, const Data& message, std::span<const Descriptor> batches, Output& out);
  Result<> diverged(Time now, NodeId from, const Diverged& message, Output& out);
  void refused(Time now, NodeId from, const Refused& message, Output& out);

  // --- time ---

  void wake(Time now, Output& out);
  Time deadline() const;

  // --- reading ---

  Role role() const { return role_; }
  NodeId leader() const { return state_ ? state_->leader : kNoNode; }
  LeaderEpoch leader_epoch() const { return state_ ? state_->leader_epoch : kNoLeaderEpoch; }
  bool is_damaged() const { return faulted_; }
  const ReplicaLog& log() const { return log_; }
  PartitionView view() const;

 private:
  void fault(std::string why, Output& out);
  void hear(LeaderEpoch epoch, Output& out);
  void step_down(Output& out);
  void take_role(Time now, Output& out);

  NodeId self_;
  StreamId stream_;
  Config config_;
  ReplicaLog log_;
  bool log_full_ = false;
  Standing standing_ = Standing::registered;
  LeaderEpoch newest_epoch_ = kNoLeaderEpoch;  // that another node's message has named
  bool faulted_ = false;

  std::optional<PartitionState> state_;
  BrokerEpoch own_epoch_ = kNoBrokerEpoch;
  bool mine_ = false;  // this node is a replica under its current registration
  Role role_ = Role::none;
  std::unique_ptr<Leader> leading_;      // while role_ == leader
  std::unique_ptr<Follower> following_;  // while role_ == follower
  uint64_t last_subscription_ = 0;
  std::set<NodeId> sessions_;          // that this node dialed, and that are up
  std::map<NodeId, Subscribe> early_;  // from followers that know the catalogue's newest word before this node does
};

}  // namespace sg::replica
