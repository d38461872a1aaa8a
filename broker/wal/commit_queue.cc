#include "broker/wal/commit_queue.h"

namespace sg::wal {

uint64_t CommitQueue::push(Request request) {
  bool metadata = request.in_metadata_lane();
  uint64_t ticket = metadata ? ++last_.metadata : ++last_.data;
  request.ticket = ticket;
  bytes_ += request.payload.size();
  (metadata ? metadata_ : data_).push_back(std::move(request));
  return ticket;
}

bool CommitQueue::take_lane(std::deque<Request>& lane, uint64_t& taken, std::vector<Request>& out, size_t max_bytes, size_t& bytes) {
  while (!lane.empty()) {
    Request& request = lane.front();
    size_t size = 2 * request.encoded() + request.payload.size();  // a header line stands in the trailer again
    if (!out.empty() && bytes + size > max_bytes) return false;
    bytes += size;
    bytes_ -= request.payload.size();
    taken = request.ticket;
    out.push_back(std::move(request));
    lane.pop_front();
  }
  return true;
}

Tickets CommitQueue::take(std::vector<Request>& out, size_t max_bytes) {
  size_t bytes = 2 * kCommitFixedBytes + kFooterBytes;
  if (take_lane(metadata_, taken_.metadata, out, max_bytes, bytes)) take_lane(data_, taken_.data, out, max_bytes, bytes);
  return taken_;
}

void CommitQueue::clear() {
  metadata_.clear();
  data_.clear();
  bytes_ = 0;
}

}  // namespace sg::wal
