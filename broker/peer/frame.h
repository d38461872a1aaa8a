// The frames that nodes exchange on the peer port (docs/formats/peer.md).
//
//   int32  length    big-endian, of everything behind it (broker/frame_reader.h cuts by it)
//   uint32 checksum  little-endian, CRC-32C of everything from `kind` to the end of the metadata
//   uint8  kind
//   uint8  version   kPeerVersion
//   uint16 zero
//   uint32 metadata_length
//   metadata         one message, packed (base/archive.h)
//   payload          record batches, raw; each is covered by its own CRC, and its size by the metadata
//
// A frame whose checksum, version or metadata is wrong ends the connection: the stream is lost, the state is not.
#pragma once

#include <string>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/result.h"

namespace sg::broker::peer {

inline constexpr uint8_t kPeerVersion = 3;
inline constexpr size_t kMaxFrameBytes = 64u << 20;
inline constexpr uint32_t kHelloMagic = 0x53474c53;  // "SGLS"

enum class FrameKind : uint8_t {
  hello = 1,
  hello_reply = 2,
  raft = 3,                // raft::Message
  heartbeat = 4,           // metadata::Heartbeat
  controller_request = 5,  // metadata::ControllerRequest
  controller_reply = 6,
  heartbeat_reply = 7,  // metadata::HeartbeatReply
  formation = 8,        // raft::FormationMessage
  ping = 9,             // empty: this end lives (broker/peer/pulse.h); either way, on either kind of link
  subscribe = 16,       // replication, follower to leader
  unsubscribe = 17,
  ack = 18,
  diverged = 19,  // replication, leader to follower
  data = 20,
  refused = 21,
};

// Which of the two connections of a pair this is: a catch-up must never delay a vote or a heartbeat. An inquiry ends with the answer.
enum class LinkKind : uint8_t { control = 1, replication = 2, inquiry = 3 };

// The first frame on a connection, from the node that dialed.
struct Hello {
  uint32_t magic = kHelloMagic;
  LinkKind link = LinkKind::control;
  Uuid cluster_id;       // zero while this node does not know it yet
  uint64_t lineage = 0;  // which history of the cluster this node belongs to; counts where the cluster is known
  NodeId from;
  NodeId to;
  Run run;
  VoterId voter;     // under which this run takes part in Raft
  std::string host;  // where this node listens for its peers: a restart comes back to the same address
  uint16_t port = 0;
  template <class A>
  void serialize(A& a) {
    a(magic, link, cluster_id, lineage, from, to, run, voter, host, port);
  }
};

// The answer. A refusal says why and ends the connection; who refuses is said all the same.
struct HelloReply {
  bool accepted = false;
  std::string reason{};
  Uuid cluster_id{};  // zero while it is not known
  uint64_t lineage = 0;
  NodeId from;
  Run run;
  VoterId voter;
  template <class A>
  void serialize(A& a) {
    a(accepted, reason, cluster_id, lineage, from, run, voter);
  }
};

struct Frame {
  FrameKind kind;
  SharedBytes metadata;
  SharedBytes payload;
};

// Length, checksum, kind and metadata of a frame whose payload of `payload_bytes` follows separately (scatter/gather).
ByteVec encode_head(FrameKind kind, ByteSpan metadata, size_t payload_bytes);

// `body` is what FrameReader returns. The frame shares it.
// Errc::corrupt (checksum, lengths), Errc::unsupported (version): end the connection.
Result<Frame> decode(const SharedBytes& body);

}  // namespace sg::broker::peer
