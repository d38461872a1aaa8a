#include "broker/cluster/formation_host.h"

#include "base/archive.h"
#include "base/probe.h"

namespace sg::broker {
namespace {

constexpr size_t kReadBytes = 1 << 20;

bool has_taken_part(const raft::Raft& core) { return core.log().last_index().v > 0 || core.vote() != raft::kNoVoter; }

raft::Formation::Config formation_config(const Config& config, const raft::Raft& core) {
  raft::Formation::Config out;
  out.self = core.self();
  out.form = config.form;
  out.assume = core.log().last_index().v > 0 && !core.configuration().known();
  out.retry = config.timing.heartbeat;
  for (const Voter& v : config.voters) out.list[v.id] = {v.address.host, v.address.port};
  return out;
}

}  // namespace

FormationHost::FormationHost(Env& env, const Config& config, raft::FormationState recovered, peer::Identity& identity,
                             wal::Journal& journal, peer::ControlLinks& links, RaftDriver& raft)
    : env_(env),
      log_(env.log.with("formation")),
      identity_(identity),
      journal_(journal),
      links_(links),
      raft_(raft),
      core_(formation_config(config, raft.core()), std::move(recovered), has_taken_part(raft.core()), identity.cluster_id,
            env.rng.split("formation")) {}

Result<raft::FormationState> FormationHost::recover(Task& task, wal::Journal& journal, const raft::Recovered& raft) {
  const int64_t end = journal.end_of(wal::kRaftFormation);
  const bool has_log = raft.snapshot || !raft.entries.empty();
  if (has_log || end == journal.start_of(wal::kRaftFormation)) return raft::FormationState{};
  auto read = journal.read(task, wal::kRaftFormation, end - 1, kReadBytes, true);
  if (read.is(Errc::corrupt)) {
    REACHED("formation: a promise cannot be read any more");
    for (const wal::Damage& damage : journal.damage_of(wal::kRaftFormation)) TRY_DO(journal.draw_voter_id(task, damage));
    journal.drop(wal::kRaftFormation);
    TRY_DO(journal.settle(task));
    return raft::FormationState{};
  }
  if (!read) return std::unexpected(read.error());
  ENSURE(read->size() == 1, "{} states at {}", read->size(), end - 1);
  return unpack<raft::FormationState>(read->front().payload);
}

Result<> FormationHost::run(Task& task) {
  feed(core_.start(task.now()));
  while (!task.stopping()) {
    if (formed_) {
      const raft::Promise promise = *std::exchange(formed_, std::nullopt);
      if (identity_.cluster_id.is_zero()) TRY_DO(journal_.set_cluster_id(task, promise.cluster_id));
      identity_.cluster_id = promise.cluster_id;
      raft_.bootstrap(promise.configuration);
    }
    note_raft();
    if (core_.deadline() <= task.now()) {
      feed(core_.tick(task.now()));
      continue;
    }
    if (wake_.wait(task, core_.deadline(), "a cluster to be formed").is(Errc::stopped)) break;
  }
  return {};
}

// Whoever votes or holds an entry is formed, by whatever way it came to it.
void FormationHost::note_raft() {
  if (!core_.formed() && has_taken_part(raft_.core())) feed(core_.on_formed(env_.clock.now(), identity_.cluster_id));
}

Result<> FormationHost::on_frame(NodeId from, const peer::Frame& frame) {
  TRY(auto message, unpack<raft::FormationMessage>(frame.metadata));
  note_raft();
  feed(core_.receive(env_.clock.now(), from, message));
  return {};
}

void FormationHost::on_durable(uint64_t metadata_ticket) {
  while (!tickets_.empty() && tickets_.front() <= metadata_ticket) {
    tickets_.pop_front();
    feed(core_.durable(env_.clock.now()));
  }
  // From here on the log says that this node is formed; its promise would keep a segment for ever.
  if (settled_ || raft_.core().durable_index().v == 0) return;
  settled_ = true;
  note_raft();
  if (const int64_t end = journal_.end_of(wal::kRaftFormation); end > 0) journal_.advance_start(wal::kRaftFormation, end);
}

void FormationHost::feed(raft::Formation::Output output) {
  for (const std::string& note : output.notes) log_.info("{}", note);
  if (output.persist) persist(*output.persist);
  for (const raft::Formation::Addressed& m : output.messages) links_.send(m.to, peer::FrameKind::formation, pack(m.message));
  if (output.assumed) raft_.assume(*output.assumed);
  if (output.formed) formed_ = std::move(output.formed);
  wake_.notify_all();
}

void FormationHost::persist(const raft::FormationState& state) {
  const int64_t at = journal_.end_of(wal::kRaftFormation);
  journal_.append(wal::Append::whole_payload(wal::kRaftFormation, at, at + 1, 0, SharedBytes::copy_of(pack(state))));
  tickets_.push_back(journal_.advance_start(wal::kRaftFormation, at));
}

}  // namespace sg::broker
