#include "sim/network.h"

#include <algorithm>

#include "sim/connection.h"

namespace sg::sim {
namespace {

// An event's argument: what (2 bits), side (1), generation of the slot's use (37), slot (24). The generation is the connection's id, so
// an event of a connection that is over finds another id in its slot.
constexpr uint64_t kIdMask = (uint64_t{1} << 37) - 1;

}  // namespace

SimNetwork::SimNetwork(EventQueue& queue, Trace& trace, Rng rng, NetworkOptions options)
    : queue_(queue), trace_(trace), rng_(rng), options_(options) {
  ENSURE(options_.window_bytes > 0);
}

SimNetwork::~SimNetwork() {
  for (const Host& host : hosts_) ENSURE(host.listeners.empty(), "host {} still listens", host.name);
}

uint32_t SimNetwork::add_host(std::string name) {
  uint32_t index = static_cast<uint32_t>(hosts_.size());
  hosts_.emplace_back();
  hosts_.back().name = std::move(name);
  auto new_link = [&](uint32_t from, uint32_t to) {
    return Link{options_.link, Time{}, Time{}, false, {}, rng_.split("link", uint64_t{from} << 32 | to)};
  };
  for (uint32_t i = 0; i < index; ++i) links_[i].push_back(new_link(i, index));
  links_.emplace_back();
  for (uint32_t i = 0; i <= index; ++i) links_[index].push_back(new_link(index, i));
  return index;
}

void SimNetwork::rename_host(uint32_t host, std::string name, bool follows) {
  auto known = find_host(name);
  ENSURE(known == hosts_.end() || known == hosts_.begin() + host, "two hosts named '{}'", name);
  Host& moved = hosts_[host];
  moved.also = follows && name != moved.name ? moved.name : std::string();
  moved.name = std::move(name);
  trace_.event(queue_.now(), host, TraceKind::host_moved, host, follows);
}

std::vector<SimNetwork::Host>::iterator SimNetwork::find_host(std::string_view name) {
  return std::ranges::find_if(hosts_, [&](const Host& h) { return (h.name == name && !h.lent) || (!h.also.empty() && h.also == name); });
}

void SimNetwork::lend_name(uint32_t from, uint32_t to) {
  ENSURE(!hosts_[from].lent && hosts_[to].also.empty(), "two hosts named '{}'", hosts_[from].name);
  hosts_[from].lent = true;
  hosts_[to].also = hosts_[from].name;
  trace_.event(queue_.now(), to, TraceKind::host_moved, from, true);
}

void SimNetwork::give_name_back(uint32_t from, uint32_t to) {
  ENSURE(hosts_[from].lent && hosts_[to].also == hosts_[from].name, "nobody has lent the name '{}'", hosts_[from].name);
  hosts_[from].lent = false;
  hosts_[to].also.clear();
  trace_.event(queue_.now(), from, TraceKind::host_moved, from, false);
}

std::unique_ptr<net::Network> SimNetwork::endpoint(uint32_t host, Life& life) { return std::make_unique<HostNetwork>(*this, host, life); }

// --- events --------------------------------------------------------------------------------------------------------------------

void SimNetwork::schedule(Time time, What what, const Conn& conn, int side) {
  uint64_t argument = static_cast<uint64_t>(what) << 62 | static_cast<uint64_t>(side) << 61 | (conn.info.id & kIdMask) << 24 | conn.slot;
  queue_.at(time, *this, argument);
}

void SimNetwork::on_event(uint64_t argument) {
  Conn& conn = *connections_[argument & 0xffffff];
  if (conn.state == Conn::State::free || (conn.info.id & kIdMask) != (argument >> 24 & kIdMask)) return;
  switch (static_cast<What>(argument >> 62)) {
    case What::arrive: return on_arrive(conn, static_cast<int>(argument >> 61 & 1));
    case What::dial: return on_dial(conn);
    case What::answer: return on_answer(conn);
    case What::retransmit: return on_retransmit(conn, static_cast<int>(argument >> 61 & 1));
  }
}

Time SimNetwork::draw_arrival(Link& link, size_t bytes) {
  const LinkOptions& o = link.options;
  int64_t latency = link.rng.between(o.latency_min.count(), o.latency_max.count());
  if (o.tail_per_million > 0 && link.rng.chance(o.tail_per_million, 1'000'000))
    latency = link.rng.log_between(std::max<int64_t>(1, o.latency_max.count()), std::max(o.latency_max, o.latency_tail).count());
  Time depart = queue_.now();
  if (o.bytes_per_us > 0) {
    depart = std::max(depart, link.busy_until) + Duration(static_cast<int64_t>(bytes * 1000 / o.bytes_per_us));
    link.busy_until = depart;
  }
  return depart + Duration(latency);
}

// --- setting up ----------------------------------------------------------------------------------------------------------------

SimNetwork::Conn& SimNetwork::new_connection() {
  if (free_.empty()) {
    ENSURE(connections_.size() < 0xffffff);
    free_.push_back(static_cast<uint32_t>(connections_.size()));
    connections_.push_back(std::make_unique<Conn>());
    connections_.back()->slot = free_.back();
  }
  Conn& conn = *connections_[free_.back()];
  free_.pop_back();
  ENSURE(conn.state == Conn::State::free);
  conn.state = Conn::State::connecting;
  conn.info.id = ++next_id_;
  return conn;
}

Result<SimNetwork::Conn*> SimNetwork::dial(Task& task, uint32_t host, const net::Address& address) {
  bool loopback = address.host == "127.0.0.1" || address.host == "0.0.0.0";
  auto target = loopback ? hosts_.begin() + host : find_host(address.host);
  if (target == hosts_.end()) return fail(Errc::unavailable, fmt::format("no host named '{}'", address.host));
  Host& from = hosts_[host];
  Conn& conn = new_connection();
  conn.info.dialer = {from.name, from.next_port};
  from.next_port = static_cast<uint16_t>(from.next_port + 1) | 0xc000;
  conn.info.acceptor = address;
  conn.info.dialer_node = host;
  conn.info.acceptor_node = static_cast<uint32_t>(target - hosts_.begin());
  conn.connector = &task;
  conn.ends[0].host = host;
  conn.ends[0].open = true;
  conn.ends[1].host = conn.info.acceptor_node;
  schedule(draw_arrival(link_to(conn, 1), 0), What::dial, conn, 1);
  return &conn;
}

// The dialer's first packet arrives, or arrives again.
void SimNetwork::on_dial(Conn& conn) {
  if (conn.state != Conn::State::connecting || !conn.ends[0].open) return;
  Link& link = link_to(conn, 1);
  Host& host = hosts_[conn.ends[1].host];
  if (link.stalled_until > queue_.now()) return schedule(link.stalled_until, What::dial, conn, 1);
  if (link.cut || !host.powered) return dial_again(conn);
  End& end = conn.ends[1];
  if (!end.open) {
    auto listener = host.listeners.find(conn.info.acceptor.port);
    const bool there = listener != host.listeners.end();
    auto lingering = host.lingering.find(conn.info.acceptor.port);
    const bool stillborn = !there && lingering != host.lingering.end() && queue_.now() < lingering->second;
    conn.answer_refused = !there && !stillborn;
    if (stillborn) {
      Time arrive = draw_arrival(link_to(conn, 0), 0);
      conn.ends[0].last_arrival = std::max(conn.ends[0].last_arrival, arrive);
      schedule(arrive, What::answer, conn, 0);
      end.answered = true;
      return send_mark(conn, 0, Chunk::reset);
    }
    if (there) {
      end.open = true;
      for (NetworkTap* tap : taps_) tap->on_open(conn.info);
      listener->second->backlog_.push(&conn);
      wake(listener->second->accepter_);
    }
  }
  Time arrive = draw_arrival(link_to(conn, 0), 0);
  conn.ends[0].last_arrival = std::max(conn.ends[0].last_arrival, arrive);
  schedule(arrive, What::answer, conn, 0);
}

void SimNetwork::dial_again(Conn& conn) {
  conn.dial_back_off = conn.dial_back_off.count() == 0 ? options_.connect_retry : std::min(2 * conn.dial_back_off, options_.retransmit_max);
  schedule(queue_.now() + conn.dial_back_off, What::dial, conn, 1);
}

void SimNetwork::on_answer(Conn& conn) {
  if (conn.state != Conn::State::connecting || !conn.ends[0].open) return;
  Link& link = link_to(conn, 0);
  if (link.stalled_until > queue_.now()) return schedule(link.stalled_until, What::answer, conn, 0);
  if (link.cut) return dial_again(conn);
  conn.state = conn.answer_refused ? Conn::State::refused : Conn::State::established;
  wake(conn.connector);
}

// --- bytes ---------------------------------------------------------------------------------------------------------------------

void SimNetwork::fly(Conn& conn, int to_side, Chunk&& chunk) {
  End& end = conn.ends[to_side];
  chunk.arrive = std::max(end.last_arrival, draw_arrival(link_to(conn, to_side), chunk.bytes.size()));
  end.last_arrival = chunk.arrive;
  end.used += chunk.bytes.size();
  end.sent += chunk.bytes.size();
  Time arrive = chunk.arrive;
  end.flying.push(std::move(chunk));
  schedule(arrive, What::arrive, conn, to_side);
}

void SimNetwork::send_mark(Conn& conn, int to_side, Chunk::Kind kind) {
  if (conn.ends[to_side].vanished && !hosts_[conn.ends[to_side].host].powered) return;
  Chunk mark;
  mark.kind = kind;
  fly(conn, to_side, std::move(mark));
}

void SimNetwork::on_arrive(Conn& conn, int side) {
  End& end = conn.ends[side];
  Link& link = link_to(conn, side);
  bool delivered = false;
  if (end.waiting) return;  // behind what is to be sent again
  while (!end.flying.empty() && end.flying.front().arrive <= queue_.now()) {
    if (link.stalled_until > queue_.now()) return schedule(link.stalled_until, What::arrive, conn, side);
    if (link.cut || !hosts_[end.host].powered) return lose(conn, side);
    std::optional<Chunk> arrived = take_arrived(end, link);
    if (!arrived) break;  // held
    Chunk chunk = std::move(*arrived);
    if (!end.open) {  // nobody is there any more: the host answers with a reset
      end.used -= chunk.bytes.size();
      give_buffer(std::move(chunk.bytes));
      End& sender = conn.ends[1 - side];
      end.spoken_to = end.spoken_to || chunk.kind == Chunk::data;
      if (chunk.kind == Chunk::data && sender.open && !std::exchange(end.answered, true)) send_mark(conn, 1 - side, Chunk::reset);
      continue;
    }
    end.back_off = Duration(0);
    delivered = true;
    if (chunk.kind == Chunk::data) {
      trace_.event(queue_.now(), end.host, TraceKind::deliver, conn.info.id, chunk.bytes.size());
      end.received.push(std::move(chunk));
    } else {
      trace_.event(queue_.now(), end.host, TraceKind::stream_end, conn.info.id, chunk.kind == Chunk::reset);
      (chunk.kind == Chunk::reset ? end.reset : end.ended) = true;
      wake(end.writer);
    }
  }
  if (delivered) wake(end.reader);
  free_if_over(conn);
}

void SimNetwork::find_messages(Conn& conn, int to_side, ByteSpan bytes) {
  if (!finder_) return;
  found_.clear();
  finder_->on_send(conn.info, to_side == 1, bytes, found_);
  End& end = conn.ends[to_side];
  for (MessageFinder::Message& message : found_) {
    message.begin = std::max(message.begin, end.arrived);
    end.messages.push(message);
  }
}

// What flies first, up to the first message that the link holds; nothing where that begins at once.
std::optional<SimNetwork::Chunk> SimNetwork::take_arrived(End& end, const Link& link) {
  Chunk& front = end.flying.front();
  uint64_t stop = UINT64_MAX;
  for (size_t i = 0; !link.held.empty() && stop == UINT64_MAX && i < end.messages.size(); ++i)
    if (std::ranges::find(link.held, end.messages[i].kind) != link.held.end()) stop = end.messages[i].begin;
  if (stop <= end.arrived) return std::nullopt;
  const uint64_t length = std::min<uint64_t>(front.bytes.size(), stop - end.arrived);
  end.arrived += length;
  while (!end.messages.empty() && end.messages.front().begin < end.arrived) end.messages.pop();
  if (length == front.bytes.size()) return end.flying.pop();
  const auto split = front.bytes.begin() + static_cast<std::ptrdiff_t>(length);
  Chunk part;
  part.arrive = front.arrive;
  part.bytes.assign(front.bytes.begin(), split);
  front.bytes.erase(front.bytes.begin(), split);
  return part;
}

void SimNetwork::drop_flying(End& end) {
  recycle(end.flying);
  end.messages.clear();
  end.arrived = end.sent;
}

// What was to arrive at that end now is lost.
void SimNetwork::lose(Conn& conn, int side) {
  End& end = conn.ends[side];
  for (size_t i = 0; i < end.flying.size(); ++i)
    if (end.flying[i].kind == Chunk::reset) return lose_reset(conn, side);
  if (conn.ends[1 - side].vanished) return drop_flying(end);  // there is nobody to send it again
  if (end.back_off.count() == 0) end.unheard_since = queue_.now();
  end.waiting = true;
  send_again(conn, side);
}

// Whoever resets a connection has forgotten what it sent before, and does not repeat itself. It answers again when it is spoken to: the
// other end goes on to send what was not acknowledged, or asks whether there is room. An empty chunk stands for either.
void SimNetwork::lose_reset(Conn& conn, int side) {
  End& end = conn.ends[side];
  End& sender = conn.ends[1 - side];
  for (size_t i = 0; i < end.flying.size(); ++i) end.used -= end.flying[i].bytes.size();
  drop_flying(end);
  sender.answered = false;
  if (sender.waiting || !end.open || !(sender.spoken_to || end.writer)) return;
  Chunk again;
  again.arrive = std::max(sender.last_arrival, queue_.now());
  sender.flying.push(std::move(again));
  if (sender.back_off.count() == 0) sender.unheard_since = queue_.now();
  sender.waiting = true;
  send_again(conn, 1 - side);
}

// The sender's timer runs; it ends with the sender's patience.
void SimNetwork::send_again(Conn& conn, int side) {
  End& end = conn.ends[side];
  end.back_off = end.back_off.count() == 0 ? options_.retransmit_first : std::min(2 * end.back_off, options_.retransmit_max);
  Time next = queue_.now() + end.back_off;
  const Duration patience = conn.ends[1 - side].patience;
  if (patience.count() > 0) next = std::max(queue_.now(), std::min(next, end.unheard_since + patience));
  schedule(next, What::retransmit, conn, side);
}

void SimNetwork::on_retransmit(Conn& conn, int side) {
  End& end = conn.ends[side];
  if (!std::exchange(end.waiting, false) || end.flying.empty()) return;
  const Duration patience = conn.ends[1 - side].patience;
  if (patience.count() > 0 && queue_.now() - end.unheard_since >= patience) return give_up(conn, side);
  Link& link = link_to(conn, side);
  if (link.cut || !hosts_[end.host].powered) {
    end.waiting = true;
    return send_again(conn, side);
  }
  const Time again = draw_arrival(link, 0);
  for (size_t i = 0; i < end.flying.size(); ++i) end.flying[i].arrive = std::max(end.flying[i].arrive, again);
  end.last_arrival = std::max(end.last_arrival, again);
  schedule(again, What::arrive, conn, side);
}

// The sender towards that end breaks the connection at its own side. Nothing is sent any more: the other end stays half-open.
void SimNetwork::give_up(Conn& conn, int side) {
  End& end = conn.ends[side];
  for (size_t i = 0; i < end.flying.size(); ++i) end.used -= end.flying[i].bytes.size();
  drop_flying(end);
  End& sender = conn.ends[1 - side];
  sender.reset = sender.gave_up = true;
  wake(sender.reader);
  wake(sender.writer);
}

// The reader has taken bytes; the sender learns of it over the way back.
void SimNetwork::release_window(Conn& conn, int reading_side, size_t bytes) {
  End& end = conn.ends[reading_side];
  if (links_[end.host][conn.ends[1 - reading_side].host].cut) {
    end.withheld += bytes;
    return;
  }
  ENSURE(end.used >= bytes);
  bool was_full = end.used >= options_.window_bytes;
  end.used -= bytes;
  if (was_full) wake(conn.ends[1 - reading_side].writer);
}

// --- ending --------------------------------------------------------------------------------------------------------------------

// One side ends in the sense of close(): what it sent still arrives, then the end of the stream or a reset.
void SimNetwork::end_side(Conn& conn, int side, bool reset) {
  End& end = conn.ends[side];
  if (end.open) {
    end.open = false;
    end.handle = nullptr;
    wake(std::exchange(end.reader, nullptr));
    wake(std::exchange(end.writer, nullptr));
    recycle(end.received);
    for (NetworkTap* tap : taps_) tap->on_end(conn.info, side == 0, reset);
    if (reset && !end.gave_up) end.answered = true;
    if (conn.ends[1 - side].open && !end.gave_up) send_mark(conn, 1 - side, reset ? Chunk::reset : Chunk::end);
  }
  free_if_over(conn);
}

void SimNetwork::free_if_over(Conn& conn) {
  if (conn.ends[0].open || conn.ends[1].open || conn.state == Conn::State::free) return;
  if (finder_) finder_->on_over(conn.info);
  for (End& end : conn.ends) {
    recycle(end.flying);
    recycle(end.received);
    Fifo<Chunk> flying = std::move(end.flying);  // their memory stays with the slot
    Fifo<Chunk> received = std::move(end.received);
    end = End{};
    end.flying = std::move(flying);
    end.received = std::move(received);
  }
  conn.state = Conn::State::free;
  conn.connector = nullptr;
  conn.answer_refused = false;
  conn.dial_back_off = Duration(0);
  free_.push_back(conn.slot);
}

void SimNetwork::end_process(uint32_t host, Death death) {
  bool power = death == Death::power_cut || death == Death::wipe;
  if (power) hosts_[host].powered = false;
  for (auto& [port, listener] : hosts_[host].listeners) {
    listener->closed_ = true;
    listener->backlog_.clear();
    wake(std::exchange(listener->accepter_, nullptr));
    if (death == Death::kill && rng_.chance(1, 2))
      hosts_[host].lingering[port] = queue_.now() + Duration(rng_.between(0, options_.listener_linger_max.count()));
  }
  hosts_[host].listeners.clear();
  for (auto& owned : connections_) {
    Conn& conn = *owned;
    if (conn.state == Conn::State::free) continue;
    for (int side = 0; side < 2; ++side) {
      End& end = conn.ends[side];
      if (end.host != host || !end.open) continue;
      if (end.handle) end.handle->conn_ = nullptr;
      if (side == 0) wake(std::exchange(conn.connector, nullptr));
      if (!power) {
        bool orderly = death == Death::exit && end.received.empty();
        end_side(conn, side, !orderly);
        continue;
      }
      end.open = false;
      end.vanished = true;
      end.handle = nullptr;
      wake(std::exchange(end.reader, nullptr));
      wake(std::exchange(end.writer, nullptr));
      recycle(end.received);
      drop_flying(conn.ends[1 - side]);
    }
    free_if_over(conn);
  }
}

void SimNetwork::power_on(uint32_t host) {
  if (std::exchange(hosts_[host].powered, true)) return;
  for (auto& owned : connections_) {
    for (int side = 0; side < 2; ++side) {
      End& end = owned->ends[side];
      // A sender that waits for room probes the window, and is told that nobody is there.
      bool probed = end.vanished && end.host == host && end.flying.empty() && owned->ends[1 - side].writer;
      if (probed && !std::exchange(end.answered, true)) send_mark(*owned, 1 - side, Chunk::reset);
    }
  }
}

// --- faults --------------------------------------------------------------------------------------------------------------------

void SimNetwork::trace_link(uint32_t from, uint32_t to, LinkChange change, uint64_t value) {
  trace_.event(queue_.now(), kNoNodeIndex, TraceKind::link, from, to, static_cast<uint64_t>(change), value);
}

void SimNetwork::cut(uint32_t from, uint32_t to) {
  links_[from][to].cut = true;
  trace_link(from, to, LinkChange::cut);
}

void SimNetwork::heal(uint32_t from, uint32_t to) {
  if (!std::exchange(links_[from][to].cut, false)) return;
  trace_link(from, to, LinkChange::heal);
  release_withheld(from, to);
}

// What was read beyond a cut way back is acknowledged at last.
void SimNetwork::release_withheld(uint32_t from, uint32_t to) {
  for (auto& owned : connections_) {
    Conn& conn = *owned;
    if (conn.state == Conn::State::free) continue;
    for (int side = 0; side < 2; ++side) {
      End& end = conn.ends[side];
      if (end.host == from && conn.ends[1 - side].host == to && end.withheld > 0)
        release_window(conn, side, std::exchange(end.withheld, 0));
    }
  }
}

// A stall or a hold is over, with nothing else to say so: what it held back arrives.
void SimNetwork::resume(uint32_t from, uint32_t to) {
  for (auto& owned : connections_) {
    Conn& conn = *owned;
    if (conn.state == Conn::State::free) continue;
    for (int side = 0; side < 2; ++side) {
      End& end = conn.ends[side];
      End& peer = conn.ends[1 - side];
      bool held = end.host == to && peer.host == from && !end.waiting && !end.flying.empty();
      if (!held || end.flying.front().arrive > queue_.now()) continue;
      Time again = draw_arrival(links_[from][to], 0);
      for (size_t i = 0; i < end.flying.size(); ++i) end.flying[i].arrive = std::max(end.flying[i].arrive, again);
      end.last_arrival = std::max(end.last_arrival, again);
      schedule(again, What::arrive, conn, side);
    }
  }
}

void SimNetwork::heal_all() {
  for (uint32_t from = 0; from < hosts_.size(); ++from) {
    for (uint32_t to = 0; to < hosts_.size(); ++to) {
      Link& link = links_[from][to];
      link.options = options_.link;
      link.busy_until = queue_.now();
      bool waiting = link.stalled_until > queue_.now() || !link.held.empty();
      link.stalled_until = Time{};
      link.held.clear();
      heal(from, to);
      if (waiting) resume(from, to);
    }
  }
}

void SimNetwork::stall(uint32_t from, uint32_t to, Time until) {
  links_[from][to].stalled_until = std::max(links_[from][to].stalled_until, until);
  trace_link(from, to, LinkChange::stall, static_cast<uint64_t>(until.ns));
}

bool SimNetwork::is_hampered(uint32_t from, uint32_t to) const {
  const Link& link = links_[from][to];
  return link.cut || link.stalled_until > queue_.now() || !link.held.empty() || link.options != options_.link;
}

void SimNetwork::hold(uint32_t from, uint32_t to, std::vector<std::string> kinds) {
  std::vector<std::string> before = std::exchange(links_[from][to].held, std::move(kinds));
  const std::vector<std::string>& now = links_[from][to].held;
  trace_link(from, to, LinkChange::hold, now.size());
  if (std::ranges::any_of(before, [&](const std::string& kind) { return std::ranges::find(now, kind) == now.end(); })) resume(from, to);
}

void SimNetwork::set_link(uint32_t from, uint32_t to, const LinkOptions& options) {
  ENSURE(options.latency_min.count() >= 0 && options.latency_min <= options.latency_max);
  links_[from][to].options = options;
  trace_link(from, to, LinkChange::options, static_cast<uint64_t>(options.latency_max.count()));
}

size_t SimNetwork::accepted(uint32_t host, uint16_t port) const {
  return static_cast<size_t>(std::ranges::count_if(
      connections_, [&](const auto& c) { return c && c->info.acceptor_node == host && c->info.acceptor.port == port && c->ends[1].open; }));
}

void SimNetwork::reset_connections(uint32_t a, uint32_t b) {
  trace_link(a, b, LinkChange::reset);
  for (auto& owned : connections_) {
    Conn& conn = *owned;
    if (conn.state == Conn::State::free) continue;
    bool between = (conn.ends[0].host == a && conn.ends[1].host == b) || (conn.ends[0].host == b && conn.ends[1].host == a);
    if (!between || !conn.ends[0].open || !conn.ends[1].open) continue;
    for (End& end : conn.ends) {
      for (size_t i = 0; i < end.flying.size(); ++i) end.used -= end.flying[i].bytes.size();
      drop_flying(end);
      end.reset = true;
      wake(end.reader);
      wake(end.writer);
    }
  }
}

// --- buffers -------------------------------------------------------------------------------------------------------------------

ByteVec SimNetwork::take_buffer() {
  if (buffers_.empty()) return {};
  ByteVec buffer = std::move(buffers_.back());
  buffers_.pop_back();
  return buffer;
}

void SimNetwork::give_buffer(ByteVec&& buffer) {
  constexpr size_t kKept = 64;
  constexpr size_t kLargest = 64 * 1024;
  if (buffer.capacity() == 0 || buffer.capacity() > kLargest || buffers_.size() >= kKept) return;
  buffer.clear();
  buffers_.push_back(std::move(buffer));
}

void SimNetwork::recycle(Fifo<Chunk>& chunks) {
  while (!chunks.empty()) give_buffer(std::move(chunks.pop().bytes));
}

}  // namespace sg::sim
