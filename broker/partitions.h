// The partitions of this node: one replica core (replica/partition.h) each, with what surrounds it: its stream in the journal, the
// produce requests and fetches that wait for it, its sessions with other replicas, its timers.
// Invariant: events reach a core one at a time, and its actions are carried out in order before the next event.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <queue>
#include <set>
#include <span>
#include <vector>

#include "base/sync.h"
#include "broker/config.h"
#include "broker/env.h"
#include "broker/metadata/catalogue.h"
#include "broker/replica/partition.h"
#include "broker/wal/journal.h"

namespace sg::broker {

// Where a core's messages to other nodes go. Calls do not suspend.
class ReplicationSink {
 public:
  virtual ~ReplicationSink() = default;
  virtual void send(NodeId to, const replica::Message& message) = 0;
  virtual void wake_sender(NodeId to, StreamId stream) = 0;
  // The leaders that partitions of this node follow now: sessions with them are wanted, with others they are not.
  virtual void want_sessions(const std::set<NodeId>& leaders) = 0;
};

// Where a core's requests to the controller go. Calls do not suspend.
class ControllerSink {
 public:
  virtual ~ControllerSink() = default;
  virtual void propose_isr(const replica::IsrProposal& proposal) = 0;
  virtual void report_damage(StreamId stream) = 0;
};

// A produce request that waits for some of its partitions.
class ProduceWaiter {
 public:
  virtual ~ProduceWaiter() = default;
  // `part`: as given to append().
  virtual void completed(size_t part, replica::Outcome outcome, Offset base_offset) = 0;
};

// A whole batch and what its header says. The bytes are owned.
struct IncomingBatch {
  SharedBytes bytes;
  replica::BatchInfo info;
  uint32_t crc = 0;  // of the header: verified on the way in
};

struct Replica {
  Replica(NodeId self, StreamId id, const replica::Config& config, Offset log_start, Offset high_watermark)
      : stream(id), core(self, id, config, log_start, high_watermark) {}
  StreamId stream;
  Uuid topic_id;
  std::string topic;
  int32_t index = 0;
  replica::Partition core;

 private:
  friend class Partitions;
  struct Writing {
    uint64_t ticket;
    uint64_t generation;
    Offset end;
  };
  std::deque<Writing> writing;  // handed to the journal, not yet durable
  std::vector<Signal*> readers;
  Time armed = Time::never();
};

class Partitions {
 public:
  // `recovered`: what the journal found at its opening.
  Partitions(Env& env, const Config& config, wal::Journal& journal, const std::vector<wal::StreamState>& recovered,
             ReplicationSink& replication, ControllerSink& controller);
  ~Partitions();

  // Looks at the catalogue again: at all partitions, or at those named and those with a replica on a named broker. `own` is the broker
  // epoch that this node serves under. Streams of deleted topics are dropped from the journal.
  void refresh(const metadata::Catalogue& catalogue, BrokerEpoch own, const std::set<StreamId>* touched, const std::set<NodeId>& brokers);

  // Null if this node has no replica of it (or does not know yet).
  Replica* find(StreamId stream);

  // Appends a validated batch as leader. The bytes are stamped in place. Outcome::ok or duplicate: the waiter is told later (or
  // before this returns); any other outcome: it is not.
  replica::Outcome append(Replica& replica, IncomingBatch batch, replica::Acks acks, Time deadline, std::shared_ptr<ProduceWaiter> waiter,
                          size_t part);

  // Batches in [from, bound), from the one that holds `from`, from memory or disk.  Errc::corrupt: this replica is out of service now, and
  // whoever waits for it has been told.
  Result<std::vector<wal::ReadBatch>> read(Task& task, StreamId stream, Offset from, Offset bound, size_t max_bytes, bool at_least_one);

  // Descriptors of the replica's batches, oldest first. Valid until the next event.
  wal::EntryRange entries(const Replica& replica) const { return journal_.entries(replica.stream, journal_.start_of(replica.stream)); }

