// One follower, as its leader sees it in one leader epoch: what was sent, what is on the follower's disk, and since when it lags.
//
// Invariant: acknowledged <= next_to_send; what is acknowledged was reported under this leader epoch and `broker_epoch`.
//
// What a copy has promised under this leader epoch outlives its process: an acknowledgement is for bytes that are on the disk and equal
// to the leader's log, which only grows while it leads, so a later run in the same directory finds them there. One that ends below, or
// parts from the leader's log below, has lost them without knowing (an older copy of its directory was put back; the end of its journal has
// rotted away) and counts for nothing as long as this epoch lasts. Never so for what is legal: a tail that was not synced was not
// acknowledged, another directory has promised nothing, and under another leader epoch nothing is held against it.
#pragma once

#include <deque>
#include <optional>

#include "base/ids.h"
#include "base/time.h"

namespace sg::replica {

class Progress {
 public:
  Progress(NodeId node, const Uuid& directory, BrokerEpoch broker_epoch, Offset log_end, Time now);

  // `earlier` is what was known of an earlier registration of this node.
  void follow(const Progress& earlier);
  // It comes back with a log that equals ours up to `common` at most. True if that is less than it has promised, now or before.
  bool states_less(Offset common);

  // A subscription whose log fits ours up to `offset`: sending starts there.
  void subscribe(uint64_t subscription, Offset offset);
  // Nothing more is sent until it subscribes again. What it has acknowledged stays on its disk, and counts.
  void unsubscribe(Time now);

  void sent(Offset end, uint64_t bytes, Offset high_watermark);

  // `durable_end` <= next(). True if it moved.
  bool ack(Offset durable_end, Offset log_end, Time now);

  // The log is about to grow from `log_end`: a follower that has all of it is in time as of now.
  void before_append(Offset log_end, Time now);

  // Since when it has not been known to have everything, or to want what comes (replica.lag.time.max.ms counts from here); never() while
  // it has everything and is subscribed.
  Time behind_since(Offset log_end) const;

  NodeId node() const { return node_; }
  bool distrusted() const { return distrusted_; }
  BrokerEpoch broker_epoch() const { return broker_epoch_; }
  bool subscribed() const { return subscribed_; }
  uint64_t subscription() const { return subscription_; }
  Offset next() const { return next_; }
  uint64_t bytes_in_flight() const { return bytes_in_flight_; }
  // None until the first acknowledgement: unknown is not zero.
  std::optional<Offset> durable_end() const { return durable_end_; }

  // The newest high watermark that it was sent in this subscription, and whether the next one goes without waiting for data.
  Offset high_watermark_sent() const { return high_watermark_sent_; }
  bool news_due() const { return news_due_; }
  void make_news_due() { news_due_ = true; }

 private:
  struct InFlight {
    Offset end;
    uint64_t bytes;
  };

  NodeId node_;
  Uuid directory_;
  BrokerEpoch broker_epoch_;
  Offset promised_;  // the most that this copy has acknowledged, in whatever run
  bool distrusted_ = false;
  bool subscribed_ = false;
  uint64_t subscription_ = 0;
  Offset next_;
  std::deque<InFlight> in_flight_;
  uint64_t bytes_in_flight_ = 0;
  std::optional<Offset> durable_end_;
  Offset high_watermark_sent_;
  bool news_due_ = false;

  // It had everything as of caught_up_. When it reaches mark_end_, it had everything as of mark_time_: so that a follower that keeps
  // up with a log that never rests counts as caught up (as Kafka's Replica.lastCaughtUpTimeMs).
  Time caught_up_;
  Time left_;  // when it was subscribed last
  Offset mark_end_;
  Time mark_time_;
};

}  // namespace sg::replica
