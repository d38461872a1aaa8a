#include "broker/peer/control_link.h"

#include "base/archive.h"
#include "base/probe.h"
#include "broker/peer/reach.h"

namespace sg::broker::peer {
namespace {

constexpr size_t kMaxQueuedBytes = 16u << 20;
constexpr Duration kDialTimeout = 1s;  // a silent node is asked every kReachStep meanwhile
constexpr Duration kRedialPause = 50ms;
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
  net::Address address;
  bool up = false;
  bool broken = false;
  bool probing = false;     // somebody wants to know what becomes of the next attempt
  Incarnation incarnation;  // of the last established link; 0 = never had one
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

void ControlLinks::add(TaskGroup& tasks, NodeId node, net::Address address) {
  if (Link* known = find(node)) {
    known->address = std::move(address);
    return;
  }
  links_.push_back(std::make_unique<Link>());
  Link& link = *links_.back();
  link.node = node;
  link.address = std::move(address);
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

void ControlLinks::dial_loop(Task& task, Link& link) {
  // An established link has ended, and no reconnect has said yet what became of its process. A refusal says it, whenever it comes: the
  // listener lives as long as the process.
  bool was_up = false;
  const std::string name = fmt::format("{}", link.node);
  int hasty = 0;
  while (!task.stopping()) {
    Result<Greeted> greeted = dial(task, env_, identity_, link.node, link.address, LinkKind::control, task.now() + kDialTimeout);
    if (greeted) {
      link.incarnation = greeted->incarnation;
      link.up = true;
      link.broken = false;
      link.probing = false;
      events_.on_link_up(link.node, link.incarnation);
      if (auto before = refusals_.taken(name)) log_.info("link_accepted node={} refused_before={}", link.node, *before);
      log_.info("link_up node={} address={} incarnation={}", link.node, to_string(link.address), link.incarnation);
      Result<> ended = run_link(task, link, *greeted);
      link.up = false;
      link.queue.clear();
      link.queued_bytes = 0;
      log_.info("link_down node={} incarnation={} reason={} {}", link.node, link.incarnation, to_string(ended.error().code),
                ended.error().what);
      was_up = true;
      hasty = kHastyDials;
      continue;
    }
    if (greeted.is(Errc::refused) && (was_up || link.probing)) {
      was_up = false;
      link.probing = false;
      if (link.incarnation.v != 0) {
        REACHED("peer: suspicion after a refused reconnect");
        events_.on_suspicion(link.node, link.incarnation);
      } else {
        events_.on_probe_refused(link.node);
      }
    }
    if (greeted.is(Errc::invalid) && refusals_.refused(name, greeted.error().what))
      log_.warn("link_refused node={} reason=\"{}\"", link.node, greeted.error().what);
    const bool dying = was_up && (greeted.is(Errc::reset) || greeted.is(Errc::closed)) && hasty-- > 0;
    if (dying) REACHED("peer: a reconnect was taken and ended at once");
    if (link.wake.wait(task, task.now() + (dying ? kHastyPause : kRedialPause), "the next dial").is(Errc::stopped)) return;
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

Result<Greeted> dial(Task& task, Env& env, const Identity& identity, NodeId to, const net::Address& address, LinkKind kind, Time deadline) {
  TRY(auto reached, reach(task, env.network, address, deadline));
  auto connection = std::make_unique<LiveConnection>(std::move(reached));
  Hello hello{.link = kind, .cluster_id = identity.cluster_id, .from = identity.node, .to = to, .incarnation = identity.incarnation};
  ByteVec metadata;
  pack(metadata, hello);
  TRY_DO(connection->write(task, encode_head(FrameKind::hello, metadata, 0), deadline));
  auto reader = std::make_unique<FrameReader>(*connection, kMaxFrameBytes);
  TRY(SharedBytes body, reader->next(task, deadline));
  TRY(Frame frame, decode(body));
  if (frame.kind != FrameKind::hello_reply) return fail(Errc::corrupt, "the peer did not answer the greeting");
  TRY(HelloReply reply, unpack<HelloReply>(frame.metadata));
  if (!reply.accepted) return fail(Errc::invalid, reply.reason);
  if (reply.from != to) return fail(Errc::invalid, fmt::format("{} is node {}, expected node {}", to_string(address), reply.from, to));
  return Greeted{std::move(connection), std::move(reader), reply.incarnation};
}

}  // namespace sg::broker::peer
