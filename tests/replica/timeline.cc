// See timeline.h.
#include "tests/replica/timeline.h"

#include <algorithm>

namespace sg::replica::test {

namespace {

std::string message_line(const Message& message) {
  if (auto* m = std::get_if<Subscribe>(&message)) return fmt::format("subscribe at {} epoch {}", m->offset, m->last_epoch);
  if (auto* m = std::get_if<Diverged>(&message)) return fmt::format("diverged epoch {} end {}", m->epoch, m->end_offset);
  if (auto* m = std::get_if<Ack>(&message)) return fmt::format("ack {}", m->durable_end);
  if (auto* m = std::get_if<Refused>(&message)) return fmt::format("refused {}", static_cast<int>(m->reason));
  return "unsubscribe";
}

std::string members_line(const std::vector<IsrMember>& members) {
  std::string text;
  for (const IsrMember& m : members) text += fmt::format(" {}", m.node);
  return text;
}

}  // namespace

std::string to_line(const Action& action) {
  if (auto* a = std::get_if<Write>(&action)) return fmt::format("write {}-{}", a->from, a->to);
  if (auto* a = std::get_if<Truncate>(&action)) return fmt::format("truncate to {}", a->to);
  if (auto* a = std::get_if<Send>(&action)) return fmt::format("send {} {}", a->to, message_line(a->message));
  if (auto* a = std::get_if<WakeSender>(&action)) return fmt::format("wake sender {}", a->to);
  if (auto* a = std::get_if<Complete>(&action)) return fmt::format("complete {} {} at {}", a->token, to_string(a->outcome), a->base_offset);
  if (auto* a = std::get_if<ProposeIsr>(&action)) return "propose" + members_line(a->proposal.members);
  if (auto* a = std::get_if<HighWatermarkMoved>(&action)) return fmt::format("high watermark {}", a->high_watermark);
  if (std::holds_alternative<WakeReaders>(action)) return "wake readers";
  if (auto* a = std::get_if<RoleChanged>(&action)) return fmt::format("role {} epoch {}", static_cast<int>(a->role), a->leader_epoch);
  return "faulted";
}

BatchInfo records(int32_t count, int32_t sequence) {
  BatchInfo batch{.record_count = count, .last_offset_delta = count - 1, .bytes = 100};
  if (sequence < 0) return batch;
  batch.producer_id = ProducerId(9);
  batch.producer_epoch = 0;
  batch.base_sequence = sequence;
  return batch;
}

Descriptor at_offset(int64_t base, int32_t epoch, int32_t count) { return {Offset(base), LeaderEpoch(epoch), records(count)}; }

Config quick_config() {
  Config config;
  config.window_bytes = 250;
  return config;
}

Timeline::Timeline(const Config& config, Offset high_watermark, const std::vector<Descriptor>& recovered)
    : partition_(kSelf, kStream, config, Offset(0), high_watermark), log_(recovered) {
  for (const Descriptor& d : recovered) partition_.recover(d);
  for (int i = 1; i <= 3; ++i) state_.replicas.push_back({NodeId(i), BrokerEpoch(10 + i), false});
  state_.min_isr = 2;
}

Lines Timeline::event(const std::function<void(Partition&, Time, Output&)>& what) {
  Output out;
  what(partition_, now_, out);
  invariants_.check(partition_);
  Lines lines;
  for (const Action& a : out.actions) lines.push_back(to_line(a));
  return lines;
}

Lines Timeline::tell() {
  return event([&](Partition& p, Time now, Output& out) { p.catalogue(now, BrokerEpoch(11), state_, out); });
}
Lines Timeline::isr(std::vector<int> members) {
  state_.isr.clear();
  for (int m : members) state_.isr.push_back(NodeId(m));
  ++state_.partition_epoch;
  return tell();
}
Lines Timeline::lead(int32_t epoch, std::vector<int> members) {
  state_.leader = kSelf;
  state_.leader_epoch = LeaderEpoch(epoch);
  return isr(std::move(members));
}
Lines Timeline::follow(NodeId leader, int32_t epoch) {
  state_.leader = leader;
  state_.leader_epoch = LeaderEpoch(epoch);
  return isr({1, 2, 3});
}

Lines Timeline::append(uint64_t token, const BatchInfo& batch, Acks acks) {
  Appended result{};
  Lines lines = event([&](Partition& p, Time now, Output& out) { result = p.append(now, batch, acks, Token(token), now + 1s, out); });
  if (result.outcome == Outcome::ok) log_.push_back({result.base_offset, result.leader_epoch, batch});
  lines.insert(lines.begin(), std::string(to_string(result.outcome)));
  return lines;
}

Lines Timeline::durable(int64_t end) {
  return event([&](Partition& p, Time now, Output& out) { p.durable(now, p.log().generation(), Offset(end), out); });
}

Lines Timeline::subscribe(NodeId from, int64_t offset, int32_t last_epoch, uint64_t subscription) {
  Subscribe m{kStream, state_.leader_epoch, BrokerEpoch(10 + from.v), subscription, Offset(offset), LeaderEpoch(last_epoch)};
  return event([&](Partition& p, Time now, Output& out) { p.subscribe(now, from, m, out); });
}

Lines Timeline::ack(NodeId from, int64_t end, uint64_t subscription) {
  Ack m{kStream, state_.leader_epoch, BrokerEpoch(10 + from.v), subscription, Offset(end)};
  return event([&](Partition& p, Time now, Output& out) {
    auto done = p.ack(now, from, m, out);
    last_error = done ? Errc::stopped : done.code();
  });
}

std::string Timeline::send(NodeId to) {
  auto plan = partition_.next_to_send(to);
  if (!plan) return "";
  std::vector<uint32_t> sizes;
  uint64_t bytes = 0;
  Offset end = plan->from;
  for (const Descriptor& d : log_) {
    if (d.base < plan->from || plan->max_bytes == 0) continue;
    if (!sizes.empty() && bytes + d.info.bytes > plan->max_bytes) break;
    sizes.push_back(d.info.bytes);
    bytes += d.info.bytes;
    end = d.end();
  }
  auto header = partition_.sent(to, *plan, end, sizes);
  invariants_.check(partition_);
  return header ? fmt::format("{}-{} high watermark {}", plan->from, end, header->high_watermark) : "stale";
}

void Timeline::catch_up(NodeId node, uint64_t subscription) {
  subscribe(node, partition_.log().log_end().v, partition_.log().epochs().last().v, subscription);
  send(node);
  ack(node, partition_.log().log_end().v, subscription);
}

Lines Timeline::open(NodeId leader) {
  return event([&](Partition& p, Time now, Output& out) { p.session_opened(now, leader, out); });
}

Lines Timeline::data(int64_t high_watermark, const std::vector<Descriptor>& batches, uint64_t subscription) {
  Data m{kStream, state_.leader_epoch, subscription, Offset(high_watermark), Offset(0), {}};
  m.batch_bytes.assign(batches.size(), 100);
  return event([&](Partition& p, Time now, Output& out) {
    auto done = p.data(now, state_.leader, m, batches, out);
    last_error = done ? Errc::stopped : done.code();
  });
}

Lines Timeline::diverged(int32_t epoch, int64_t end, uint64_t subscription) {
  Diverged m{kStream, state_.leader_epoch, subscription, LeaderEpoch(epoch), Offset(end)};
  return event([&](Partition& p, Time now, Output& out) {
    auto done = p.diverged(now, state_.leader, m, out);
    last_error = done ? Errc::stopped : done.code();
  });
}

Lines Timeline::at(Duration since_start) {
  now_ = Time{1'000'000'000} + since_start;
  return event([](Partition& p, Time now, Output& out) { p.wake(now, out); });
}

}  // namespace sg::replica::test
