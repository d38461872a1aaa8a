// The simulated network: hosts with names, links between them, and TCP connections over the links.
//
// What it keeps: bytes of one direction of a connection arrive in order and at most once, whatever the links do. Loss shows as a stall
// or as a reset. A full window holds the writer back. A killed host's accepted bytes still arrive, then a reset; connects to it are
// refused. A host without power is silent, its bytes in flight are gone, and when it is back it answers old connections with a reset.
// Spec: correctness.md part 1, 4; architecture §2.
//
// What meets a cut link or a host without power is lost, and sent again as TCP does it (RFC 6298): at intervals that double up to
// retransmit_max, each direction of a connection on its own. Nobody tells a sender that a link was healed: the bytes, and all that
// were written behind them, arrive with the next retransmission, after as long again as the link was cut. A reset is sent once: where
// it is lost the other end stays half-open, and learns of it only when it sends something. Not modelled: acknowledgements of their
// own. A direction whose way back alone is cut goes on to deliver until its window is full.
//
// A link may hold back messages of some kinds. A connection's direction over it stops at the first of them: that message and all behind it
// wait, and arrive in order once none of its kind is held; other connections pass. What waits is accepted: whoever sent it may end, and the
// end or the reset comes behind it; with the sender's power it is gone.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/rng.h"
#include "net/network.h"
#include "sim/event_queue.h"
#include "sim/fifo.h"
#include "sim/life.h"
#include "sim/trace.h"

namespace sg::sim {

struct LinkOptions {
  Duration latency_min = 50us;
  Duration latency_max = 500us;
  uint32_t tail_per_million = 0;  // chance of a chunk to take up to latency_tail instead
  Duration latency_tail = 100ms;
  uint64_t bytes_per_us = 0;  // 0 = unlimited
  bool operator==(const LinkOptions&) const = default;
};

struct NetworkOptions {
  LinkOptions link{};
  size_t window_bytes = 256 * 1024;   // sent and not yet read by the peer, per direction
  Duration connect_retry = 1s;        // TCP's initial retransmission timeout for an unanswered connect; doubles too
  Duration retransmit_first = 200ms;  // after a loss; Linux takes no less
  Duration retransmit_max = 60s;
  bool has_patience = true;  // whether the kernels have a clock for net::Connection::give_up_after
  // A kernel closes what a killed process had open in its own order and time: a listener may outlive the connections by as much, and what
  // it takes meanwhile is reset. Drawn per listener, half of them close at once.
  Duration listener_linger_max = 4ms;
};

struct ConnectionInfo {
  uint64_t id = 0;  // never reused within a run; from 1
  net::Address dialer;
  net::Address acceptor;
  uint32_t dialer_node = 0;
  uint32_t acceptor_node = 0;
};

// Sees connections from outside. Called from within the event; must not call back into the network.
class NetworkTap {
 public:
  virtual ~NetworkTap() = default;
  // The acceptor's host took the connection.
  virtual void on_open(const ConnectionInfo&) {}
  // Bytes leave a node: the network has accepted them. Borrowed.
  virtual void on_send(const ConnectionInfo&, [[maybe_unused]] bool from_dialer, ByteSpan) {}
  // The program at one side has read so many bytes more.
  virtual void on_read(const ConnectionInfo&, [[maybe_unused]] bool by_dialer, [[maybe_unused]] size_t bytes) {}
  // One side has ended its end; `reset` if not in an orderly way.
  virtual void on_end(const ConnectionInfo&, [[maybe_unused]] bool from_dialer, [[maybe_unused]] bool reset) {}
};

// Finds the messages in what programs send each other: the harness knows their protocols, the network the words for their kinds.
class MessageFinder {
 public:
  struct Message {
    uint64_t begin = 0;     // in bytes from the beginning of that direction
    std::string_view kind;  // outlives the network
  };
  virtual ~MessageFinder() = default;
  // Bytes leave one end of a connection, all in order. Appends, in order, the messages of which these bytes complete what tells the kind.
  virtual void on_send(const ConnectionInfo&, bool from_dialer, ByteSpan, std::vector<Message>& found) = 0;
  // Nothing more leaves either end.
  virtual void on_over(const ConnectionInfo&) {}
};

enum class LinkChange : uint8_t { cut, heal, stall, options, reset, hold };

class SimConnection;
class SimListener;

class SimNetwork final : private EventHandler {
 public:
  SimNetwork(EventQueue& queue, Trace& trace, Rng rng, NetworkOptions options);
  ~SimNetwork();
  SimNetwork(const SimNetwork&) = delete;
  SimNetwork& operator=(const SimNetwork&) = delete;

