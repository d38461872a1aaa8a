#include "broker/producer_ids.h"

namespace sg::broker {

Result<ProducerId> ProducerIds::next(Task& task, Time deadline) {
  if (replica::is_outside(membership_.standing())) return fail(Errc::unavailable, "this node is not a member of the cluster now");
  while (left_ == 0) {
    if (fetching_) {
      TRY_DO(fetched_.wait(task, deadline, "a block of producer ids"));
      continue;
    }
    fetching_ = true;
    auto reply = membership_.request(
        task, metadata::AllocateProducerIds{.node = membership_.node(), .broker_epoch = membership_.broker_epoch(), .count = 1000},
        deadline);
    fetching_ = false;
    fetched_.notify_all();
    if (!reply) return std::unexpected(reply.error());
    const auto* block = std::get_if<metadata::AllocateProducerIdsReply>(&reply->body);
    if (reply->error != metadata::ControllerError::none || !block) return fail(Errc::unavailable, reply->message);
    next_ = block->first;
    left_ = block->count;
  }
  --left_;
  ProducerId id = next_;
  ++next_;
  return id;
}

}  // namespace sg::broker
