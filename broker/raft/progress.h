// What a leader knows about one follower, and how much it may send to it: bounded in entries and bytes, so that a follower that does
// not answer costs heartbeats only. (Flow control as in etcd/raft's tracker; dissertation §10.2.1 on pipelining.)
//
//   probe      one message at a time looks for the place where the logs agree
//   replicate  a pipeline: `next` runs ahead of `match` within the window
//   snapshot   a snapshot is under way; only heartbeats until it is durable there
//
// Invariant: match < next, and everything in flight lies in (match, next).
#pragma once

#include <algorithm>
#include <deque>

#include "base/ensure.h"
#include "base/ids.h"
#include "base/time.h"

namespace sg::raft {

struct ProgressLimits {
  size_t append_max_entries = 1024;    // per message
  size_t append_max_bytes = 1u << 20;  // per message; one entry always goes
  size_t in_flight_max_messages = 64;  // sent and not yet durable there
  size_t in_flight_max_bytes = 8u << 20;
};

enum class ProgressState : uint8_t { probe, replicate, snapshot };

class Progress {
 public:
  // `next` is the leader's guess: behind its own last entry (§3.5).
  Progress(LogIndex next, Time now) : next_(next), last_contact_(now), answered_(now) {}

  ProgressState state() const { return state_; }
  LogIndex match() const { return match_; }
  LogIndex next() const { return next_; }
  LogIndex sent_commit() const { return sent_commit_; }
  Time last_contact() const { return last_contact_; }
  LogIndex pending_snapshot() const { return pending_snapshot_; }
  size_t in_flight_messages() const { return in_flight_.size(); }
  size_t in_flight_bytes() const { return in_flight_bytes_; }

  void heard(Time now) { last_contact_ = now; }
  // It has answered a round that began then.
  void answered(Time begun) { answered_ = std::max(answered_, begun); }
  Time answered() const { return answered_; }
  void sent_commit(LogIndex commit) { sent_commit_ = commit; }

  // Whether entries may go now. A probe that was answered, or a link that came up, lets one message through.
  bool may_send_entries(const ProgressLimits& limits) const {
    if (state_ == ProgressState::probe) return !probe_sent_;
    return state_ == ProgressState::replicate && in_flight_.size() < limits.in_flight_max_messages &&
           in_flight_bytes_ < limits.in_flight_max_bytes;
  }

  // Entries [next, last] of `bytes` bytes went out.
  void sent_entries(LogIndex last, size_t bytes) {
    ENSURE(last >= next_, "sent up to {} from {}", last, next_);
    if (state_ == ProgressState::probe) {
      probe_sent_ = true;  // next stays: this is where the logs may differ
      return;
    }
    in_flight_.push_back({last, bytes});
    in_flight_bytes_ += bytes;
    next_ = last + 1;
  }
  void probe_sent() { probe_sent_ = true; }

  // The follower's log equals the leader's up to `match`, durably.
  void acknowledged(LogIndex match) {
    if (match > match_) match_ = match;
    if (next_ <= match_) next_ = match_ + 1;
    while (!in_flight_.empty() && in_flight_.front().last <= match_) {
      in_flight_bytes_ -= in_flight_.front().bytes;
      in_flight_.pop_front();
    }
    bool snapshot_done = state_ == ProgressState::snapshot && match_ >= pending_snapshot_;
    if (state_ == ProgressState::probe || snapshot_done) become(ProgressState::replicate);
  }

  // The follower refused entries behind `rejected`; it has said where to look next. False: an old answer, nothing changes.
  bool refused(LogIndex rejected, LogIndex try_next) {
    if (rejected <= match_ || rejected >= next_ || state_ == ProgressState::snapshot) return false;
    if (state_ == ProgressState::probe && rejected != next_ - 1) return false;
    become(ProgressState::probe);
    next_ = try_next > match_ ? std::min(try_next, rejected) : match_ + 1;
    if (next_ <= match_) next_ = match_ + 1;
    return true;
  }

  // What is in flight is believed lost: look again from what is known.
  void restart_probe() {
    bool probing = state_ == ProgressState::probe;
    become(ProgressState::probe);
    if (!probing) next_ = match_ + 1;
  }
  // Another run of the node, perhaps of another directory: what the old one acknowledged says nothing of it.
  void forget(LogIndex next) {
    become(ProgressState::probe);
    match_ = sent_commit_ = LogIndex{};
    next_ = next;
  }
  void sent_snapshot(LogIndex index, Time now) {
    become(ProgressState::snapshot);
    pending_snapshot_ = index;
    snapshot_sent_ = now;
  }
  Time snapshot_sent() const { return snapshot_sent_; }

 private:
  struct InFlight {
    LogIndex last;
    size_t bytes;
  };
  void become(ProgressState state) {
    state_ = state;
    probe_sent_ = false;
    in_flight_.clear();
    in_flight_bytes_ = 0;
    pending_snapshot_ = LogIndex{};
    if (state == ProgressState::replicate) next_ = match_ + 1;
  }

  ProgressState state_ = ProgressState::probe;
  bool probe_sent_ = false;
  LogIndex match_;  // known to be durable and equal there
  LogIndex next_;   // the next index to send
  LogIndex sent_commit_;
  LogIndex pending_snapshot_;
  Time snapshot_sent_;
  Time last_contact_;
  Time answered_;
  std::deque<InFlight> in_flight_;
  size_t in_flight_bytes_ = 0;
};

}  // namespace sg::raft