  // Hosts are numbered from 0 in the order in which they are added. A new host is up, with nobody listening.
  uint32_t add_host(std::string name);
  // The host has another name from now on, which no other has; its former one leads to it too (`follows`), or to nobody. Names are looked
  // up at each dial; connections stay.
  void rename_host(uint32_t host, std::string name, bool follows);
  // The name of one host leads to another one, which has no second name, until it is given back. Neither is renamed meanwhile.
  void lend_name(uint32_t from, uint32_t to);
  void give_name_back(uint32_t from, uint32_t to);
  bool has_lent_name(uint32_t from, uint32_t to) const { return hosts_[from].lent && hosts_[to].also == hosts_[from].name; }
  // What a program on that host sees of the network, for as long as `life` lives.
  std::unique_ptr<net::Network> endpoint(uint32_t host, Life& life);
  // Ends everything that the host's process held. Its Life has ended already.
  void end_process(uint32_t host, Death death);
  // The machine has power again (a process may follow). No effect if it had.
  void power_on(uint32_t host);

  // One way. Bytes on a cut link are lost, and sent again.
  void cut(uint32_t from, uint32_t to);
  void heal(uint32_t from, uint32_t to);
  void heal_all();  // also ends stalls and holds, and restores the link options of the start
  bool is_cut(uint32_t from, uint32_t to) const { return links_[from][to].cut; }
  // Nothing arrives until the given time; then all of it, in order. Of several ends the last one counts.
  void stall(uint32_t from, uint32_t to, Time until);
  // It does anything else than it was made to do.
  bool is_hampered(uint32_t from, uint32_t to) const;
  Time stalled_until(uint32_t from, uint32_t to) const { return links_[from][to].stalled_until; }
  void set_link(uint32_t from, uint32_t to, const LinkOptions& options);
  const LinkOptions& link(uint32_t from, uint32_t to) const { return links_[from][to].options; }
  // Messages of these kinds wait, and no others. They are found only from the beginning of a connection: the finder comes first.
  void hold(uint32_t from, uint32_t to, std::vector<std::string> kinds);
  const std::vector<std::string>& held(uint32_t from, uint32_t to) const { return links_[from][to].held; }
  bool powered(uint32_t host) const { return hosts_[host].powered; }
  // Breaks every connection between the two hosts: both ends see a reset.
  void reset_connections(uint32_t a, uint32_t b);

  const NetworkOptions& options() const { return options_; }

  // Borrowed; outlives the network's use.
  void add_tap(NetworkTap* tap) { taps_.push_back(tap); }
  // Borrowed likewise. Without one nothing is held.
  void set_finder(MessageFinder* finder) { finder_ = finder; }

  // Connections that the host has accepted at that port, and not ended yet.
  size_t accepted(uint32_t host, uint16_t port) const;
  // Connections of which at least one end is open.
  size_t open_connections() const { return connections_.size() - free_.size(); }

 private:
  friend class SimConnection;
  friend class SimListener;
  friend class HostNetwork;

