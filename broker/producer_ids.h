// Producer ids for InitProducerId: given out from a block that the catalogue allotted to this node (KIP-730), so that none is ever
// given out twice, whatever crashes. An unfinished block is abandoned at a restart.
#pragma once

#include "broker/membership.h"

namespace sg::broker {

class ProducerIds {
 public:
  explicit ProducerIds(Membership& membership) : membership_(membership) {}

  // A fresh id.  Errc::timeout, Errc::stopped; Errc::unavailable: not registered.
  Result<ProducerId> next(Task& task, Time deadline);

 private:
  Membership& membership_;
  ProducerId next_{0};
  int32_t left_ = 0;
  bool fetching_ = false;
  Signal fetched_;
};

}  // namespace sg::broker