  // `signal` is notified when something changes for readers of the replica: its high watermark, its role, what it may say.
  void add_reader(Replica& replica, Signal& signal);
  void remove_reader(StreamId stream, Signal& signal);

  // Events.
  void on_durable(std::span<const wal::StreamEnd> ends, wal::Tickets durable);
  // Something that this node holds of the partition is missing: it goes out of service, whoever waits is told, and so is the controller.
  void on_damaged(StreamId stream, const Error& what);
  void on_standing(replica::Standing standing);
  void on_isr_refused(StreamId stream, PartitionEpoch epoch, replica::IsrRefusal why);
  void on_session_opened(NodeId leader);
  void on_session_closed(NodeId leader);
  void on_follower_lost(NodeId follower);

  // An event for one core: f(core, now, output). Unknown streams are ignored.
  template <class F>
  void with(StreamId stream, F&& f) {
    if (Replica* r = find(stream)) {
      replica::Output out;
      f(r->core, env_.clock.now(), out);
      perform(*r, out);
    }
  }
  // The same for Data, whose batches the core may want written.
  Result<> on_data(NodeId from, const replica::Data& message, std::span<const IncomingBatch> batches,
                   std::span<const replica::Descriptor> descriptors);

  // Wakes cores at their deadlines until stopped.
  void run(Task& task);

  size_t size() const { return replicas_.size(); }
  // Parts of produce requests that wait; and readers, each counted once for every partition of which it wants to hear.
  size_t waits() const { return waits_.size() - free_waits_.size(); }
  size_t readers() const;

  // Bytes that were appended and are not on their way to the disk yet.
  size_t queued_bytes() const { return journal_.queued_bytes(); }

 private:
  struct Wait {
    std::shared_ptr<ProduceWaiter> waiter;
    size_t part = 0;
    uint32_t generation = 0;
  };
  struct Timer {
    Time at;
    StreamId stream;
    bool operator>(const Timer& o) const { return at != o.at ? at > o.at : stream > o.stream; }
  };

  Replica& create(const metadata::Catalogue& catalogue, const metadata::Partition& p);
  void perform(Replica& replica, const replica::Output& out);
  void act(Replica& replica, const replica::Action& action);
  void act(Replica& replica, const replica::Write& a);
  void act(Replica& replica, const replica::Truncate& a);
  void act(Replica& replica, const replica::Send& a);
  void act(Replica& replica, const replica::WakeSender& a);
  void act(Replica& replica, const replica::Complete& a);
  void act(Replica& replica, const replica::ProposeIsr& a);
  void act(Replica& replica, const replica::HighWatermarkMoved& a);
  void act(Replica& replica, const replica::WakeReaders& a);
  void act(Replica& replica, const replica::RoleChanged& a);
  void act(Replica& replica, const replica::Faulted& a);
  void damaged(StreamId stream, Offset from, Offset to, const Error& what);
  void append_to_journal(Replica& replica, const IncomingBatch& batch, Offset base, LeaderEpoch epoch, uint64_t generation);
  void arm(Replica& replica);
  void notify_readers(Replica& replica);
  void set_log_full();
  replica::Token add_wait(std::shared_ptr<ProduceWaiter> waiter, size_t part);
  Wait take_wait(replica::Token token);

  Env& env_;
  Log log_;
  const Config& config_;
  wal::Journal& journal_;
  ReplicationSink& replication_;
  ControllerSink& controller_;
  std::map<StreamId, std::unique_ptr<Replica>> replicas_;
  std::map<StreamId, Offset> recovered_marks_;  // high watermarks of streams that recovery found and no replica has taken over
  std::set<NodeId> sessions_;                   // dialed by this node and up
  std::vector<Wait> waits_;
  std::vector<uint32_t> free_waits_;
  std::priority_queue<Timer, std::vector<Timer>, std::greater<>> timers_;
  Signal earlier_;
  Time waiting_until_ = Time::never();
  replica::Standing standing_ = replica::Standing::unregistered;
  bool log_full_ = false;
  std::span<const IncomingBatch> incoming_;  // of the Data being handled
};

}  // namespace sg::broker
