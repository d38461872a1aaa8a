#include "scenarios/checks/history_checks.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <tuple>

namespace sg::scenario {
namespace {

std::string name(ValueId v) { return fmt::format("record {} of client {}", v.number, v.client); }
std::string when(Time t) { return fmt::format("{}.{:06} s", t.ns / 1'000'000'000, t.ns / 1000 % 1'000'000); }

using Log = std::map<Offset, ValueId>;

Log log_of(const ReplicaContents& replica) {
  Log log;
  for (const ReplicaRecord& r : replica.records) log[r.offset] = r.value;
  return log;
}

std::map<ValueId, const Send*> by_value(const History& history) {
  std::map<ValueId, const Send*> out;
  for (const Send& s : history.sends) out[s.value] = &s;
  return out;
}

// The deletions of a topic that were carried out, or may have been, or may yet be.
std::vector<const TopicOp*> deletions(const History& history, const std::string& topic) {
  std::vector<const TopicOp*> out;
  for (const TopicOp& op : history.topic_ops)
    if (op.kind == TopicOp::Kind::deleted && op.topic == topic && op.outcome != Outcome::failed) out.push_back(&op);
  return out;
}

// The topic that it went to may be gone: a deletion that was not over when it was sent.
bool may_be_deleted(const History& history, const Send& s) {
  auto is_of = [&](const LateAck& a) {
    return a.partition == s.partition && a.first <= s.offset && s.offset < a.end && s.first_attempt <= a.at && a.at <= s.completed;
  };
  return std::ranges::any_of(history.late_acks, is_of) || std::ranges::any_of(deletions(history, s.partition.topic), [&](const TopicOp* d) {
           return d->outcome == Outcome::unknown || d->ended >= s.first_attempt;
         });
}

}  // namespace

std::vector<Violation> check_lost(const History& history, const std::vector<ReplicaContents>& replicas) {
  std::vector<Violation> out;
  std::map<PartitionName, std::vector<std::pair<NodeId, Log>>> logs;
  for (const ReplicaContents& r : replicas)
    if (r.in_sync) logs[r.partition].emplace_back(r.node, log_of(r));
  for (const Send& s : history.sends) {
    if (s.outcome != Outcome::ok || s.acks != -1 || may_be_deleted(history, s)) continue;
    for (const auto& [node, log] : logs[s.partition]) {
      auto it = log.find(s.offset);
      if (it != log.end() && it->second == s.value) continue;
      out.push_back(
          {"H1", fmt::format("{} was acknowledged (acks=all) at {} offset {} at {}, but the in-sync replica on node {} holds {} there",
                             name(s.value), to_string(s.partition), s.offset, when(s.completed), node,
                             it == log.end() ? "nothing" : name(it->second))});
      break;
    }
  }
  return out;
}

std::vector<Violation> check_duplicates(const History& history, const std::vector<ReplicaContents>& replicas) {
  std::vector<Violation> out;
  auto sends = by_value(history);
  auto idempotent = [&](ValueId v) {
    auto it = sends.find(v);
    return it != sends.end() && it->second->idempotent;
  };
  for (const ReplicaContents& r : replicas) {
    if (!r.in_sync) continue;
    std::map<ValueId, Offset> seen;
    for (const ReplicaRecord& record : r.records) {
      auto [it, first] = seen.emplace(record.value, record.offset);
      if (!first && idempotent(record.value))
        out.push_back({"H2", fmt::format("{} of an idempotent producer stands twice in {} on node {}: at offsets {} and {}",
                                         name(record.value), to_string(r.partition), r.node, it->second, record.offset)});
    }
  }
  std::map<std::pair<PartitionName, ValueId>, Offset> read;
  for (const Read& r : history.reads) {
    auto [it, first] = read.emplace(std::pair(r.partition, r.value), r.offset);
    if (!first && it->second != r.offset && idempotent(r.value))
      out.push_back({"H2", fmt::format("{} of an idempotent producer was read from {} at offset {} and at offset {}", name(r.value),
                                       to_string(r.partition), it->second, r.offset)});
  }
  return out;
}

std::vector<Violation> check_replicas_equal(const std::vector<ReplicaContents>& replicas) {
  std::vector<Violation> out;
  std::map<PartitionName, const ReplicaContents*> first;
  for (const ReplicaContents& r : replicas) {
    if (!r.in_sync) continue;
    auto [it, added] = first.emplace(r.partition, &r);
    if (added) continue;
    const ReplicaContents& other = *it->second;
    auto differs = [](const ReplicaRecord& a, const ReplicaRecord& b) {
      return a.offset != b.offset || a.epoch != b.epoch || a.value != b.value;
    };
    size_t common = std::min(r.records.size(), other.records.size());
    size_t at = 0;
    while (at < common && !differs(r.records[at], other.records[at])) ++at;
    auto show = [&](const ReplicaContents& c) {
      if (at >= c.records.size()) return std::string("ends");
      const ReplicaRecord& x = c.records[at];
      return fmt::format("has {} at offset {} of epoch {}", name(x.value), x.offset, x.epoch);
    };
    if (at < r.records.size() || at < other.records.size())
      out.push_back({"H3", fmt::format("the in-sync replicas of {} differ behind {} equal records: node {} {}, node {} {}",
                                       to_string(r.partition), at, other.node, show(other), r.node, show(r))});
  }
  return out;
}

std::vector<Violation> check_phantoms(const History& history, const std::vector<ReplicaContents>& replicas) {
  std::vector<Violation> out;
  for (const Anomaly& a : history.anomalies)
    if (!a.by_sleeper) out.push_back({"H4", fmt::format("client {} at {}, {}: {}", a.client, to_string(a.partition), when(a.at), a.what)});
  auto sends = by_value(history);
  auto judge = [&](const PartitionName& partition, Offset offset, ValueId value, auto&& where) {
    auto it = sends.find(value);
    if (it == sends.end() || it->second->partition != partition) {
      out.push_back({"H4", fmt::format("{} stands at {} offset {} ({}), and nobody sent it there", name(value), to_string(partition),
                                       offset, where())});
    } else if (it->second->outcome == Outcome::failed) {
      out.push_back({"H4", fmt::format("{} stands at {} offset {} ({}), although its send certainly failed at {}", name(value),
                                       to_string(partition), offset, where(), when(it->second->completed))});
    }
  };
  struct Seen {
    ValueId value;
    int32_t client;
    Time at;
  };
  std::map<std::pair<PartitionName, Offset>, Seen> seen;
  for (const Read& r : history.reads) {
    auto [it, first] = seen.emplace(std::pair(r.partition, r.offset), Seen{r.value, r.client, r.at});
    if (first) judge(r.partition, r.offset, r.value, [&] { return fmt::format("read by client {} at {}", r.client, when(r.at)); });
    if (!first && it->second.value != r.value)
      out.push_back(
          {"H4", fmt::format("{} offset {}: client {} read {} at {}, client {} read {} at {}", to_string(r.partition), r.offset,
                             it->second.client, name(it->second.value), when(it->second.at), r.client, name(r.value), when(r.at))});
  }
  for (const ReplicaContents& c : replicas) {
    if (!c.in_sync) continue;
    Log log = log_of(c);
    for (const auto& [offset, value] : log)
      if (!seen.contains({c.partition, offset})) judge(c.partition, offset, value, [&] { return fmt::format("on node {}", c.node); });
    for (auto it = seen.lower_bound({c.partition, Offset(INT64_MIN)}); it != seen.end() && it->first.first == c.partition; ++it) {
      auto stored = log.find(it->first.second);
      if (stored != log.end() && stored->second == it->second.value) continue;
      out.push_back(
          {"H4", fmt::format("client {} read {} from {} at offset {} at {}, and in the end the in-sync replica on node {} holds {} there",
                             it->second.client, name(it->second.value), to_string(c.partition), it->first.second, when(it->second.at),
                             c.node, stored == log.end() ? "nothing" : name(stored->second))});
    }
  }
  return out;
}

std::vector<Violation> check_order(const History& history, const std::vector<ReplicaContents>& replicas) {
  std::vector<Violation> out;
  auto sends = by_value(history);
  for (const ReplicaContents& c : replicas) {
    if (!c.in_sync) continue;
    // What a client gave up may be appended late, behind what it has sent since under another identity.
    std::map<std::tuple<int32_t, ProducerId, int16_t>, const ReplicaRecord*> last;
    for (const ReplicaRecord& record : c.records) {
      auto it = sends.find(record.value);
      if (it == sends.end() || !it->second->idempotent) continue;
      const ReplicaRecord*& previous = last[{record.value.client, it->second->producer, it->second->producer_epoch}];
      if (previous && previous->value.number > record.value.number)
        out.push_back(
            {"H7", fmt::format("{} on node {}: {} at offset {} stands behind {} at offset {}, which was sent later", to_string(c.partition),
                               c.node, name(record.value), record.offset, name(previous->value), previous->offset)});
      previous = &record;
    }
  }
  // Real time: along the order of beginnings, the largest offset of those that were acknowledged before.
  std::map<PartitionName, std::vector<const Send*>> acknowledged;
  for (const Send& s : history.sends)
    if (s.outcome == Outcome::ok && s.acks != 0 && !may_be_deleted(history, s)) acknowledged[s.partition].push_back(&s);
  for (auto& [partition, begun] : acknowledged) {
    std::vector<const Send*> ended = begun;
    std::stable_sort(begun.begin(), begun.end(), [](const Send* a, const Send* b) { return a->first_attempt < b->first_attempt; });
    std::stable_sort(ended.begin(), ended.end(), [](const Send* a, const Send* b) { return a->completed < b->completed; });
    const Send* greatest = nullptr;
    size_t e = 0;
    for (const Send* s : begun) {
      for (; e < ended.size() && ended[e]->completed < s->first_attempt; ++e)
        // acks=1 may be lost and its offset given again; only what is committed has its place for good.
        if (ended[e]->acks == -1 && (!greatest || ended[e]->offset > greatest->offset)) greatest = ended[e];
      if (s->acks == -1 && greatest && s->offset <= greatest->offset)
        out.push_back({"H7", fmt::format("{}: {} was acknowledged at offset {} at {}, and {}, first sent at {}, got offset {}",
                                         to_string(partition), name(greatest->value), greatest->offset, when(greatest->completed),
                                         name(s->value), when(s->first_attempt), s->offset)});
    }
  }
  return out;
}

std::vector<Violation> check_ends_monotone(const History& history) {
  std::vector<Violation> out;
  std::map<std::tuple<int32_t, PartitionName, NodeId, LeaderEpoch>, const EndSeen*> last;
  for (const EndSeen& e : history.ends) {
    const EndSeen*& previous = last[{e.client, e.partition, e.broker, e.leader_epoch}];
    if (previous && e.end < previous->end)
      out.push_back(
          {"H11", fmt::format("{}: broker {} told client {} the end {} at {} and {} at {}, both in epoch {}", to_string(e.partition),
                              e.broker, e.client, previous->end, when(previous->at), e.end, when(e.at), e.leader_epoch)});
    previous = &e;
  }
  return out;
}

std::vector<Violation> check_followers(const History& history, const std::vector<ReplicaContents>& replicas) {
  std::vector<Violation> out;
  std::map<std::pair<int32_t, PartitionName>, Log> seen;
  for (const Follower& f : history.followers) seen[{f.client, f.partition}];
  for (const Read& r : history.reads)
    if (auto it = seen.find({r.client, r.partition}); it != seen.end()) it->second[r.offset] = r.value;
  for (const auto& [follower, read] : seen) {
    const auto& [client, partition] = follower;
    for (const ReplicaContents& replica : replicas) {
      if (!replica.in_sync || replica.partition != partition) continue;
      auto owed = history.owed_to_followers.find(partition);
      auto missed = std::ranges::find_if(replica.records, [&](const ReplicaRecord& r) {
        return !read.contains(r.offset) && (owed == history.owed_to_followers.end() || r.offset < owed->second);
      });
      if (missed == replica.records.end()) continue;
      out.push_back(
          {"H17", fmt::format("client {}, which follows {} from its beginning, has not read {} at offset {}; node {} holds the log "
                              "up to {}, the last that it has read is at {}",
                              client, to_string(partition), name(missed->value), missed->offset, replica.node,
                              replica.records.back().offset, read.empty() ? Offset(-1) : read.rbegin()->first)});
      break;
    }
  }
  return out;
}

std::vector<Violation> check_times(const History& history, const std::vector<ReplicaContents>& replicas) {
  std::vector<Violation> out;
  std::map<PartitionName, const ReplicaContents*> logs;
  for (const ReplicaContents& r : replicas)
    if (r.in_sync) logs.emplace(r.partition, &r);
  auto sends = by_value(history);
  for (const TimeLook& look : history.time_looks) {
    auto log = logs.find(look.partition);
    if (log == logs.end()) continue;
    auto wrong = [&](std::string what) {
      out.push_back({"H11", fmt::format("{}: client {} asked at {} for the first record from {} ms on, and was told offset {} ({} ms); {}",
                                        to_string(look.partition), look.client, when(look.begun), look.asked_ms, look.offset,
                                        look.timestamp_ms, what)});
    };
    const std::vector<ReplicaRecord>& records = log->second->records;
    if (look.offset.v >= 0) {
      auto found = std::ranges::find(records, look.offset, &ReplicaRecord::offset);
      if (found == records.end()) {
        wrong("in the end nothing is there");
      } else if (found->timestamp_ms != look.timestamp_ms || look.timestamp_ms < look.asked_ms) {
        wrong(fmt::format("the record there has {} ms", found->timestamp_ms));
      }
    }
    for (const ReplicaRecord& r : records) {
      if (look.offset.v >= 0 && r.offset >= look.offset) break;
      if (r.timestamp_ms < look.asked_ms) continue;
      // Told of none: only what was certainly there counts.
      if (look.offset.v < 0 && look.by_sleeper) break;
      auto send = sends.find(r.value);
      const bool was_there =
          send != sends.end() && send->second->outcome == Outcome::ok && send->second->acks == -1 && send->second->completed < look.begun;
      if (look.offset.v >= 0 || was_there) {
        wrong(fmt::format("{} at offset {} has {} ms", name(r.value), r.offset, r.timestamp_ms));
        break;
      }
    }
  }
  return out;
}

std::vector<Violation> check_incarnations(const History& history, const std::vector<ReplicaContents>& replicas) {
  std::vector<Violation> out;
  if (history.topic_ops.empty()) return out;
  auto sends = by_value(history);
  for (const ReplicaContents& c : replicas) {
    if (!c.in_sync) continue;
    for (const ReplicaRecord& r : c.records) {
      auto it = sends.find(r.value);
      if (it == sends.end() || it->second->outcome != Outcome::ok) continue;
      for (const TopicOp* d : deletions(history, c.partition.topic))
        if (d->outcome == Outcome::ok && d->begun > it->second->completed)
          out.push_back(
              {"H15", fmt::format("{} stands at {} offset {} on node {}; it was acknowledged at {}, and that topic was deleted at {}",
                                  name(r.value), to_string(c.partition), r.offset, c.node, when(it->second->completed), when(d->ended))});
    }
  }
  return out;
}

std::vector<Violation> check_topic_answers(const History& history) {
  std::vector<Violation> out;
  struct State {
    bool is_known = true;
    const TopicOp* last = nullptr;  // that was carried out
  };
  std::map<std::string, State> states;
  for (const TopicOp& op : history.topic_ops) {
    State& state = states[op.topic];
    const bool makes = op.kind == TopicOp::Kind::made;
    const bool there = state.last && state.last->kind == TopicOp::Kind::made;
    if (op.alone && op.denied && state.is_known && there != makes)
      out.push_back(
          {"H14",
           fmt::format("client {}, who alone makes and deletes topic {}, asked at {} to {} it, and was told at {} that {}; {}", op.client,
                       op.topic, when(op.begun), makes ? "make" : "delete", when(op.ended), makes ? "it exists already" : "there is none",
                       state.last ? fmt::format("it was {} at {}", there ? "made" : "deleted", when(state.last->ended))
                                  : std::string("it was never made"))});
    // What is open may be carried out at any later time.
    if (op.outcome == Outcome::unknown) state.is_known = false;
    if (op.outcome == Outcome::ok) state.last = &op;
  }
  return out;
}

std::vector<Violation> check_listings(const History& history) {
  std::vector<Violation> out;
  std::map<std::string, std::vector<const TopicOp*>> by_topic;
  for (const TopicOp& op : history.topic_ops)
    if (op.outcome != Outcome::failed) by_topic[op.topic].push_back(&op);
  for (const auto& [topic, ops] : by_topic) {
    const TopicOp& last = *ops.back();
    // What is open may be carried out at any later time.
    const bool open = std::ranges::any_of(ops, [&](const TopicOp* op) { return op->outcome == Outcome::unknown; });
    if (open) continue;
    const bool made = last.kind == TopicOp::Kind::made;
    for (const Listing& l : history.listings)
      if (l.topics.contains(topic) != made)
        out.push_back({"H13", fmt::format("topic {} was {} at {}, the last that was done to it; at the end {} {} it", topic,
                                          made ? "made" : "deleted", when(last.ended), l.broker, made ? "does not list" : "lists")});
  }
  return out;
}

std::vector<Violation> check_odd_answers(const History& history) {
  std::vector<Violation> out;
  for (const OddAnswer& a : history.odd_answers)
    if (std::ranges::find(a.permitted, a.got) == a.permitted.end())
      out.push_back({"H18", fmt::format("client {}, {} of {} about {}, {}: expected {}, got {}", a.client, a.asked, a.broker,
                                        to_string(a.partition), when(a.at), fmt::join(a.permitted, " or "), a.got)});
  return out;
}

std::map<std::string, uint64_t> facts_of(const History& history, const std::vector<ReplicaContents>& replicas) {
  std::map<std::string, uint64_t> out;
  for (const Send& s : history.sends) {
    const bool ok = s.outcome == Outcome::ok;
    out["H1"] += ok && s.acks == -1 && !may_be_deleted(history, s);
    out["H2"] += s.idempotent;
    out["H7"] += ok && s.acks == -1;
    out["H15"] += ok && !deletions(history, s.partition.topic).empty();
  }
  for (const ReplicaContents& r : replicas) out["H3"] += r.in_sync ? r.records.size() : 0;
  out["H4"] = history.reads.size() + history.anomalies.size();
  out["H11"] = history.ends.size() + history.time_looks.size();
  out["H14"] = history.topic_ops.size();
  out["H13"] = history.topic_ops.size() * history.listings.size();
  out["H17"] = history.followers.size();
  out["H18"] = history.odd_answers.size();
  return out;
}

std::vector<Violation> check_history(const History& history, const std::vector<ReplicaContents>& replicas) {
  std::vector<Violation> all;
  auto add = [&](std::vector<Violation> more) {
    all.insert(all.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
  };
  add(check_lost(history, replicas));
  add(check_duplicates(history, replicas));
  add(check_replicas_equal(replicas));
  add(check_phantoms(history, replicas));
  add(check_order(history, replicas));
  add(check_ends_monotone(history));
  add(check_followers(history, replicas));
  add(check_times(history, replicas));
  add(check_topic_answers(history));
  add(check_incarnations(history, replicas));
  add(check_listings(history));
  add(check_odd_answers(history));
  return all;
}

}  // namespace sg::scenario
