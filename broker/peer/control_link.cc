#include "broker/peer/control_link.h"

#include <algorithm>

#include "base/archive.h"
#include "base/probe.h"
#include "broker/peer/reach.h"

namespace sg::broker::peer {
namespace {

constexpr size_t kMaxQueuedBytes = 16u << 20;
constexpr Duration kDialTimeout = 1s;  // a silent address is asked every kReachStep meanwhile
constexpr Duration kRedialPause = 50ms;
constexpr Duration kRefusedPause = 1s;  // the longest: whoever refuses a greeting will not soon think otherwise
// A process that is killed may take connections for some milliseconds more, until the kernel has closed its listener; they are reset then.
constexpr Duration kHastyPause = 3ms;
constexpr int kHastyDials = 20;
constexpr size_t kMaxFramesPerWrite = 64;

Result<> hear_ping(Task& task, FrameReader& reader) {
  TRY(SharedBytes body, reader.next(task));
  TRY(Frame frame, decode(body));
  if (frame.kind != FrameKind::ping) return fail(Errc::invalid, "only signs of life come towards the dialer of a control link");
  return {};
}

}  // namespace

struct ControlLinks::Link {
  NodeId node;
  std::vector<net::Address> addresses;
  size_t turn = 0;                         // which of them is tried first
  size_t refused_in_turn = 0;              // so many of them, one after the other
  std::optional<net::Address> ended_at{};  // an established link has ended there, and nothing has said yet what became of its process
  bool up = false;
  bool broken = false;
  bool probing = false;  // somebody wants to know what becomes of the next attempt
  Run run;               // of the last established link; none = never had one
  std::deque<ByteVec> queue;
  size_t queued_bytes = 0;
  Signal wake;
};

ControlLinks::ControlLinks(Env& env, const Identity& identity, LinkEvents& events, Pulses& pulses)
    : env_(env), identity_(identity), events_(events), pulses_(pulses), log_(env.log.with("peer")) {}

ControlLinks::~ControlLinks() = default;

ControlLinks::Link* ControlLinks::find(NodeId node) {
  for (auto& link : links_)
    if (link->node == node) return link.get();
  return nullptr;
}

void ControlLinks::add(TaskGroup& tasks, NodeId node, std::vector<net::Address> addresses) {
  ENSURE(!addresses.empty(), "node {} is nowhere", node);
  if (Link* known = find(node)) {
    known->addresses = std::move(addresses);
    return;
  }
  links_.push_back(std::make_unique<Link>());
  Link& link = *links_.back();
  link.node = node;
  link.addresses = std::move(addresses);
  pulses_.expect(node);
  tasks.spawn(fmt::format("dial {}", node), [this, &link](Task& task) { dial_loop(task, link); });
}

void ControlLinks::probe(NodeId node) {
  Link* link = find(node);
  if (!link || link->up) return;
  link->probing = true;
  link->wake.notify_all();
}

void ControlLinks::send(NodeId to, FrameKind kind, ByteSpan metadata) {
  Link* link = find(to);
  if (silent_ || !link || !link->up || link->queued_bytes > kMaxQueuedBytes) return;
  link->queue.push_back(encode_head(kind, metadata, 0));
  link->queued_bytes += link->queue.back().size();
  link->wake.notify_one();
}

void ControlLinks::silence() {
  silent_ = true;
  for (auto& link : links_) {
    link->queue.clear();
    link->queued_bytes = 0;
  }
}

// The address whose turn it is; the others beside it once it is silent for a step. Whatever it answers is the result, but of the others
// only a greeting that was accepted: their turn comes.
Result<Greeted> ControlLinks::dial_any(Task& task, const Link& link) {
  const Time deadline = task.now() + kDialTimeout;
  const NodeId node = link.node;
  std::vector<net::Address> addresses = link.addresses;
  std::ranges::rotate(addresses, addresses.begin() + static_cast<std::ptrdiff_t>(link.turn % addresses.size()));
  std::optional<Result<Greeted>> answer;
  Signal answered;
  TaskGroup attempts(task.scheduler());
  auto attempt = [&](const net::Address& address, bool first) {
    attempts.spawn(fmt::format("dial {} at {}", node, to_string(address)), [&, address, first](Task& t) {
      auto greeted = greet_at(t, node, address, deadline);
      if (answer || greeted.is(Errc::stopped) || (!greeted && !first)) return;
      if (!first) REACHED("peer: met at another address while one is silent");
      answer = std::move(greeted);
      answered.notify_all();
    });
  };
  attempt(addresses.front(), true);
  Result<> waited = answered.wait(task, task.now() + kReachStep, "an answer to a dial");
  if (!answer && !waited.is(Errc::stopped))
    for (size_t i = 1; i < addresses.size(); ++i) attempt(addresses[i], false);
  while (!answer && !waited.is(Errc::stopped)) waited = answered.wait(task, Time::never(), "an answer to a dial");
  attempts.stop();
  attempts.join(task);
  if (!answer) return fail(Errc::stopped);
  return std::move(*answer);
}

// A refusal where a link stood says what became of its process, whenever it comes: the listener lives as long as the process. Of a process
// that is only probed it is not known at which of its addresses it should be.
void ControlLinks::note_refused(Link& link, const net::Address& address) {
  ++link.refused_in_turn;
  const bool ended = link.ended_at == address;
  if (!ended && !(link.probing && link.refused_in_turn >= link.addresses.size())) return;
  link.ended_at.reset();
  link.probing = false;
  if (!link.run.is_none()) {
    REACHED("peer: suspicion after a refused reconnect");
    events_.on_suspicion(link.node, link.run);
  } else {
    events_.on_probe_refused(link.node);
  }
}

void ControlLinks::dial_loop(Task& task, Link& link) {
  const std::string name = fmt::format("{}", link.node);
  int hasty = 0;
  Duration refused_pause = kRedialPause;
  while (!task.stopping()) {
    const net::Address first = link.addresses[link.turn % link.addresses.size()];
    Result<Greeted> greeted = dial_any(task, link);
    if (greeted) {
      if (Result<> used = events_.on_link_up(link.node, greeted->run, greeted->voter, greeted->address); !used)
        greeted = std::unexpected(used.error());
    }
    if (greeted) {
      refused_pause = kRedialPause;
      const net::Address address = greeted->address;
      // It is looked for there first when it is gone; or at the first, should it be none of its addresses any more.
      link.turn = static_cast<size_t>(std::ranges::find(link.addresses, address) - link.addresses.begin());
      link.ended_at.reset();
      link.refused_in_turn = 0;
      link.run = greeted->run;
      link.up = true;
      link.broken = false;
      link.probing = false;
      if (auto before = refusals_.taken(name)) log_.info("link_accepted node={} refused_before={}", link.node, *before);
      log_.info("link_up node={} address={} run={}", link.node, to_string(address), link.run);
      Result<> ended = run_link(task, link, *greeted);
      link.up = false;
      link.queue.clear();
      link.queued_bytes = 0;
      events_.on_link_down(link.node, link.run);
      log_.info("link_down node={} run={} reason={} {}", link.node, link.run, to_string(ended.error().code), ended.error().what);
      link.ended_at = address;
      hasty = kHastyDials;
      continue;
    }
    ++link.turn;
    if (greeted.is(Errc::refused)) {
      events_.on_nobody_at(link.node, first);
      note_refused(link, first);
    } else {
      link.refused_in_turn = 0;
    }
    const bool refused = greeted.is(Errc::invalid);
    if (refused && refusals_.refused(name, greeted.error().what))
      log_.warn("link_refused node={} reason=\"{}\"", link.node, greeted.error().what);
    if (refused) refused_pause = std::min(2 * refused_pause, kRefusedPause);
    const bool dying = link.ended_at == first && (greeted.is(Errc::reset) || greeted.is(Errc::closed)) && hasty-- > 0;
    if (dying) REACHED("peer: a reconnect was taken and ended at once");
    const Duration pause = dying ? kHastyPause : refused ? refused_pause : kRedialPause;
    if (link.wake.wait(task, task.now() + pause, "the next dial").is(Errc::stopped)) return;
  }
}

Result<> ControlLinks::run_link(Task& task, Link& link, Greeted& greeted) {
  LiveConnection& connection = *greeted.connection;
  connection.watch(pulses_, link.node);
  // Only signs of life come towards the dialer on this connection; its end is noticed at once.
  TaskGroup reader(task.scheduler());
  reader.spawn(fmt::format("watch {}", link.node), [&](Task& watcher) {
    Result<> heard;
    while (heard) heard = hear_ping(watcher, *greeted.reader);
    link.broken = true;
    link.wake.notify_all();
  });
  Result<> result;
  std::vector<ByteVec> batch;
  std::vector<ByteSpan> pieces;
  while (result) {
    if (link.broken) {
      result = fail(Errc::reset);
    } else if (link.queue.empty()) {
      result = link.wake.wait(task, Time::never(), "frames to send");
    } else {
      batch.clear();
      pieces.clear();
      while (!link.queue.empty() && batch.size() < kMaxFramesPerWrite) {
        link.queued_bytes -= link.queue.front().size();
        batch.push_back(std::move(link.queue.front()));
        link.queue.pop_front();
      }
      for (const ByteVec& frame : batch) pieces.emplace_back(frame);
      result = connection.write(task, pieces);
    }
  }
  connection.close();
  reader.stop();
  reader.join(task);
  return std::unexpected(end_of(connection, result.error()));
}

namespace {

// The first exchange on a new connection.
struct Exchange {
  std::unique_ptr<LiveConnection> connection;
  std::unique_ptr<FrameReader> reader;
  HelloReply reply;
};

Result<Exchange> greet(Task& task, Env& env, const Identity& identity, NodeId to, const net::Address& address, LinkKind kind,
                       Time deadline) {
  TRY(auto reached, reach(task, env.network, address, deadline));
  auto connection = std::make_unique<LiveConnection>(std::move(reached));
  Hello hello{.link = kind,
              .cluster_id = identity.cluster_id,
              .lineage = identity.lineage,
              .from = identity.node,
              .to = to,
              .run = identity.run,
              .voter = identity.voter,
              .host = identity.address.host,
              .port = identity.address.port};
  ByteVec metadata;
  pack(metadata, hello);
  TRY_DO(connection->write(task, encode_head(FrameKind::hello, metadata, 0), deadline));
  auto reader = std::make_unique<FrameReader>(*connection, kMaxFrameBytes);
  TRY(SharedBytes body, reader->next(task, deadline));
  TRY(Frame frame, decode(body));
  if (frame.kind != FrameKind::hello_reply) return fail(Errc::corrupt, "the peer did not answer the greeting");
  TRY(HelloReply reply, unpack<HelloReply>(frame.metadata));
  return Exchange{std::move(connection), std::move(reader), std::move(reply)};
}

Result<Greeted> accepted(Exchange e, NodeId to, const net::Address& address) {
  if (!e.reply.accepted) return fail(Errc::invalid, e.reply.reason);
  if (e.reply.from != to) return fail(Errc::invalid, fmt::format("{} is node {}, expected node {}", to_string(address), e.reply.from, to));
  return Greeted{std::move(e.connection), std::move(e.reader), e.reply.run, e.reply.voter, address};
}

}  // namespace

Result<Greeted> dial(Task& task, Env& env, const Identity& identity, NodeId to, const net::Address& address, LinkKind kind, Time deadline) {
  TRY(Exchange e, greet(task, env, identity, to, address, kind, deadline));
  return accepted(std::move(e), to, address);
}

Result<Greeted> ControlLinks::greet_at(Task& task, NodeId node, const net::Address& address, Time deadline) {
  TRY(Exchange e, greet(task, env_, identity_, node, address, LinkKind::control, deadline));
  const HelloReply& reply = e.reply;
  const bool either_is_new = reply.cluster_id.is_zero() || identity_.cluster_id.is_zero();
  const bool of_one_cluster = reply.cluster_id == identity_.cluster_id && reply.lineage == identity_.lineage;
  if (!reply.accepted && reply.from == node && (either_is_new || of_one_cluster))
    events_.on_refused_by(node, reply.run, reply.voter, address);
  return accepted(std::move(e), node, address);
}

Result<metadata::Answer> ControlLinks::inquire(Task& task, NodeId node, const net::Address& address) {
  TRY(Exchange e, greet(task, env_, identity_, node, address, LinkKind::inquiry, task.now() + kDialTimeout));
  return metadata::Answer{e.reply.from, e.reply.run};
}

}  // namespace sg::broker::peer
