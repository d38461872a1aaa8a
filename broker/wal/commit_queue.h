// What waits for its commit: two lanes, metadata before data, each in the order of the requests.
//
// Invariant: a lane is composed strictly in order, so "everything up to ticket t is durable" is one number per lane.
#pragma once

#include <deque>
#include <vector>

#include "broker/wal/format.h"
#include "broker/wal/types.h"

namespace sg::wal {

struct Request {
  Record record{};        // unless it is a hard state
  SharedBytes payload{};  // of an append
  bool is_hard_state = false;
  HardState hard_state{};
  uint64_t ticket = 0;

  bool in_metadata_lane() const { return is_hard_state || is_metadata(record.stream); }
  size_t encoded() const { return is_hard_state ? 0 : encoded_bytes(record.kind, record.aux.size); }
};

class CommitQueue {
 public:
  // Numbers the request and queues it; returns its ticket.
  uint64_t push(Request request);
  bool empty() const { return metadata_.empty() && data_.empty(); }
  size_t bytes() const { return bytes_; }
  Tickets last() const { return last_; }  // given out so far

  // Moves into `out` what the next commit carries: metadata first, at most max_bytes on the disk, but at least one request.
  // Returns the tickets up to which everything has been taken.
  Tickets take(std::vector<Request>& out, size_t max_bytes);
  void clear();

 private:
  bool take_lane(std::deque<Request>& lane, uint64_t& taken, std::vector<Request>& out, size_t max_bytes, size_t& bytes);

  std::deque<Request> metadata_;
  std::deque<Request> data_;
  size_t bytes_ = 0;
  Tickets last_;
  Tickets taken_;
};

}  // namespace sg::wal
