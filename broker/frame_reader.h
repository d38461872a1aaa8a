// Cuts a connection's byte stream into frames: four bytes of length (big-endian, not counting themselves), then the body. Kafka's
// framing, and the peers'. A body is handed out as a slice of the block into which the socket was read, so a batch inside it can go
// to the journal without another copy; only a frame that straddles two blocks has its beginning copied once.
#pragma once

#include "base/bytes.h"
#include "net/network.h"

namespace sg::broker {

// Who lends the memory for frames that are larger than a block and have not arrived yet. Without one, nobody is asked.
class FrameRoom {
 public:
  virtual ~FrameRoom() = default;
  // The present frame is about to hold `bytes` in all. May wait; an error ends the reading.
  virtual Result<> reserve(Task& task, size_t bytes) = 0;
  // The frame is complete, and its memory is whoever's who takes it.
  virtual void release() = 0;
};

// A frame's length is a claim. Memory follows what has really come: at most 1 MiB, or twice the bytes that are there.
class FrameReader {
 public:
  // The connection and the room outlive the reader. A frame longer than max_frame_bytes, or of negative length, is refused.
  FrameReader(net::Connection& connection, size_t max_frame_bytes, FrameRoom* room = nullptr)
      : connection_(connection), max_frame_bytes_(max_frame_bytes), room_(room) {}

  // For the frames from here on.
  void set_max_frame_bytes(size_t bytes) { max_frame_bytes_ = bytes; }

  // The next frame's body. `deadline` bounds the wait for the whole frame.
  // Errc::closed: the peer finished between frames. Errc::reset: it finished inside one, or the connection broke.
  // Errc::too_large: the length is out of bounds (what it was is in the message); the stream is lost then. Errc::timeout, Errc::stopped.
  Result<SharedBytes> next(Task& task, Time deadline = Time::never());

 private:
  Result<> fill(Task& task, size_t needed, Time deadline);
  Result<> make_room(Task& task, size_t needed);

  net::Connection& connection_;
  size_t max_frame_bytes_;
  FrameRoom* room_;
  SharedBytes block_;
  size_t begin_ = 0;  // unread bytes of the block: [begin_, end_)
  size_t end_ = 0;
  size_t next_block_bytes_ = 4096;
};

}  // namespace sg::broker
