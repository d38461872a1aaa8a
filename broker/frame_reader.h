// Cuts a connection's byte stream into frames: four bytes of length (big-endian, not counting themselves), then the body. Kafka's
// framing, and the peers'. A body is handed out as a slice of the block into which the socket was read, so a batch inside it can go
// to the journal without another copy; only a frame that straddles two blocks has its beginning copied once.
#pragma once

#include "base/bytes.h"
#include "net/network.h"

namespace sg::broker {

class FrameReader {
 public:
  // The connection outlives the reader. A frame longer than max_frame_bytes, or of negative length, is refused.
  FrameReader(net::Connection& connection, size_t max_frame_bytes) : connection_(connection), max_frame_bytes_(max_frame_bytes) {}

  // The next frame's body. `deadline` bounds the wait for the whole frame.
  // Errc::closed: the peer finished between frames. Errc::reset: it finished inside one, or the connection broke.
  // Errc::too_large: the length is out of bounds (what it was is in the message); the stream is lost then. Errc::timeout, Errc::stopped.
  Result<SharedBytes> next(Task& task, Time deadline = Time::never());

 private:
  Result<> fill(Task& task, size_t needed, Time deadline);

  net::Connection& connection_;
  size_t max_frame_bytes_;
  SharedBytes block_;
  size_t begin_ = 0;  // unread bytes of the block: [begin_, end_)
  size_t end_ = 0;
  size_t next_block_bytes_ = 4096;
};

}  // namespace sg::broker
