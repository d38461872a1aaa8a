#include "broker/peer/replication.h"

#include "base/archive.h"
#include "base/probe.h"
#include "broker/batch_io.h"

namespace sg::broker::peer {
namespace {

constexpr Duration kDialTimeout = 1s;
constexpr Duration kRedialPause = 50ms;
constexpr size_t kTurnBytes = 256 << 10;  // of one partition before the next has its turn
constexpr size_t kWriteBytes = 1 << 20;   // of one write to a follower

template <class T>
SharedBytes frame_of(FrameKind kind, const T& message, size_t payload_bytes = 0) {
  return SharedBytes::copy_of(encode_head(kind, pack(message), payload_bytes));
}

FrameKind kind_of(const replica::Message& message) {
  static constexpr FrameKind kKinds[] = {FrameKind::subscribe, FrameKind::unsubscribe, FrameKind::ack, FrameKind::diverged,
                                         FrameKind::refused};
  static_assert(std::variant_size_v<replica::Message> == std::size(kKinds));
  return kKinds[message.index()];
}

ByteVec encode(const replica::Message& message) {
  return std::visit([&](const auto& m) { return encode_head(kind_of(message), pack(m), 0); }, message);
}

}  // namespace

Replication::Replication(Env& env, const Identity& identity, Pulses& pulses)
    : env_(env), identity_(identity), pulses_(pulses), log_(env.log.with("replication")) {}

Replication::~Replication() { ENSURE(serving_.empty(), "replication sessions outlive their node"); }

void Replication::attach(Partitions& partitions, const metadata::Catalogue& catalogue, TaskGroup& tasks) {
  partitions_ = &partitions;
  catalogue_ = &catalogue;
  tasks_ = &tasks;
}

// --- Where messages go -----------------------------------------------------------------------------------------------------------

void Replication::send(NodeId to, const replica::Message& message) {
  bool from_leader = std::holds_alternative<replica::Diverged>(message) || std::holds_alternative<replica::Refused>(message);
  Outbox* outbox = nullptr;
  if (from_leader) {
    auto it = serving_.find(to);
    if (it != serving_.end()) outbox = &it->second->outbox;
  } else {
    auto it = following_.find(to);
    if (it != following_.end() && it->second->connection) outbox = &it->second->outbox;
  }
  if (!outbox || outbox->broken) return;
  outbox->frames.push_back(encode(message));
  outbox->wake.notify_one();
}

void Replication::wake_sender(NodeId to, StreamId stream) {
  auto it = serving_.find(to);
  if (it == serving_.end() || !it->second->queued.insert(stream).second) return;
  it->second->turns.push_back(stream);
  it->second->outbox.wake.notify_one();
}

void Replication::silence() {
  silent_ = true;
  auto end = [](Outbox& outbox) {
    outbox.broken = true;
    outbox.frames.clear();
    outbox.wake.notify_all();
  };
  for (auto& [follower, session] : serving_) end(session->outbox);
  for (auto& [leader, f] : following_) end(f->outbox);
}

void Replication::want_sessions(const std::set<NodeId>& leaders) {
  for (auto& [leader, f] : following_) {
    if (f->wanted == leaders.contains(leader)) continue;
    f->wanted = !f->wanted;
    if (!f->wanted && f->connection) f->connection->close();
  }
  for (NodeId leader : leaders) {
    auto& f = following_[leader];
    if (!f) {
      f = std::make_unique<Following>();
      f->leader = leader;
    }
    if (f->running) continue;
    f->running = true;
    tasks_->spawn(fmt::format("follow {}", leader), [this, following = f.get()](Task& task) {
      follow(task, *following);
      following->running = false;
    });
  }
}

// --- As a follower ---------------------------------------------------------------------------------------------------------------

void Replication::follow(Task& task, Following& f) {
  const std::string name = fmt::format("{}", f.leader);
  while (!task.stopping() && f.wanted && !silent_) {
    const metadata::Broker* broker = catalogue_->broker(f.leader);
    if (broker) {
      net::Address address{broker->peer.host, broker->peer.port};
      auto greeted = dial(task, env_, identity_, f.leader, address, LinkKind::replication, task.now() + kDialTimeout);
      // A leader that the catalogue does not know under this run leads nothing; a twin at the leader's address never did. The catalogue may
      // be another one by now: a snapshot takes its place whole.
      const metadata::Broker* known = catalogue_->broker(f.leader);
      if (greeted && (!known || greeted->run != known->run)) {
        REACHED("replication: another run answers at a leader's address");
        greeted = fail(Errc::invalid, known ? fmt::format("run {} answers, the leader is run {}", greeted->run, known->run)
                                            : fmt::format("run {} answers, and no such broker is registered", greeted->run));
      }
      if (greeted.is(Errc::invalid) && refusals_.refused(name, greeted.error().what))
        log_.warn("session_refused leader={} reason=\"{}\"", f.leader, greeted.error().what);
      if (greeted && f.wanted && !silent_) {
        refusals_.taken(name);
        Result<> ended = receive(task, f, *greeted);
        log_.info("session_ended leader={} reason={} {}", f.leader, to_string(ended.error().code), ended.error().what);
      }
    }
    if (!task.sleep_for(kRedialPause)) break;
  }
}

Result<> Replication::receive(Task& task, Following& f, Greeted& greeted) {
  LiveConnection& connection = *greeted.connection;
  connection.watch(pulses_, f.leader);
  f.connection = &connection;
  f.outbox.frames.clear();
  f.outbox.broken = false;
  log_.info("session_opened leader={}", f.leader);
  TaskGroup writer(task.scheduler());
  writer.spawn(fmt::format("to leader {}", f.leader), [&](Task& t) {
    std::vector<ByteVec> batch;
    std::vector<ByteSpan> pieces;
    while (true) {
      if (f.outbox.frames.empty()) {
        if (!f.outbox.wake.wait(t, Time::never(), "acknowledgements to send")) break;
        continue;
      }
      batch.assign(std::make_move_iterator(f.outbox.frames.begin()), std::make_move_iterator(f.outbox.frames.end()));
      f.outbox.frames.clear();
      pieces.assign(batch.begin(), batch.end());
      if (!connection.write(t, pieces)) break;
    }
    f.outbox.broken = true;
    connection.close();
  });
  partitions_->on_session_opened(f.leader);
  Result<> result;
  while (result) {
    Result<SharedBytes> body = greeted.reader->next(task);
    if (!body) {
      result = std::unexpected(body.error());
      break;
    }
    Result<Frame> frame = decode(*body);
    result = frame ? on_leader_frame(f.leader, *frame) : Result<>(std::unexpected(frame.error()));
  }
  if (result.is(Errc::corrupt) || result.is(Errc::invalid)) log_.warn("bad_frame leader={} reason={}", f.leader, result.error().what);
  f.connection = nullptr;
  connection.close();
  writer.stop();
  writer.join(task);
  partitions_->on_session_closed(f.leader);
  return std::unexpected(end_of(connection, result.error()));
}

Result<> Replication::on_leader_frame(NodeId leader, const Frame& frame) {
  switch (frame.kind) {
    case FrameKind::ping: return {};
    case FrameKind::data: return on_data(leader, frame);
    case FrameKind::diverged: {
      TRY(auto message, unpack<replica::Diverged>(frame.metadata));
      Result<> result;
      partitions_->with(message.stream, [&](replica::Partition& core, Time now, replica::Output& out) {
        result = core.diverged(now, leader, message, out);
      });
      return result;
    }
    case FrameKind::refused: {
      TRY(auto message, unpack<replica::Refused>(frame.metadata));
      partitions_->with(message.stream,
                        [&](replica::Partition& core, Time now, replica::Output& out) { core.refused(now, leader, message, out); });
      return {};
    }
    default: return fail(Errc::invalid, fmt::format("frame kind {} from a leader", static_cast<int>(frame.kind)));
  }
}

Result<> Replication::on_data(NodeId leader, const Frame& frame) {
  TRY(auto message, unpack<replica::Data>(frame.metadata));
  std::vector<IncomingBatch> batches;
  std::vector<replica::Descriptor> descriptors;
  batches.reserve(message.batch_bytes.size());
  descriptors.reserve(message.batch_bytes.size());
  size_t at = 0;
  for (uint32_t bytes : message.batch_bytes) {
    if (bytes > frame.payload.size() - at) return fail(Errc::corrupt, "batches longer than their frame");
    TRY(IncomingBatch batch, receive_batch(frame.payload.slice(at, bytes)));
    descriptors.push_back({base_offset_of(batch), leader_epoch_of(batch), batch.info});
    batches.push_back(std::move(batch));
    at += bytes;
  }
  if (at != frame.payload.size()) return fail(Errc::corrupt, "bytes behind the last batch");
  return partitions_->on_data(leader, message, batches, descriptors);
}

// --- As a leader -----------------------------------------------------------------------------------------------------------------

Result<> Replication::serve(Task& task, LiveConnection& connection, FrameReader& reader, const Hello& hello) {
  if (silent_) return fail(Errc::closed, "this node ends: its disk has failed");
  Serving session{.follower = hello.from, .connection = connection, .outbox = {}, .turns = {}, .queued = {}};
  if (auto it = serving_.find(hello.from); it != serving_.end()) {
    REACHED("replication: a new session replaces one that has not ended yet");
    Serving& old = *it->second;
    end_serving(old);
    old.connection.close();
  }
  serving_[hello.from] = &session;
  log_.info("session_accepted follower={} run={}", hello.from, hello.run);
  TaskGroup writer(task.scheduler());
  writer.spawn(fmt::format("to follower {}", hello.from), [&](Task& t) { send_loop(t, session); });
  Result<> result;
  while (result) {
    Result<SharedBytes> body = reader.next(task);
    if (!body) {
      result = std::unexpected(body.error());
      break;
    }
    Result<Frame> frame = decode(*body);
    // A session that was replaced says nothing any more.
    if (serving_[hello.from] != &session) {
      result = fail(Errc::closed, "replaced");
    } else {
      result = frame ? on_follower_frame(hello.from, *frame) : Result<>(std::unexpected(frame.error()));
    }
  }
  end_serving(session);
  connection.close();
  writer.stop();
  writer.join(task);
  const Error ended = end_of(connection, result.error());
  log_.info("session_ended follower={} reason={} {}", hello.from, to_string(ended.code), ended.what);
  return std::unexpected(ended);
}

void Replication::end_serving(Serving& session) {
  auto it = serving_.find(session.follower);
  if (it == serving_.end() || it->second != &session) return;
  serving_.erase(it);
  session.outbox.broken = true;
  session.outbox.wake.notify_all();
  partitions_->on_follower_lost(session.follower);
}

Result<> Replication::on_follower_frame(NodeId follower, const Frame& frame) {
  Result<> result;
  switch (frame.kind) {
    case FrameKind::ping: return {};
    case FrameKind::subscribe: {
      TRY(auto message, unpack<replica::Subscribe>(frame.metadata));
      if (!partitions_->find(message.stream)) {
        // Not known here yet: the follower is ahead in the catalogue and asks again.
        send(follower, replica::Refused{message.stream, message.leader_epoch, message.subscription, replica::RefuseReason::not_leader});
        return {};
      }
      partitions_->with(message.stream,
                        [&](replica::Partition& core, Time now, replica::Output& out) { core.subscribe(now, follower, message, out); });
      return {};
    }
    case FrameKind::unsubscribe: {
      TRY(auto message, unpack<replica::Unsubscribe>(frame.metadata));
      partitions_->with(message.stream,
                        [&](replica::Partition& core, Time now, replica::Output& out) { core.unsubscribe(now, follower, message, out); });
      return {};
    }
    case FrameKind::ack: {
      TRY(auto message, unpack<replica::Ack>(frame.metadata));
      partitions_->with(message.stream,
                        [&](replica::Partition& core, Time now, replica::Output& out) { result = core.ack(now, follower, message, out); });
      return result;
    }
    default: return fail(Errc::invalid, fmt::format("frame kind {} from a follower", static_cast<int>(frame.kind)));
  }
}

void Replication::send_loop(Task& task, Serving& session) {
  std::vector<SharedBytes> pieces;
  std::vector<ByteSpan> spans;
  while (!session.outbox.broken) {
    pieces.clear();
    size_t bytes = 0;
    for (ByteVec& frame : session.outbox.frames) pieces.push_back(SharedBytes::copy_of(frame));
    session.outbox.frames.clear();
    for (size_t turns = session.turns.size(); turns > 0 && bytes < kWriteBytes; --turns) {
      StreamId stream = session.turns.front();
      session.turns.pop_front();
      session.queued.erase(stream);
      if (Result<> taken = take_turn(task, session, stream, pieces, bytes); !taken) {
        if (taken.is(Errc::stopped)) return;
        log_.warn("cannot_send follower={} stream={} reason={}", session.follower, stream, taken.error().what);
      }
      if (session.outbox.broken) return;
    }
    if (pieces.empty()) {
      if (!session.turns.empty()) continue;
      if (!session.outbox.wake.wait(task, Time::never(), "something to replicate")) return;
      continue;
    }
    spans.clear();
    for (const SharedBytes& piece : pieces) spans.push_back(piece.span());
    if (!session.connection.write(task, spans)) {
      session.connection.close();
      return;
    }
  }
}

Result<> Replication::take_turn(Task& task, Serving& session, StreamId stream, std::vector<SharedBytes>& pieces, size_t& bytes) {
  Replica* replica = partitions_->find(stream);
  if (!replica) return {};
  std::optional<replica::SendPlan> plan = replica->core.next_to_send(session.follower);
  if (!plan) return {};
  std::vector<wal::ReadBatch> batches;
  if (plan->max_bytes > 0) {
    TRY(batches, partitions_->read(task, stream, plan->from, Offset(INT64_MAX), std::min<uint64_t>(plan->max_bytes, kTurnBytes), true));
    replica = partitions_->find(stream);  // reading may have suspended
    if (!replica || session.outbox.broken) return {};
  }
  Offset end = batches.empty() ? plan->from : Offset(batches.back().next);
  std::vector<uint32_t> sizes;
  size_t payload = 0;
  for (const wal::ReadBatch& b : batches) {
    sizes.push_back(static_cast<uint32_t>(b.payload.size()));
    payload += b.payload.size();
  }
  std::optional<replica::Data> data = replica->core.sent(session.follower, *plan, end, std::move(sizes));
  if (data) {
    pieces.push_back(frame_of(FrameKind::data, *data, payload));
    for (wal::ReadBatch& b : batches) pieces.push_back(std::move(b.payload));
    bytes += payload + pieces.back().size();
  }
  if (replica->core.next_to_send(session.follower)) wake_sender(session.follower, stream);
  return {};
}

}  // namespace sg::broker::peer
