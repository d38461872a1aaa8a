// What becomes of a request to a partition: one name per case. The handlers map it to Kafka's error codes in one place.
#pragma once

#include <cstdint>
#include <string_view>

namespace sg::replica {

enum class Outcome : uint8_t {
  ok,
  duplicate,                         // of a batch that is in the log: success, with the offset of the original
  not_leader,                        // this replica does not lead (any more); whether an appended batch survives is unknown
  out_of_order_sequence,             // a gap, or older than the last five batches of its producer
  producer_unknown,                  // no state of the producer, and it begins in mid-sequence: retriable, taken when it returns
  earlier_awaited,                   // a gap that may be filled by what the client sends again: retriable
  invalid_producer_epoch,            // a newer epoch of this producer has written
  not_enough_replicas,               // acks=all while |ISR| < min: nothing was appended
  not_enough_replicas_after_append,  // appended; the ISR was below min when the deadline passed
  request_timed_out,                 // appended; not committed by the deadline; it may still be
  controller_silent,     // not to be said, or not to be waited for, while no controller is heard: retriable. Of a batch that was
                         // appended nobody knows what becomes
  log_full,              // the journal has reached its limit: nothing was appended
  offset_not_available,  // the high watermark has not yet reached the start of the leader's epoch (KIP-207): retriable
  offset_out_of_range,   // below the log start, or beyond its end
  fenced_leader_epoch,   // the request names an earlier leader epoch
  unknown_leader_epoch,  // the request names a later one
  damaged,               // this replica is out of service: records that were promised are missing from its log
};

std::string_view to_string(Outcome outcome);

}  // namespace sg::replica
