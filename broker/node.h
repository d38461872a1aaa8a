// One Stormglass node: the broker without its process. Built from a configuration and an environment, it runs the same in production
// and in the simulator.
//
// Life: open the journal and recover; open the listeners; run Raft, membership, partitions, replication and clients until asked to stop
// or until the disk can no longer be trusted; hand leadership over, flush, close.
#pragma once

#include <functional>
#include <optional>
#include <set>

#include "broker/cluster/formation_host.h"
#include "broker/config.h"
#include "broker/controller_host.h"
#include "broker/kafka_server.h"
#include "broker/membership.h"
#include "broker/metadata_machine.h"
#include "broker/partitions.h"
#include "broker/peer/bearers.h"
#include "broker/peer/control_link.h"
#include "broker/peer/peer_server.h"
#include "broker/peer/replication.h"
#include "broker/producer_ids.h"
#include "broker/raft_driver.h"
#include "broker/wal/journal.h"

namespace sg::broker {

// platform.md: exit codes.
inline constexpr int kExitOk = 0;
inline constexpr int kExitRefused = 2;
inline constexpr int kExitDisk = 3;

// What a node keeps for others. With no client there and nothing under way all of it is 0.
struct Held {
  size_t connections = 0;       // of clients
  size_t request_bytes = 0;     // not answered
  size_t unfinished_bytes = 0;  // of large requests that are still arriving
  size_t answer_bytes = 0;      // that their clients have not taken, or that are being put together
  size_t produces = 0;          // parts of produce requests that wait for a log
  size_t fetches = 0;           // partitions of fetch requests that wait for news
  size_t proposals = 0;         // to the controller: requests that wait, and entries that are not applied
};

struct NodeCallbacks {
  // The listeners are open; with the ports that were really taken.
  std::function<void(const net::Address& kafka, const net::Address& peer)> ready;
  // One line that says why the node will not start or go on.
  std::function<void(const std::string& line)> failed;
};

class Node final : wal::JournalListener, peer::LinkEvents, peer::PeerEvents, CatalogueEvents, ControllerSink, StandingEvents {
 public:
  // `config` was validated. The references outlive the node.
  Node(Env env, Config config, NodeCallbacks callbacks);
  ~Node() override;

  // Runs until request_stop(), a failure, or a stop of the task (then it does not flush). Returns the exit code.
  int run(Task& task);

  // Asks for an orderly stop: leadership is handed over, the journal flushed.
  void request_stop();

  // For observers in tests and scenarios; null until the node has recovered.
  const metadata::Catalogue* catalogue() const { return machine_ ? &machine_->catalogue() : nullptr; }
  bool is_controller() const { return controller_ && controller_->active(); }
  Held held() const;

 private:
  int run_opened(Task& task, wal::OpenResult opened);
  void hand_over(Task& task);
  Result<> learn_cluster(Task& task);
  Result<raft::Recovered> recover_raft(Task& task, const wal::OpenResult& opened);
  Result<> judge_list(const raft::Recovered& found) const;
  void update_links();
  void tell_voters();

  void on_durable(std::span<const wal::StreamEnd> ends, wal::Tickets durable) override;
  void on_damaged(std::span<const StreamId> streams, const Error& what) override;
  void on_failed(const Error& error) override;
  Result<> on_link_up(NodeId node, Run run, VoterId voter, const net::Address& address) override;
  void on_refused_by(NodeId node, Run run, VoterId voter, const net::Address& address) override;
  void on_nobody_at(NodeId node, const net::Address& address) override;
  void on_link_down(NodeId node, Run run) override;
  void on_suspicion(NodeId node, Run run) override;
  void on_probe_refused(NodeId node) override;
  Result<> admit(const peer::Hello& hello) override;
  void on_hello(NodeId from, Run run) override;
  void on_hello_over(NodeId from, Run run) override;
  void borne_by(NodeId node, Run run);
  Result<> on_control_frame(NodeId from, Run run, const peer::Frame& frame) override;
  Result<> serve_replication(Task& task, peer::LiveConnection& connection, FrameReader& reader, const peer::Hello& hello) override;
  void on_entry_applied(LogIndex index, Term term, const Result<metadata::Applied>& outcome) override;
  void on_catalogue_restored() override;
  void on_catalogue_changed(const std::set<StreamId>& partitions, const std::set<NodeId>& brokers) override;
  void on_raft_change(const raft::StateChange& change) override;
  void on_configuration() override;
  void on_distrusted() override;
  void propose_isr(const replica::IsrProposal& proposal) override;
  void report_damage(StreamId stream) override;
  void on_standing(replica::Standing standing) override;

  Env env_;
  Config config_;
  NodeCallbacks callbacks_;
  Log log_;
  peer::Identity identity_;
  bool stop_requested_ = false;
  TaskGroup* link_tasks_ = nullptr;  // while links may be added
  bool refresh_all_ = true;          // the next change concerns all partitions
  std::optional<Error> disk_failure_;
  Signal wake_;  // stop requested, or failed

  // In order of construction; a later one may use an earlier one.
  std::unique_ptr<wal::Journal> journal_;
  std::optional<MetadataMachine> machine_;
  std::optional<peer::Bearers> bearers_;
  std::optional<peer::Pulses> pulses_;
  std::optional<peer::ControlLinks> links_;
  std::optional<RaftDriver> raft_;
  std::optional<FormationHost> formation_;
  std::optional<ControllerHost> controller_;
  std::optional<Membership> membership_;
  std::optional<peer::Replication> replication_;
  std::optional<Partitions> partitions_;
  std::optional<ProducerIds> producer_ids_;
  std::optional<peer::PeerServer> peer_server_;
  std::optional<KafkaServer> kafka_server_;
};

}  // namespace sg::broker
