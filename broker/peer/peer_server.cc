#include "broker/peer/peer_server.h"

#include "base/archive.h"
#include "base/probe.h"
#include "broker/accept_loop.h"

namespace sg::broker::peer {
namespace {

constexpr Duration kGreetingTimeout = 5s;
constexpr size_t kMaxGreetingBytes = 4096;  // whoever has not said who it is gets no more memory than this

}  // namespace

PeerServer::PeerServer(Env& env, const Identity& identity, PeerEvents& events, Pulses& pulses, size_t max_links)
    : env_(env), identity_(identity), events_(events), pulses_(pulses), max_links_(max_links), log_(env.log.with("peer")) {}

Result<> PeerServer::listen(const net::Address& address) {
  TRY(listener_, env_.network.listen(address));
  return {};
}

void PeerServer::run(Task& task) {
  accept_loop(task, *listener_, "peer link", [this](Task& t, std::shared_ptr<net::Connection> connection) {
    if (links_ >= max_links_) return say_refused(t.now(), connection->peer(), fmt::format("more than {} links", max_links_));
    ++links_;
    LiveConnection live(connection);
    Result<> ended = serve(t, live);
    --links_;
    const bool unreadable = ended.is(Errc::corrupt) || ended.is(Errc::too_large) || ended.is(Errc::invalid) || ended.is(Errc::unsupported);
    if (unreadable) say_refused(t.now(), connection->peer(), ended.error().what);
    connection->close();
  });
}

void PeerServer::say_refused(Time now, const net::Address& from, const std::string& reason) {
  if (hosts_.refused(from.host, reason) && limiter_.allow(now))
    log_.warn("link_refused from={} reason=\"{}\" suppressed={}", to_string(from), reason, limiter_.suppressed());
}

// Whether a greeting was accepted, for the log: each process that greets has its own history, or a twin's refusals would end with each
// link of the node it is taken for.
bool PeerServer::say_greeted(const Hello& hello, const net::Address& from, const std::string& objection) {
  const std::string name = fmt::format("{} {}", hello.from, hello.run);
  if (!objection.empty()) {
    if (nodes_.refused(name, objection)) log_.warn("link_refused node={} from={} reason=\"{}\"", hello.from, to_string(from), objection);
    return false;
  }
  if (auto before = nodes_.taken(name)) log_.info("link_accepted node={} refused_before={}", hello.from, *before);
  hosts_.taken(from.host);
  return true;
}

Result<> PeerServer::serve(Task& task, LiveConnection& connection) {
  FrameReader reader(connection, kMaxGreetingBytes);
  TRY(SharedBytes body, reader.next(task, task.now() + kGreetingTimeout));
  TRY(Frame frame, decode(body));
  if (frame.kind != FrameKind::hello) return fail(Errc::corrupt, "the first frame is not a greeting");
  TRY(Hello hello, unpack<Hello>(frame.metadata));
  if (hello.magic != kHelloMagic) return fail(Errc::corrupt, "the greeting's magic is wrong: not a Stormglass node");

  HelloReply reply{.reason = objection(hello),
                   .cluster_id = identity_.cluster_id,
                   .lineage = identity_.lineage,
                   .from = identity_.node,
                   .run = identity_.run,
                   .voter = identity_.voter};
  reply.accepted = reply.reason.empty();
  if (!reply.accepted) REACHED("peer: greeting refused");
  ByteVec metadata;
  pack(metadata, reply);
  TRY_DO(connection.write(task, encode_head(FrameKind::hello_reply, metadata, 0), task.now() + kGreetingTimeout));
  if (hello.link == LinkKind::inquiry) return {};
  if (reply.accepted) {
    if (Result<> admitted = events_.admit(hello); !admitted) reply.reason = admitted.error().what;  // another came during the write
  }
  if (!say_greeted(hello, connection.peer(), reply.reason)) return {};

  reader.set_max_frame_bytes(kMaxFrameBytes);
  connection.watch(pulses_, hello.from);
  events_.on_hello(hello.from, hello.run);
  Result<> ended = serve_admitted(task, connection, reader, hello);
  events_.on_hello_over(hello.from, hello.run);
  return ended;
}

// Why this greeting is refused; empty if it is not.
std::string PeerServer::objection(const Hello& hello) {
  if (hello.to != identity_.node)
    return fmt::format("this is node {}, you asked for node {}: check the voters' addresses", identity_.node, hello.to);
  if (hello.from == identity_.node)
    return fmt::format("two processes claim to be node {}: run {} and run {}; stop whichever was started by mistake", identity_.node,
                       identity_.run, hello.run);
  if (!hello.cluster_id.is_zero() && !identity_.cluster_id.is_zero()) {
    if (hello.cluster_id != identity_.cluster_id)
      return fmt::format("node {} belongs to cluster {}, this one to {}", hello.from, hello.cluster_id, identity_.cluster_id);
    if (hello.lineage != identity_.lineage)
      return fmt::format("node {} belongs to history {} of cluster {}, this one to {}: the cluster was recovered without one of them",
                         hello.from, hello.lineage, hello.cluster_id, identity_.lineage);
  }
  if (hello.link == LinkKind::inquiry) return "";
  Result<> admitted = events_.admit(hello);
  return admitted ? "" : admitted.error().what;
}

Result<> PeerServer::serve_admitted(Task& task, LiveConnection& connection, FrameReader& reader, const Hello& hello) {
  if (hello.link == LinkKind::replication) return events_.serve_replication(task, connection, reader, hello);
  while (true) {
    Result<SharedBytes> next = reader.next(task);
    if (!next && connection.silent()) log_.info("link_silent node={} reason=\"{}\"", hello.from, end_of(connection, next.error()).what);
    if (!next) return std::unexpected(next.error());
    TRY(Frame control, decode(*next));
    if (control.kind != FrameKind::ping) TRY_DO(events_.on_control_frame(hello.from, hello.run, control));
  }
}

}  // namespace sg::broker::peer
