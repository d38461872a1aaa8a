#include "broker/replica/outcome.h"

namespace sg::replica {

std::string_view to_string(Outcome outcome) {
  switch (outcome) {
    case Outcome::ok: return "ok";
    case Outcome::duplicate: return "duplicate";
    case Outcome::not_leader: return "not_leader";
    case Outcome::out_of_order_sequence: return "out_of_order_sequence";
    case Outcome::producer_unknown: return "producer_unknown";
    case Outcome::earlier_awaited: return "earlier_awaited";
    case Outcome::invalid_producer_epoch: return "invalid_producer_epoch";
    case Outcome::not_enough_replicas: return "not_enough_replicas";
    case Outcome::not_enough_replicas_after_append: return "not_enough_replicas_after_append";
    case Outcome::request_timed_out: return "request_timed_out";
    case Outcome::controller_silent: return "controller_silent";
    case Outcome::log_full: return "log_full";
    case Outcome::offset_not_available: return "offset_not_available";
    case Outcome::offset_out_of_range: return "offset_out_of_range";
    case Outcome::fenced_leader_epoch: return "fenced_leader_epoch";
    case Outcome::unknown_leader_epoch: return "unknown_leader_epoch";
    case Outcome::damaged: return "damaged";
  }
  return "unknown";
}

}  // namespace sg::replica
