#include "broker/peer/peer_server.h"

#include "base/archive.h"
#include "base/probe.h"
#include "broker/accept_loop.h"

namespace sg::broker::peer {
namespace {

constexpr Duration kGreetingTimeout = 5s;
constexpr size_t kMaxGreetingBytes = 4096;  // whoever has not said who it is gets no more memory than this

}  // namespace

PeerServer::PeerServer(Env& env, const Identity& identity, PeerEvents& events, size_t max_links)
    : env_(env), identity_(identity), events_(events), max_links_(max_links), log_(env.log.with("peer")) {}

Result<> PeerServer::listen(const net::Address& address) {
  TRY(listener_, env_.network.listen(address));
  return {};
}

void PeerServer::run(Task& task) {
  accept_loop(task, *listener_, "peer link", [this](Task& t, std::shared_ptr<net::Connection> connection) {
    if (links_ >= max_links_) {
      if (limiter_.allow(t.now()))
        log_.warn("link_refused from={} reason=\"more than {} links\" suppressed={}", to_string(connection->peer()), max_links_,
                  limiter_.suppressed());
      return;
    }
    ++links_;
    Result<> ended = serve(t, *connection);
    --links_;
    const bool unreadable = ended.is(Errc::corrupt) || ended.is(Errc::too_large) || ended.is(Errc::invalid) || ended.is(Errc::unsupported);
    if (unreadable && limiter_.allow(t.now()))
      log_.warn("link_refused from={} reason={} suppressed={}", to_string(connection->peer()), ended.error().what, limiter_.suppressed());
    connection->close();
  });
}

Result<> PeerServer::serve(Task& task, net::Connection& connection) {
  FrameReader reader(connection, kMaxGreetingBytes);
  TRY(SharedBytes body, reader.next(task, task.now() + kGreetingTimeout));
  TRY(Frame frame, decode(body));
  if (frame.kind != FrameKind::hello) return fail(Errc::corrupt, "the first frame is not a greeting");
  TRY(Hello hello, unpack<Hello>(frame.metadata));
  if (hello.magic != kHelloMagic) return fail(Errc::corrupt, "the greeting's magic is wrong: not a Stormglass node");

  HelloReply reply{.accepted = true, .from = identity_.node, .run = identity_.run};
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
  if (!reply.accepted) return fail(Errc::invalid, reply.reason);

  reader.set_max_frame_bytes(kMaxFrameBytes);
  events_.on_hello(hello.from, hello.run);
  if (hello.link == LinkKind::replication) return events_.serve_replication(task, connection, reader, hello);
  while (true) {
    TRY(SharedBytes next, reader.next(task));
    TRY(Frame control, decode(next));
    TRY_DO(events_.on_control_frame(hello.from, hello.run, control));
  }
}

}  // namespace sg::broker::peer
