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

Result<> PeerServer::serve(Task& task, LiveConnection& connection) {
  FrameReader reader(connection, kMaxGreetingBytes);
  TRY(SharedBytes body, reader.next(task, task.now() + kGreetingTimeout));
  TRY(Frame frame, decode(body));
  if (frame.kind != FrameKind::hello) return fail(Errc::corrupt, "the first frame is not a greeting");
  TRY(Hello hello, unpack<Hello>(frame.metadata));
  if (hello.magic != kHelloMagic) return fail(Errc::corrupt, "the greeting's magic is wrong: not a Stormglass node");

  HelloReply reply{.accepted = true, .from = identity_.node, .incarnation = identity_.incarnation};
  if (hello.to != identity_.node)
    reply.reason = fmt::format("this is node {}, you asked for node {}: check the voters' addresses", identity_.node, hello.to);
  if (hello.from == identity_.node) reply.reason = fmt::format("two processes claim to be node {}", identity_.node);
  if (!hello.cluster_id.is_zero() && !identity_.cluster_id.is_zero() && hello.cluster_id != identity_.cluster_id)
    reply.reason = fmt::format("node {} belongs to cluster {}, this one to {}", hello.from, hello.cluster_id, identity_.cluster_id);
  if (!reply.reason.empty()) {
    REACHED("peer: greeting refused");
    reply.accepted = false;
  }
  ByteVec metadata;
  pack(metadata, reply);
  TRY_DO(connection.write(task, encode_head(FrameKind::hello_reply, metadata, 0), task.now() + kGreetingTimeout));
  const std::string name = fmt::format("{}", hello.from);
  if (!reply.accepted) {
    if (nodes_.refused(name, reply.reason))
      log_.warn("link_refused node={} from={} reason=\"{}\"", hello.from, to_string(connection.peer()), reply.reason);
    return {};
  }
  if (auto before = nodes_.taken(name)) log_.info("link_accepted node={} refused_before={}", hello.from, *before);
  hosts_.taken(connection.peer().host);

  reader.set_max_frame_bytes(kMaxFrameBytes);
  connection.watch(pulses_, hello.from);
  events_.on_hello(hello.from, hello.incarnation);
  if (hello.link == LinkKind::replication) return events_.serve_replication(task, connection, reader, hello);
  while (true) {
    Result<SharedBytes> next = reader.next(task);
    if (!next && connection.silent()) log_.info("link_silent node={} reason=\"{}\"", hello.from, end_of(connection, next.error()).what);
    if (!next) return std::unexpected(next.error());
    TRY(Frame control, decode(*next));
    if (control.kind != FrameKind::ping) TRY_DO(events_.on_control_frame(hello.from, hello.incarnation, control));
  }
}

}  // namespace sg::broker::peer
