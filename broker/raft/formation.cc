#include "broker/raft/formation.h"

#include <fmt/ranges.h>

#include "base/probe.h"

namespace sg::raft {
namespace {

// A voter whose disk was wiped since it answered promises nothing: a new round learns its new voter id.
constexpr int kTriesPerRound = 10;

std::string join(const std::vector<NodeId>& nodes) { return fmt::format("{}", fmt::join(nodes, ",")); }

}  // namespace

Formation::Formation(Config config, FormationState recovered, bool formed, Uuid cluster_id, Rng rng)
    : config_(std::move(config)), rng_(rng), state_(std::move(recovered)), formed_(formed), cluster_id_(cluster_id) {
  ENSURE(formed_ || config_.list.empty() || config_.list.contains(config_.self.node), "node {} is not in its own list", config_.self.node);
  highest_seen_ = state_.answered.number;
}

std::vector<NodeId> Formation::ids() const {
  std::vector<NodeId> out;
  for (const auto& [node, address] : config_.list) out.push_back(node);
  return out;
}

// --- The frame of an event -----------------------------------------------------------------------------------------------------------

Formation::Output Formation::take() {
  Output out = std::move(out_);
  out_ = Output{};
  return out;
}

void Formation::persist(FormationState state) {
  if (state == state_) return;
  state_ = std::move(state);
  out_.persist = state_;
  ++steps_;
}

// What this node says of itself leaves when what it rests on is durable.
void Formation::send(NodeId to, FormationMessage message) {
  if (steps_ == durable_steps_) return out_.messages.push_back({to, std::move(message)});
  held_.push_back({steps_, {to, std::move(message)}});
}

void Formation::note(std::string line) {
  if (line == last_note_) return;
  last_note_ = line;
  out_.notes.push_back(std::move(line));
}

// --- Events --------------------------------------------------------------------------------------------------------------------------

Formation::Output Formation::start(Time now) {
  if (formed_) {
    if (config_.assume) ask_for_lists(now);
    return take();
  }
  if (state_.promise && !cluster_id_.is_zero() && cluster_id_ == state_.promise->cluster_id) {
    REACHED("formation: formed before, and its log had not begun");
    form(*state_.promise);
    return take();
  }
  if (!cluster_id_.is_zero()) {
    note(fmt::format(
        "this directory belongs to cluster {}, and nothing is left of its log: it forms no other one, and waits until the leader "
        "of its cluster admits it{}",
        cluster_id_, alone() ? ". Name the other nodes with --voters, if there are any; else start with an empty directory" : ""));
    return take();
  }
  if (alone()) {
    form_alone();
    return take();
  }
  if (!forms()) {
    note(
        fmt::format("this directory is empty and node {} was not told to form a new cluster: it waits until the leader of nodes {} admits "
                    "it. To form a new cluster, start all of them with --form",
                    config_.self.node, join(ids())));
    return take();
  }
  // The nodes take turns, so that one of them asks and the others answer.
  int64_t rank = std::distance(config_.list.begin(), config_.list.find(config_.self.node));
  deadline_ = now + rank * config_.turn;
  return take();
}

// Nobody else is there to ask. A promise to others is not taken back by a list that does not name them.
void Formation::form_alone() {
  if (state_.promise && state_.promise->configuration.voters != std::vector{config_.self})
    return note(fmt::format("this directory has promised to form a cluster with {}: it forms none alone. Name them with --voters",
                            to_string(state_.promise->configuration)));
  Configuration configuration;
  configuration.voters = {config_.self};
  configuration.founders = {config_.self.node};
  configuration.addresses = config_.list;
  propose(Round{state_.answered.number + 1, config_.self.node}, std::move(configuration));
}

Formation::Output Formation::receive(Time now, NodeId from, const FormationMessage& message) {
  if (config_.list.contains(from) && from != config_.self.node) {
    std::visit([&](const auto& m) { on(now, from, m); }, message);
  } else if (std::holds_alternative<Ask>(message)) {
    // Whoever asks may know; an operator gave it another list.
    on(now, from, std::get<Ask>(message));
  }
  return take();
}

Formation::Output Formation::durable(Time now) {
  ENSURE(durable_steps_ < steps_, "{} steps", steps_);
  ++durable_steps_;
  std::erase_if(held_, [&](Held& held) {
    if (held.step > durable_steps_) return false;
    out_.messages.push_back(std::move(held.message));
    return true;
  });
  consider_answers(now);
  consider_promises(now);
  return take();
}

Formation::Output Formation::tick(Time now) {
  if (now < deadline_) return take();
  deadline_ = Time::never();
  if (config_.assume) ask_for_lists(now);
  if (!forms()) return take();
  if (round_ && state_.answered == *round_ && ++tries_ < kTriesPerRound) {
    ask_again(now);
  } else {
    ask(now);
  }
  return take();
}

Formation::Output Formation::on_formed(Time, Uuid cluster_id) {
  formed_ = true;
  if (!cluster_id.is_zero()) cluster_id_ = cluster_id;
  deadline_ = Time::never();
  return take();
}

// --- Directories of the older format --------------------------------------------------------------------------------------------------

void Formation::ask_for_lists(Time now) {
  note_list(config_.self.node, ids());
  if (!config_.assume) return;
  deadline_ = now + config_.retry;
  for (const auto& [node, address] : config_.list)
    if (!same_list_.contains(node)) send(node, Ask{});
}

void Formation::note_list(NodeId from, const std::vector<NodeId>& list) {
  if (list != ids())
    return note(fmt::format("this directory's log names no voters; node {} was started with the voters {}, node {} with {}", from,
                            join(list), config_.self.node, join(ids())));
  same_list_[from] = true;
  if (2 * same_list_.size() <= config_.list.size()) return;
  Configuration c;
  for (const auto& [node, address] : config_.list) c.voters.push_back({node, VoterId(0)});
  if (c.voters.empty()) c.voters.push_back({config_.self.node, VoterId(0)});
  c.addresses = config_.list;
  c.founders = ids();
  config_.assume = false;
  deadline_ = Time::never();
  note("this directory's log names no voters; a majority agrees on " + to_string(c));
  out_.assumed = std::move(c);
}

// --- Asking --------------------------------------------------------------------------------------------------------------------------

void Formation::ask(Time now) {
  round_ = Round{++highest_seen_, config_.self.node};
  tries_ = 0;
  answers_.clear();
  promised_.clear();
  proposal_.reset();
  persist({*round_, state_.promise});
  answers_[config_.self.node] = answer_to(*round_);
  ask_again(now);
}

void Formation::ask_again(Time now) {
  deadline_ = now + config_.retry;
  std::vector<NodeId> silent;
  for (const auto& [node, address] : config_.list) {
    if (node == config_.self.node) continue;
    if (proposal_) {
      if (!promised_.contains(node)) send(node, Propose{*proposal_});
    } else {
      if (!answers_.contains(node)) silent.push_back(node);
      auto known = answers_.find(node);
      if (known == answers_.end() || known->second.standing != Standing::forming) send(node, Ask{*round_});
    }
  }
  if (!silent.empty()) note(fmt::format("forming a cluster of nodes {}: no answer yet from nodes {}", join(ids()), join(silent)));
}

// Somebody else asks: its round comes first. Ever longer, so that slow disks do not make rounds overtake each other for ever.
void Formation::wait_for_others(Time now) {
  if (!forms()) return;
  const Duration wait = 3 * config_.retry * (1 << std::min(yielded_++, 6));
  const int64_t jitter = rng_.between(0, wait.count());
  deadline_ = now + wait + Duration(jitter);
}

Answer Formation::answer_to(const Round& round) const {
  Answer answer{round, state_.answered, Standing::waiting, config_.self.id, ids(), {}};
  if (may_form()) answer.standing = Standing::forming;
  if (formed_) {
    answer.standing = Standing::formed;
    answer.cluster_id = state_.promise ? state_.promise->cluster_id : cluster_id_;
    if (!cluster_id_.is_zero()) answer.cluster_id = cluster_id_;
  }
  return answer;
}

void Formation::on(Time now, NodeId from, const Ask& m) {
  highest_seen_ = std::max(highest_seen_, m.round.number);
  if (!formed_ && m.round > state_.answered) {
    persist({m.round, state_.promise});
    wait_for_others(now);
  }
  send(from, answer_to(m.round));
}

void Formation::on(Time now, NodeId from, const Answer& m) {
  highest_seen_ = std::max({highest_seen_, m.answered.number, m.round.number});
  if (config_.assume) note_list(from, m.list);
  if (formed_) return;
  if (m.standing == Standing::formed) {
    if (state_.promise && !m.cluster_id.is_zero() && m.cluster_id == state_.promise->cluster_id) return form(*state_.promise);
    if (m.cluster_id.is_zero()) return;  // it has voted, and does not know more; who it voted for does
    REACHED("formation: the others are formed already");
    foreign_ = true;
    deadline_ = Time::never();
    note(
        fmt::format("node {} belongs to cluster {}, which is formed already: this empty directory of node {} waits until its leader admits "
                    "it in place of the former one",
                    from, m.cluster_id, config_.self.node));
    return;
  }
  if (!round_ || m.round != *round_) return;
  if (m.answered > m.round) {
    round_.reset();  // too late; the next question is in a higher round
    return;
  }
  answers_[from] = m;
  consider_answers(now);
}

void Formation::consider_answers(Time now) {
  if (formed_ || !round_ || proposal_ || state_.answered != *round_ || steps_ != durable_steps_) return;
  if (answers_.size() < config_.list.size()) return;
  std::vector<NodeId> not_told;
  for (const auto& [node, answer] : answers_) {
    if (answer.standing != Standing::forming) not_told.push_back(node);
    if (answer.list == ids()) continue;
    return note(fmt::format("node {} was started with the voters {}, node {} with {}: no cluster is formed until all lists are the same",
                            node, join(answer.list), config_.self.node, join(ids())));
  }
  if (!not_told.empty())
    return note(fmt::format("nodes {} are empty and were started without --form: no cluster is formed until they are", join(not_told)));
  Configuration c;
  for (const auto& [node, answer] : answers_) c.voters.push_back({node, answer.voter});
  c.addresses = config_.list;
  c.founders = ids();
  propose(*round_, std::move(c));
  ask_again(now);
}

void Formation::propose(const Round& round, Configuration configuration) {
  Promise promise{round, {}, std::move(configuration)};
  promise.cluster_id.high = rng_.next();
  promise.cluster_id.low = rng_.next() | 1;
  proposal_ = promise;
  persist({round, promise});
  proposal_step_ = steps_;
}

void Formation::on(Time now, NodeId from, const Propose& m) {
  const Promise& promise = m.promise;
  highest_seen_ = std::max(highest_seen_, promise.round.number);
  bool names_this = well_formed(promise.configuration) && promise.configuration.votes(config_.self) && !promise.cluster_id.is_zero();
  if (formed_ || promise.round < state_.answered || promise.round.proposer != from || !names_this) return;
  if (!may_form()) return;
  persist({promise.round, promise});
  wait_for_others(now);
  send(from, Promised{promise.round});
}

void Formation::on(Time now, NodeId from, const Promised& m) {
  if (!proposal_ || m.round != proposal_->round) return;
  promised_[from] = true;
  consider_promises(now);
}

// All have promised, this node among them, and it has not answered in a higher round since.
void Formation::consider_promises(Time) {
  if (formed_ || !proposal_ || state_.answered != proposal_->round || state_.promise != proposal_) return;
  if (durable_steps_ < proposal_step_ || promised_.size() + 1 < config_.list.size()) return;
  form(*proposal_);
  for (const auto& [node, promised] : promised_) send(node, Formed{proposal_->cluster_id});
}

void Formation::on(Time, NodeId, const Formed& m) {
  if (!formed_ && state_.promise && state_.promise->cluster_id == m.cluster_id) form(*state_.promise);
}

void Formation::form(const Promise& promise) {
  formed_ = true;
  cluster_id_ = promise.cluster_id;
  deadline_ = Time::never();
  out_.formed = promise;
  note(fmt::format("cluster {} is formed: {}", promise.cluster_id, to_string(promise.configuration)));
}

}  // namespace sg::raft
