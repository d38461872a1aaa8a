#include "broker/raft_snapshot.h"

#include "base/archive.h"

namespace sg::broker {
namespace {

constexpr uint8_t kVersion = 1;

struct Body {
  raft::Configuration configuration;
  SharedBytes data;
  template <class A>
  void serialize(A& a) {
    a(configuration, data);
  }
};

}  // namespace

wal::Append to_append(const raft::Snapshot& s) {
  SharedBytes payload = SharedBytes::copy_of(pack(Body{s.configuration, s.data}));
  wal::Append append = wal::Append::whole_payload(wal::kRaftSnapshots, s.index.v, s.index.v + 1, s.term.v, std::move(payload));
  append.aux = wal::Aux({&kVersion, 1});
  return append;
}

Result<raft::Snapshot> snapshot_from(const wal::Aux& aux, LogIndex index, Term term, ByteSpan payload) {
  if (aux.size == 0) return raft::Snapshot{index, term, {}, SharedBytes::copy_of(payload)};
  if (aux.size != 1 || aux.bytes[0] != kVersion)
    return fail(Errc::unsupported, fmt::format("the snapshot at {} has version {}; this program knows {}", index, aux.bytes[0], kVersion));
  TRY(Body body, unpack<Body>(payload));
  if (!raft::well_formed(body.configuration)) return fail(Errc::invalid, fmt::format("the snapshot at {} names impossible voters", index));
  return raft::Snapshot{index, term, std::move(body.configuration), std::move(body.data)};
}

}  // namespace sg::broker
