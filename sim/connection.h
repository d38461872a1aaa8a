// What a program holds of the simulated network: its endpoint, listeners, connections. Thin handles; the state is in SimNetwork.
//
// Invariant: a handle of a dead node touches nothing but its own Life. Spec: net/network.h, sim/life.h.
#pragma once

#include "sim/network.h"

namespace sg::sim {

class SimConnection final : public net::Connection {
 public:
  SimConnection(SimNetwork& network, Life& life, SimNetwork::Conn& conn, int side);
  ~SimConnection() override { close(); }

  using net::Connection::write;
  Result<size_t> read(Task& task, MutableByteSpan into, Time deadline) override;
  Result<> write(Task& task, std::span<const ByteSpan> pieces, Time deadline) override;
  void close() override;
  void give_up_after(Duration patience) override;
  net::Address peer() const override { return peer_; }

 private:
  friend class SimNetwork;
  Result<size_t> accept_chunk(std::span<const ByteSpan> pieces, size_t skip, size_t length);

  SimNetwork& network_;
  Life& life_;
  SimNetwork::Conn* conn_;  // null: closed, or the node is dead
  int side_;
  net::Address peer_;
};

class SimListener final : public net::Listener {
 public:
  SimListener(SimNetwork& network, Life& life, uint32_t host, net::Address local);
  ~SimListener() override { close(); }

  Result<std::unique_ptr<net::Connection>> accept(Task& task) override;
  net::Address local() const override { return local_; }
  void close() override;

 private:
  friend class SimNetwork;
  SimNetwork& network_;
  Life& life_;
  uint32_t host_;
  net::Address local_;
  Fifo<SimNetwork::Conn*> backlog_;
  Task* accepter_ = nullptr;
  bool closed_ = false;
};

class HostNetwork final : public net::Network {
 public:
  HostNetwork(SimNetwork& network, uint32_t host, Life& life) : network_(network), life_(life), host_(host) {}
  Result<std::unique_ptr<net::Listener>> listen(const net::Address& address) override;
  Result<std::unique_ptr<net::Connection>> connect(Task& task, const net::Address& address, Time deadline) override;

 private:
  SimNetwork& network_;
  Life& life_;
  uint32_t host_;
};

}  // namespace sg::sim
