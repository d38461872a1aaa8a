// What leaves the nodes of a cluster, as typed messages: cuts the bytes of each connection and direction into frames as the simulated
// network accepts them, and decodes peer messages and Kafka answers (with the request that each answers).
//
// Invariant: a message is told at the moment when its last byte leaves, once, and in the order of its connection.
// Formats: broker/peer/frame.h, broker/kafka/codec.h.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <string>

#include "base/bytes.h"
#include "base/time.h"
#include "broker/kafka/fetch.h"
#include "broker/kafka/header.h"
#include "broker/kafka/init_producer_id.h"
#include "broker/kafka/list_offsets.h"
#include "broker/kafka/metadata.h"
#include "broker/kafka/produce.h"
#include "broker/metadata/messages.h"
#include "broker/peer/frame.h"
#include "broker/raft/formation.h"
#include "broker/raft/messages.h"
#include "broker/replica/messages.h"
#include "scenarios/judge.h"
#include "scenarios/world/machine.h"
#include "sim/network.h"

namespace sg::scenario {

// Cuts one direction of a connection: int32 length, big-endian, then the body.
class FrameCutter {
 public:
  // Bytes of a frame that is not complete wait here.
  bool partial() const { return !buffer_.empty(); }
  // Calls sink(SharedBytes body) for each frame that is complete now.  False: a length that cannot be; the stream is lost.
  template <class Sink>
  bool feed(ByteSpan bytes, Sink&& sink) {
    buffer_.insert(buffer_.end(), bytes.begin(), bytes.end());
    size_t at = 0;
    while (buffer_.size() - at >= 4) {
      const auto length = load_be<int32_t>(buffer_.data() + at);
      if (length < 0) return false;
      if (buffer_.size() - at - 4 < static_cast<size_t>(length)) break;
      sink(SharedBytes::copy_of(ByteSpan(buffer_).subspan(at + 4, static_cast<size_t>(length))));
      at += 4 + static_cast<size_t>(length);
    }
    buffer_.erase(buffer_.begin(), buffer_.begin() + static_cast<std::ptrdiff_t>(at));
    return true;
  }

 private:
  ByteVec buffer_;
};

// A client's request.
struct Asked {
  Time left;             // its client
  Time arrived;          // when the broker had read it; until then, when it left
  Time first;            // of one that is answered: since then no answer to an earlier one of its connection was missing
  uint64_t number = 0;   // unique in the run, ascending
  int16_t version = 0;   // of its API
  bool answered = true;  // it will be: all but a Produce with acks=0
};

// Messages as they leave a machine.
class MessageEvents {
 public:
  virtual ~MessageEvents() = default;
  // Any message of a link between two machines that has been accepted.
  virtual void on_peer(MachineId, [[maybe_unused]] MachineId to) {}
  // `from` has taken the process that greeted it for the node that it says it is.
  virtual void on_accepted(MachineId, [[maybe_unused]] MachineId to, const broker::peer::Hello&) {}
  virtual void on_raft(MachineId, [[maybe_unused]] MachineId to, const raft::Message&) {}
  virtual void on_formation(MachineId, const raft::FormationMessage&) {}
  virtual void on_replica(MachineId, const replica::Message&) {}
  // `payload`: the batches, one behind the other.
  virtual void on_data(MachineId, const replica::Data&, [[maybe_unused]] const SharedBytes& payload) {}
  virtual void on_heartbeat(MachineId, const metadata::Heartbeat&) {}
  virtual void on_heartbeat_reply(MachineId, [[maybe_unused]] MachineId to, const metadata::HeartbeatReply&) {}
  // A request has left its client for that machine; has been read there; is about to be answered (then follows what is told of that API).
  virtual void on_request(MachineId, [[maybe_unused]] uint64_t connection, const Asked&, const kafka::RequestHeader&,
                          [[maybe_unused]] const SharedBytes& body) {}
  virtual void on_arrived(MachineId, [[maybe_unused]] uint64_t connection, const Asked&) {}
  virtual void on_answer(MachineId, [[maybe_unused]] uint64_t connection, const Asked&, const kafka::RequestHeader&) {}
  // Some bytes of an answer have left, and the rest has not yet.
  virtual void on_answer_begins(MachineId, [[maybe_unused]] uint64_t connection) {}
  // Either end has ended a client's connection to that machine.
  virtual void on_connection_over(MachineId, [[maybe_unused]] uint64_t connection) {}
  virtual void on_produced(MachineId, [[maybe_unused]] const Asked& when, const kafka::ProduceRequest&, const kafka::ProduceResponse&) {}
  virtual void on_fetched(MachineId, [[maybe_unused]] const Asked& when, const kafka::FetchRequest&, const kafka::FetchResponse&) {}
  // An error code, or that there was none, in an answer to that request; before what is told of its API.
  virtual void on_code(MachineId, const kafka::RequestHeader&, kafka::ErrorCode) {}
  virtual void on_producer_id(MachineId, const kafka::InitProducerIdResponse&) {}
  virtual void on_metadata(MachineId, [[maybe_unused]] const Asked& when, const kafka::MetadataRequest&, const kafka::MetadataResponse&) {}
  virtual void on_offsets(MachineId, [[maybe_unused]] const Asked& when, const kafka::ListOffsetsRequest&,
                          const kafka::ListOffsetsResponse&) {}
};

class Taps final : public sim::NetworkTap {
 public:
  // The references outlive the taps.
  Taps(const Time* now, uint16_t peer_port, uint16_t kafka_port, Judge& judge, MessageEvents& events)
      : now_(now), peer_port_(peer_port), kafka_port_(kafka_port), judge_(judge), events_(events) {}

