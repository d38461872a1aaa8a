// The messages through the archive: what goes in comes out, and what is cut short does not.
#include "broker/replica/messages.h"

#include <doctest/doctest.h>

#include "base/archive.h"

namespace sg::replica {
namespace {

// The packed bytes name every field, so equal bytes after a round trip mean equal fields.
template <class T>
void check_round_trip(const T& message) {
  ByteVec bytes;
  pack(bytes, message);
  auto back = unpack<T>(bytes);
  REQUIRE(back.has_value());
  ByteVec again;
  pack(again, *back);
  CHECK(again == bytes);
  for (size_t n = 0; n < bytes.size(); ++n) CHECK_FALSE(unpack<T>(ByteSpan(bytes).first(n)).has_value());
}

TEST_CASE("given any message, it survives the archive, and no prefix of it does") {
  check_round_trip(Subscribe{StreamId(16), LeaderEpoch(2), BrokerEpoch(3), 4, Offset(5), LeaderEpoch(1)});
  check_round_trip(Unsubscribe{StreamId(16), 4});
  check_round_trip(Ack{StreamId(16), LeaderEpoch(2), BrokerEpoch(3), 4, Offset(5)});
  check_round_trip(Diverged{StreamId(16), LeaderEpoch(2), 4, LeaderEpoch(1), Offset(5)});
  check_round_trip(Data{StreamId(16), LeaderEpoch(2), 4, Offset(5), Offset(6), {61, 100, 4096}});
  check_round_trip(Refused{StreamId(16), LeaderEpoch(2), 4, RefuseReason::not_a_replica});
}

TEST_CASE("given packed data, the fields are the ones that went in") {
  ByteVec bytes;
  pack(bytes, Data{StreamId(16), LeaderEpoch(2), 4, Offset(5), Offset(6), {61, 100}});
  auto back = unpack<Data>(bytes);
  REQUIRE(back.has_value());
  CHECK(back->stream == StreamId(16));
  CHECK(back->leader_epoch == LeaderEpoch(2));
  CHECK(back->subscription == 4);
  CHECK(back->high_watermark == Offset(5));
  CHECK(back->log_start == Offset(6));
  CHECK(back->batch_bytes == std::vector<uint32_t>{61, 100});
}

}  // namespace
}  // namespace sg::replica
