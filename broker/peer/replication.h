// The replication sessions of a node. As a follower it dials every node that leads a partition it follows; as a leader it serves the
// sessions that its followers dialed. One session per pair and direction carries all their partitions.
//
// Sending as a leader: partitions that have something to send stand in a queue, each at most once, and are served in turn, so that a
// catch-up does not delay the others; an idle partition costs nothing. Batches go from the journal's memory to the socket without a
// copy. Receiving as a follower: batches stay where the socket was read into; their CRC is computed here, once. A session that has fallen
// silent is ended at either end (broker/peer/pulse.h), and the follower dials again.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <set>
#include <vector>

#include "base/sync.h"
#include "broker/metadata/catalogue.h"
#include "broker/partitions.h"
#include "broker/peer/control_link.h"
#include "broker/peer/peer_server.h"

namespace sg::broker::peer {

class Replication final : public ReplicationSink {
 public:
  Replication(Env& env, const Identity& identity, Pulses& pulses);
  ~Replication() override;

  // Where things are; before anything else. The partitions outlive the sessions' tasks, and `tasks` is where dialers live.
  void attach(Partitions& partitions, const metadata::Catalogue& catalogue, TaskGroup& tasks);

  void send(NodeId to, const replica::Message& message) override;
  void wake_sender(NodeId to, StreamId stream) override;
  void want_sessions(const std::set<NodeId>& leaders) override;

  // From now on nothing leaves any more, not even what is queued; nobody is dialed, and no session accepted.
  void silence();

  // A session that a follower dialed, until it ends.
  Result<> serve(Task& task, LiveConnection& connection, FrameReader& reader, const Hello& hello);

 private:
  // A connection with frames waiting to leave on it.
  struct Outbox {
    std::deque<ByteVec> frames;
    Signal wake;
    bool broken = false;
  };
  struct Following {  // towards a leader
    NodeId leader;
    bool wanted = true;
    bool running = false;
    net::Connection* connection = nullptr;
    Outbox outbox;
  };
  struct Serving {  // towards a follower
    NodeId follower;
    net::Connection& connection;
    Outbox outbox;
    std::deque<StreamId> turns;
    std::set<StreamId> queued;
  };

  void follow(Task& task, Following& f);
  Result<> receive(Task& task, Following& f, Greeted& greeted);
  Result<> on_leader_frame(NodeId leader, const Frame& frame);
  Result<> on_data(NodeId leader, const Frame& frame);
  Result<> on_follower_frame(NodeId follower, const Frame& frame);
  void end_serving(Serving& session);
  void send_loop(Task& task, Serving& session);
  Result<> take_turn(Task& task, Serving& session, StreamId stream, std::vector<SharedBytes>& pieces, size_t& bytes);

  Env& env_;
  const Identity& identity_;
  Pulses& pulses_;
  Log log_;
  Partitions* partitions_ = nullptr;
  const metadata::Catalogue* catalogue_ = nullptr;
  TaskGroup* tasks_ = nullptr;
  Refusals refusals_;
  std::map<NodeId, std::unique_ptr<Following>> following_;
  std::map<NodeId, Serving*> serving_;
  bool silent_ = false;
};

}  // namespace sg::broker::peer