  struct Chunk {
    enum Kind : uint8_t { data, end, reset } kind = data;
    Time arrive;
    ByteVec bytes;
    size_t taken = 0;
  };
  // One side of a connection, and what flies towards it.
  struct End {
    uint32_t host = 0;
    SimConnection* handle = nullptr;
    Task* reader = nullptr;
    Task* writer = nullptr;
    Fifo<Chunk> flying;
    Fifo<Chunk> received;
    uint64_t sent = 0;                      // bytes towards this end so far
    uint64_t arrived = 0;                   // of these
    Fifo<MessageFinder::Message> messages;  // of those that have not arrived; begins count from where they can still be stopped
    size_t used = 0;                        // of the window towards this end: bytes flying and received
    size_t withheld = 0;                    // read here, but the way back is cut, so the sender does not know
    Time last_arrival;
    Duration back_off{0};    // of the sender towards this end, since something was lost; 0: what was sent last has arrived
    Time unheard_since;      // when the first of that was lost
    bool waiting = false;    // for the next retransmission: nothing else is sent
    Duration patience{0};    // of this end with bytes that it sends; 0: endless (net::Connection::give_up_after)
    bool open = false;       // this side exists and has not ended
    bool vanished = false;   // lost its power while it was open
    bool ended = false;      // the peer's end of stream has arrived
    bool reset = false;      // a reset has arrived
    bool answered = false;   // this side has sent a reset: one is enough
    bool spoken_to = false;  // something has arrived here after this side had ended
    bool gave_up = false;    // this side's patience has ended: it says nothing any more
  };
  struct Conn {
    enum class State : uint8_t { free, connecting, established, refused } state = State::free;
    ConnectionInfo info;
    uint32_t slot = 0;
    Task* connector = nullptr;
    bool answer_refused = false;
    Duration dial_back_off{0};
    End ends[2];  // [0] = the dialer's
  };
  struct Link {
    LinkOptions options;
    Time stalled_until;
    Time busy_until;
    bool cut = false;
    std::vector<std::string> held{};
    Rng rng;
  };
  struct Host {
    std::string name;
    std::string also;   // another name that leads here; empty: none
    bool lent = false;  // its own name leads elsewhere
    bool powered = true;
    uint16_t next_port = 49152;
    std::map<uint16_t, SimListener*> listeners;
    std::map<uint16_t, Time> lingering;  // ports of a killed process that still take connections until then
  };
  enum class What : uint8_t { arrive, dial, answer, retransmit };

  void on_event(uint64_t argument) override;
  void schedule(Time time, What what, const Conn& conn, int side);
  std::vector<Host>::iterator find_host(std::string_view name);
  Link& link_to(const Conn& conn, int side) { return links_[conn.ends[1 - side].host][conn.ends[side].host]; }
  Time draw_arrival(Link& link, size_t bytes);

  Conn& new_connection();
  // A connection that `task` of that host waits for.  Errc::unavailable: no such host.
  Result<Conn*> dial(Task& task, uint32_t host, const net::Address& address);
  void free_if_over(Conn& conn);
  void on_dial(Conn& conn);
  void on_answer(Conn& conn);
  void dial_again(Conn& conn);
  void on_arrive(Conn& conn, int side);
  void find_messages(Conn& conn, int to_side, ByteSpan bytes);
  std::optional<Chunk> take_arrived(End& end, const Link& link);
  void drop_flying(End& end);
  void lose(Conn& conn, int side);
  void lose_reset(Conn& conn, int side);
  void on_retransmit(Conn& conn, int side);
  void send_again(Conn& conn, int side);
  void give_up(Conn& conn, int side);
  void fly(Conn& conn, int to_side, Chunk&& chunk);
  void send_mark(Conn& conn, int to_side, Chunk::Kind kind);
  void release_window(Conn& conn, int reading_side, size_t bytes);
  void end_side(Conn& conn, int side, bool reset);
  void release_withheld(uint32_t from, uint32_t to);
  void resume(uint32_t from, uint32_t to);
  void trace_link(uint32_t from, uint32_t to, LinkChange change, uint64_t value = 0);
  static void wake(Task* task) {
    if (task) task->wake();
  }
  ByteVec take_buffer();
  void give_buffer(ByteVec&& buffer);
  void recycle(Fifo<Chunk>& chunks);

  EventQueue& queue_;
  Trace& trace_;
  Rng rng_;
  NetworkOptions options_;
  std::vector<Host> hosts_;
  std::vector<std::vector<Link>> links_;  // [from][to]
  std::vector<std::unique_ptr<Conn>> connections_;
  std::vector<uint32_t> free_;
  std::vector<ByteVec> buffers_;
  std::vector<NetworkTap*> taps_;
  MessageFinder* finder_ = nullptr;
  std::vector<MessageFinder::Message> found_;
  uint64_t next_id_ = 0;
};

}  // namespace sg::sim
