// Three replicas of one partition in one thread, with everything around them kept as simple as can be: a journal that is a list of
// operations of which a prefix is durable, sessions that are FIFO queues with random delays, a catalogue that is one struct with a log,
// clients that retry until they are acknowledged. It checks after every event; see check() and on_commit() for what.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <vector>

#include "base/rng.h"
#include "broker/replica/invariants.h"
#include "broker/replica/partition.h"

namespace sg::replica::test {

struct Entry {
  Descriptor batch;
  uint64_t payload;  // unique per batch that a client made
};

// One operation of the journal: a batch, or a truncation to `to`.
struct JournalOp {
  std::optional<Entry> entry;
  Offset to;
  uint64_t generation;
  Offset mark;  // high watermark that rode along
};

struct Node {
  NodeId id;
  bool up = false;
  uint64_t run = 0;
  BrokerEpoch broker_epoch = kNoBrokerEpoch;
  bool registered = false;  // has applied the catalogue up to its own registration
  size_t applied = 0;       // index into Cluster::history_
  size_t told = 0;          // how much of it has reached this run
  std::unique_ptr<Partition> partition;
  std::unique_ptr<Invariants> invariants;
  std::vector<Entry> disk;  // fold of what is durable
  Offset disk_mark;         // durable high watermark
  std::vector<Entry> log;   // fold of everything written
  std::vector<JournalOp> queue;
  bool sync_under_way = false;
  std::set<NodeId> dialed;  // sessions from here that are up
};

class Cluster {
 public:
  explicit Cluster(uint64_t seed);
  // Faults for `faults`, then heals, waits for quiet, and checks that nothing acknowledged was lost, doubled or reordered.
  void run(Duration faults);
  size_t acknowledged() const { return acked_.size(); }
  size_t elections() const { return elections_; }

 private:
  struct Sent {
    uint64_t payload;
    int producer;
    bool acked;
  };
  struct Client {
    ProducerId id;
    int32_t first_sequence = 0;      // beyond 0: one that has written to an earlier topic of this name
    std::vector<uint64_t> payloads;  // by batch number; batch k has the sequence k * kRecords behind the first
    size_t first_open = 0;
    bool refused = false;  // a batch, since everything unfinished was sent
    std::set<size_t> under_way;
    std::set<size_t> done;
  };
  struct Asked {
    int client;  // -1: noise, acks=1
    size_t number;
    uint64_t payload;
  };

  // events
  void at(Duration delay, std::function<void()> what) { queue_.emplace(now_ + delay, std::move(what)); }
  Duration some(int64_t low_us, int64_t high_us) { return std::chrono::microseconds(rng_.log_between(low_us, high_us)); }
  void run_until(Time end);
  Node& node(NodeId id) { return nodes_[static_cast<size_t>(id.v - 1)]; }

  // nodes
  void start(Node& n);
  void crash(Node& n);
  void perform(Node& n, Output& out);
  void step(Node& n, const std::function<void(Partition&, Output&)>& event);
  void start_sync(Node& n);
  void arm(Node& n);
  void pump(Node& n, NodeId to);
  void stand(Node& n, Standing standing);

  // network: dialer -> other and back over one session
  void dial_all();
  void cut(NodeId dialer, NodeId other);
  void transmit(NodeId dialer, NodeId from, NodeId to, std::function<void(Node&)> deliver);

  // catalogue
  void publish();
  void apply(Node& n);
  void fence(NodeId id);
  void register_broker(Node& n);
  void elect();
  void propose(Node& n, const IsrProposal& proposal);

  // clients
  void client_turn(int which);
  void noise();
  void completed(Node& n, const Complete& done);

  // checks
  void on_high_watermark(Node& n, Offset to);
  void check_latest();
  bool quiet();
  std::string describe();
  void check_end();

  Rng rng_;
  Time now_{};
  std::multimap<Time, std::function<void()>> queue_;
  Config config_;
  std::vector<Node> nodes_;
  std::map<std::pair<NodeId, NodeId>, std::pair<uint64_t, Time>> sessions_;  // (dialer, other) -> session number, last delivery
  std::map<std::pair<NodeId, NodeId>, Time> last_delivery_;                  // FIFO per direction: (from, to) of a session
  uint64_t session_numbers_ = 0;

  PartitionState state_;
  std::vector<PartitionState> history_;
  std::map<NodeId, bool> alive_in_catalogue_;
  BrokerEpoch next_broker_epoch_{1};
  size_t elections_ = 0;

  std::vector<Client> clients_;
  std::map<Token, Asked> asked_;
  uint64_t next_token_ = 1;
  uint64_t next_payload_ = 1;
  std::map<uint64_t, Offset> acked_;  // payload -> offset, acks=all only
  std::map<Offset, std::pair<LeaderEpoch, uint64_t>> ghost_;
  Offset latest_answered_;
  bool healing_ = false;
  bool producing_ = true;
};

}  // namespace sg::replica::test
