// Changes of the configuration (ch. 4; configuration.h): joint consensus, and the replacement of a voter whose memory is gone.
#include <algorithm>

#include "base/probe.h"
#include "broker/raft/raft.h"

namespace sg::raft {

// The newest configuration is another one: in the log, from a snapshot, or because entries were cut.
void Raft::configuration_changed() {
  if (is_leader()) return follow_members();
  ENSURE(role_ == Role::follower, "entries come from a leader, and who hears one is no candidate");
  if (stands() == (election_deadline_ == Time::never())) reset_election_deadline();
}

// The leader sends to the members and to nobody else.
void Raft::follow_members() {
  std::vector<NodeId> members = configuration().members();
  std::erase_if(progress_, [&](const auto& p) { return !std::ranges::binary_search(members, p.first); });
  for (NodeId node : members) add_follower(node);
  if (transferring() && !progress_.contains(transfer_target_)) transfer_target_ = kNoNode;
}

// No change begins before the last one is finished, nor before an entry of this term is committed: until then this leader does not know
// which configuration is in force (the flaw of single-server changes, found in 2015, and its mend).
bool Raft::may_change() const {
  return is_leader() && !transferring() && !configuration().joint() && configurations_.newest_index() <= commit_ && term_start_ <= commit_;
}

void Raft::append_configuration(Configuration configuration) {
  report("proposes " + to_string(configuration));
  unnamed_ = false;
  LogIndex index = log_.last_index() + 1;
  append_to_log({Entry{hard_.term, index, EntryKind::configuration, encode(configuration)}});
}

Output Raft::change(Time now, Configuration target) {
  begin(now);
  ENSURE(well_formed(target) && !target.joint(), "{}", to_string(target));
  if (may_change()) {
    if (target.voters != configuration().voters) {
      target.next = std::move(target.voters);
      target.voters = configuration().voters;
    }
    out_.proposed = Proposed{hard_.term, log_.last_index() + 1, 1};
    append_configuration(std::move(target));
  }
  return end();
}

// §4.3: the joint configuration is committed, so the new set may decide alone; whoever leads now appends that, whether it began the
// change or found it in its log. A leader that is not in the new set leads until that is committed (§4.2.2).
void Raft::maybe_finish_change() {
  if (configurations_.newest_index() > commit_) return;
  if (unnamed_ && may_change()) append_configuration(configuration());
  if (configuration().joint()) {
    Configuration target = configuration();
    target.voters = std::move(target.next);
    target.next.clear();
    append_configuration(std::move(target));
    advance_commit();
  } else if (!configuration().votes(self())) {
    REACHED("raft.leader_left_the_voters");
    become_follower(hard_.term, kNoNode, "is no voter any more");
  }
}

// A voter's node has registered with another memory, the old one has been silent for long, and the new one has what is committed: it
// takes the old one's place.
void Raft::maybe_replace_voter() {
  if (!may_change()) return;
  for (const Voter& old : configuration().voters) {
    auto fresh = registered_.find(old.node);
    if (old == self() || fresh == registered_.end() || fresh->second == old.id) continue;
    const Voter voter{old.node, fresh->second};
    auto heard = heard_.find(old);
    Time last_sign = heard == heard_.end() ? leads_since_ : std::max(leads_since_, heard->second);
    if (now_ < last_sign + config_.voter_silence || counted(voter) < commit_) continue;
    REACHED("raft.voter_replaced");
    Configuration target = configuration();
    target.next = target.voters;
    *std::ranges::find(target.next, old) = voter;
    return append_configuration(std::move(target));
  }
}

}  // namespace sg::raft
