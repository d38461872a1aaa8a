// Which messages a link may hold back, and what may end that: the words that sim/ carries in its faults without knowing what they mean,
// and how such messages are found in the bytes of connections. Pure, but for HoldEnds, which looks at a cluster.
//
// A message between nodes is called as its kind of frame (broker/peer/frame.h) or its type is (broker/raft/messages.h,
// broker/metadata/messages.h), the answer to a request to the controller after the request: change_isr, change_isr_reply. A message of
// Kafka's protocol is called by its API: produce_request, produce_response.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <set>
#include <string_view>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "scenarios/observe/taps.h"
#include "scenarios/world/cluster.h"
#include "sim/network.h"

namespace sg::scenario {

std::vector<std::string_view> held_kinds();
// Of these, what nodes say to each other.
std::vector<std::string_view> peer_kinds();

//   leader_change      a partition is led by another node
//   isr_change         a partition has other in-sync replicas
//   controller_change  another node is the controller
std::vector<std::string_view> hold_ends();

class HeldMessages final : public sim::MessageFinder {
 public:
  HeldMessages(uint16_t peer_port, uint16_t kafka_port) : peer_port_(peer_port), kafka_port_(kafka_port) {}
  void on_send(const sim::ConnectionInfo& info, bool from_dialer, ByteSpan bytes, std::vector<Message>& found) override;
  void on_over(const sim::ConnectionInfo& info) override { connections_.erase(info.id); }
  // The kinds of everything that was sent.
  const std::set<std::string_view>& sent() const { return sent_; }

 private:
  struct Direction {
    FrameCutter cutter;
    uint64_t begin = 0;  // of the next frame
    bool lost = false;   // what comes is no frame
  };
  struct Answer {
    int32_t correlation_id;
    std::string_view kind;
  };
  struct Connection {
    Direction directions[2];  // [0]: from the dialer
    std::deque<Answer> owed;  // of a Kafka connection, in order
  };
  // Empty: it has no name. The machines by the world's numbers.
  std::string_view peer_kind(uint32_t from, uint32_t to, const SharedBytes& body);
  static std::string_view request_kind(Connection& connection, const SharedBytes& body);
  static std::string_view response_kind(Connection& connection, const SharedBytes& body);

  uint16_t peer_port_;
  uint16_t kafka_port_;
  std::map<uint64_t, Connection> connections_;
  // Requests to controllers, by who asks and their number, and what their answers are called: these come on another connection.
  std::map<std::pair<uint32_t, uint64_t>, std::string_view> asked_;
  std::set<std::string_view> sent_;
};

// Notices what ends holds, in what nodes have applied.
class HoldEnds {
 public:
  explicit HoldEnds(const Cluster& cluster) : cluster_(cluster) {}
  // What has happened since the last look.
  std::vector<std::string_view> look();

 private:
  struct Seen {
    NodeId leader = kNoNode;  // the last one, while there is none
    std::vector<NodeId> isr;
  };
  const Cluster& cluster_;
  LogIndex applied_;
  std::map<StreamId, Seen> partitions_;
  NodeId controller_ = kNoNode;
};

}  // namespace sg::scenario