  // A node of the world that brokers run on.
  void add_node(uint32_t index, MachineId machine) { machines_[index] = machine; }

  void on_send(const sim::ConnectionInfo& info, bool from_dialer, ByteSpan bytes) override;
  void on_read(const sim::ConnectionInfo& info, bool by_dialer, size_t bytes) override;
  void on_end(const sim::ConnectionInfo& info, bool from_dialer, bool reset) override;

 private:
  struct Request {
    kafka::RequestHeader header;
    SharedBytes body;
    uint64_t end;  // in what the client has sent on this connection
    Asked asked;
  };
  struct Connection {
    FrameCutter cutters[2];          // [0]: from the dialer
    std::deque<Request> unanswered;  // of a Kafka connection, in order
    std::deque<Request> unread;      // acks=0, likewise: there is no answer to wait for
    uint64_t asked_bytes = 0;        // that the client has sent there in whole requests
    uint64_t read_bytes = 0;         // that the broker has read
    Time answered;                   // when the last answer left
    broker::peer::Hello hello;       // of a peer connection: the last one
    bool lost = false;               // nothing is to be learned from it any more
    bool ended[2] = {false, false};  // [0]: the dialer's side
  };

  Result<> peer_frame(MachineId from, MachineId to, Connection& connection, const SharedBytes& body);
  Result<> greeting(MachineId from, MachineId to, Connection& connection, const broker::peer::Frame& frame);
  Result<> request(MachineId to, uint64_t id, Connection& connection, const SharedBytes& body);
  Result<> beyond(MachineId from, const Request& request, const SharedBytes& body);
  template <class Message, class Tell>
  Result<> exchange(MachineId from, const Request& request, const SharedBytes& body, Tell&& tell);
  Result<> response(MachineId from, uint64_t id, Connection& connection, const SharedBytes& body);

  const Time* now_;
  uint16_t peer_port_;
  uint16_t kafka_port_;
  Judge& judge_;
  MessageEvents& events_;
  std::map<uint32_t, MachineId> machines_;
  std::map<uint64_t, Connection> connections_;
  uint64_t requests_ = 0;
};

}  // namespace sg::scenario
