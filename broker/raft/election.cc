// Elections: §3.4, §3.6.1 (who may win), §9.6 (pre-vote), §4.2.3 (a heard leader is protected), §3.10 (the receiving side of a handover).
#include <algorithm>

#include "base/probe.h"
#include "broker/raft/quorum.h"
#include "broker/raft/raft.h"

namespace sg::raft {

// --- Roles -----------------------------------------------------------------------------------------------------------------------

void Raft::become_follower(Term term, NodeId leader, std::string reason) {
  Role old_role = role_;
  if (term > hard_.term) {
    set_hard_state(term, kNoVoter);
    heard_.clear();
    held_.clear();  // promises of an older term are worth nothing to anybody
    // What is committed is in the log of every later leader (leader completeness, §3.6.3); nothing else is known to be.
    verified_ = commit_;
    acknowledged_ = LogIndex{};
  }
  role_ = Role::follower;
  leader_ = leader;
  leader_heard_ = false;
  votes_.clear();
  progress_.clear();
  transfer_target_ = kNoNode;
  if (old_role != Role::follower) reset_election_deadline();
  report(std::move(reason));
}

// §9.6: first ask whether an election could be won, so that a node that was cut off does not depose a leader when it comes back.
void Raft::become_pre_candidate(std::string reason) {
  ENSURE(stands() && !is_leader());
  role_ = Role::pre_candidate;
  leader_ = kNoNode;
  leader_heard_ = false;
  votes_ = {{self(), true}};
  ++attempts_;
  reset_election_deadline();
  report(std::move(reason));
  for (NodeId node : configuration().members()) ask_for_vote(node);
  count_votes();
}

// §3.4. The requests leave, and the own vote counts, when term and vote are durable.
void Raft::become_candidate(bool transfer, std::string reason) {
  ENSURE(stands() && !is_leader());
  role_ = Role::candidate;
  leader_ = kNoNode;
  leader_heard_ = false;
  transfer_election_ = transfer;
  held_.clear();
  set_hard_state(hard_.term + 1, self());
  heard_.clear();
  own_vote_sequence_ = hard_state_sequence_;
  verified_ = commit_;
  acknowledged_ = LogIndex{};
  votes_.clear();
  reset_election_deadline();
  report(std::move(reason));
  for (NodeId node : configuration().members()) ask_for_vote(node);
}

void Raft::become_leader() {
  ENSURE(role_ == Role::candidate && hard_.vote == self() && durable_sequence_ >= own_vote_sequence_);
  role_ = Role::leader;
  leader_ = config_.self;
  attempts_ = 0;
  votes_.clear();
  progress_.clear();
  promised_.clear();
  distrusted_.clear();
  leads_since_ = now_;
  round_ = 0;
  rounds_.clear();
  follow_members();
  heartbeat_deadline_ = now_ + config_.heartbeat_interval;
  // §3.6.2, §6.4: entries of older terms are committed by committing one of this term.
  term_start_ = log_.last_index() + 1;
  append_to_log({Entry{hard_.term, term_start_, EntryKind::noop, {}}});
  report("won the election");
}

// --- Asking ----------------------------------------------------------------------------------------------------------------------

void Raft::ask_for_vote(NodeId node) {
  if (node == config_.self || configuration().voters_of(node).empty()) return;
  bool pre_vote = role_ != Role::candidate;
  send(node, RequestVote{pre_vote, !pre_vote && transfer_election_, log_.last_index(), log_.last_term()});
}

void Raft::count_votes() {
  if (role_ == Role::candidate && durable_sequence_ >= own_vote_sequence_) votes_[self()] = true;
  switch (vote_result(configuration(), votes_)) {
    case VoteResult::pending: return;
    case VoteResult::lost: return become_follower(hard_.term, kNoNode, "lost the election");
    case VoteResult::won: break;
  }
  if (role_ == Role::pre_candidate) return become_candidate(false, "won the pre-vote");
  // A majority without the own vote is no reason to lead in a term that is not durable here.
  if (durable_sequence_ >= own_vote_sequence_) become_leader();
}

void Raft::on_request_vote_reply(const Message& m, const RequestVoteReply& r) {
  if (role_ != (r.pre_vote ? Role::pre_candidate : Role::candidate)) return;
  if (!configuration().votes(m.sender())) return;  // it may answer; it does not count
  votes_[m.sender()] = r.granted;
  count_votes();
  if (!r.granted && !is_leader()) hasten_election();
}

// --- Being asked -----------------------------------------------------------------------------------------------------------------

// §3.6.1: the voter's log is not more up to date than the candidate's.
bool Raft::log_is_up_to_date(LogIndex last_index, Term last_term) const {
  return last_term != log_.last_term() ? last_term > log_.last_term() : last_index >= log_.last_index();
}

// §4.2.3. A leader that no majority answers steps down by itself (§6.2).
bool Raft::protects_leader() const { return is_leader() || (leader_heard_ && now_ < leader_contact_ + config_.election_timeout_min); }

void Raft::on_request_vote(const Message& m, const RequestVote& r) {
  bool up_to_date = log_is_up_to_date(r.last_index, r.last_term);
  if (r.pre_vote) {
    // Would the real request, of the next term, get the vote? No promise, so nothing has to be durable.
    bool granted = up_to_date && !protects_leader() && m.term + 1 > hard_.term;
    send(m.from, RequestVoteReply{true, granted});
    if (!up_to_date && !protects_leader() && role_ != Role::candidate) {
      // No leader is heard here or there, and the asker cannot win against this log: its turn is over, so ours comes soon.
      REACHED("raft.election_hastened");
      hasten_election();
    }
    return;
  }
  ENSURE(m.term == hard_.term);
  bool granted = up_to_date && (hard_.vote == m.sender() || hard_.vote == kNoVoter);
  if (granted && role_ == Role::pre_candidate) become_follower(hard_.term, kNoNode, fmt::format("votes for node {}", m.from));
  if (granted && hard_.vote == kNoVoter) set_hard_state(hard_.term, m.sender());
  if (granted) reset_election_deadline();
  send(m.from, RequestVoteReply{false, granted});
}

// §3.10. The leader has seen to it that this log is as long as its own; no pre-vote, since the leader is alive and would be protected.
void Raft::on_timeout_now(const Message& m) {
  if (role_ != Role::follower || leader_ != m.from || !stands()) return;
  become_candidate(true, fmt::format("node {} hands over", m.from));
}

void Raft::on_distrust(const Message& m, const Distrust& d) {
  if (role_ != Role::follower || leader_ != m.from || m.to_run != config_.run || d.counted <= durable_index_) return;
  REACHED("raft.distrusted");
  report(fmt::format("node {} has counted entries up to {} from this directory, which ends at {}", m.from, d.counted, durable_index_));
  out_.distrusted = true;
}

// --- Time ------------------------------------------------------------------------------------------------------------------------

void Raft::forget_leader() {
  if (role_ != Role::follower || leader_ == kNoNode) return;
  leader_ = kNoNode;
  leader_heard_ = false;
  hasten_election();
  report("the leader seems dead");
}

// There is reason not to wait for silence: a suspicion, or a vote that went elsewhere. Backs off, so that nodes whose messages take
// longer than the spread do not collide for ever (§3.4 on split votes).
void Raft::hasten_election() {
  if (!stands()) return;
  Duration spread = std::min(config_.election_timeout_max, config_.suspicion_delay_max * (1 << std::min(attempts_, 16)));
  Duration delay(rng_.between(0, spread.count()));
  election_deadline_ = std::min(election_deadline_, now_ + delay);
}

void Raft::reset_election_deadline() {
  if (!stands()) {
    election_deadline_ = Time::never();
    return;
  }
  Duration timeout(rng_.between(config_.election_timeout_min.count(), config_.election_timeout_max.count()));
  election_deadline_ = now_ + timeout;
}

void Raft::on_election_deadline() { become_pre_candidate(leader_ == kNoNode ? "no leader" : fmt::format("node {} is silent", leader_)); }

// Nobody else decides an election: there is nothing to wait for.
void Raft::maybe_lead_alone() {
  const Configuration& c = configuration();
  if (stands() && role_ == Role::follower && vote_result(c, {{self(), true}}) == VoteResult::won) become_candidate(false, "the only voter");
}

}  // namespace sg::raft
