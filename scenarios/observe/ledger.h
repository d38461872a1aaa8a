// The durability ledger of one machine (correctness.md part 1, 2): what its journal has been told to write, what of it the disk would keep
// if the power went now, and after a death what recovery made of it. Derived from the bytes that the simulated disk receives; the
// product is not asked.
//
// Invariant: log(stream) holds exactly what is durable, commit by commit, in order of sequence; what is written and not durable waits
// in `pending_`. Checks here: E21 (nothing promised is lost or overwritten), E22 (nothing stale comes back), E2 (term and vote never go
// back), E23 (after a failed write or sync nothing is promised until the next process has recovered), E24 (what recovery accepted is
// durable before it counts: it stays pending until then). Format: broker/wal/format.h.
#pragma once

#include <algorithm>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "broker/wal/format.h"
#include "scenarios/judge.h"
#include "scenarios/observe/durable_log.h"
#include "scenarios/world/machine.h"
#include "sim/life.h"

namespace sg::scenario {

// What the ledger asks of the node's disk.
class DiskView {
 public:
  virtual ~DiskView() = default;
  // Would a power cut now leave exactly the current bytes of this range under this path?
  virtual bool survives(std::string_view path, uint64_t offset, uint64_t length) const = 0;
  // The current bytes; fewer at the end of the file, none without the file.
  virtual ByteVec contents(std::string_view path, uint64_t offset, uint64_t length) const = 0;
};

// What others want to know of a node's journal, as it is written.
class LedgerEvents {
 public:
  virtual ~LedgerEvents() = default;
  // The disk has received an entry, in a commit that carries this term and vote. Nothing is promised yet.
  virtual void on_append(NodeId, StreamId, const LogEntry&, [[maybe_unused]] ByteSpan aux, [[maybe_unused]] ByteSpan payload,
                         const wal::HardState&) {}
  // The disk has received a truncation to `new_end`, of a log that reached to `old_end`; Raft's may be dropped whole, to 0.
  virtual void on_truncate(NodeId, StreamId, [[maybe_unused]] int64_t new_end, [[maybe_unused]] int64_t old_end, const wal::HardState&) {}
  // More of a stream is durable.
  virtual void on_durable(NodeId, StreamId) {}
  // A leader has sent the node a snapshot that ends before `position`.
  virtual bool installed(NodeId, [[maybe_unused]] int64_t position) { return false; }
  // A log begins at `position` and its past is not known here (a Raft snapshot was installed): the chain of the committed log there.
  virtual uint64_t committed_chain(StreamId, [[maybe_unused]] int64_t position) { return kEmptyChain; }
};

class Ledger {
 public:
  // The references outlive the ledger.
  Ledger(MachineId machine, const DiskView& disk, Judge& judge, LedgerEvents& events)
      : node_(machine), disk_(&disk), judge_(&judge), events_(&events) {}

  // --- what the disk sees; `op` ties a write to its end ---
  void write(uint64_t op, std::string_view path, uint64_t offset, ByteSpan bytes);
  void written(uint64_t op, bool ok, bool synced = true);
  // That write is of a commit or of a segment's header, not of the zeros of a file ahead of its use.
  bool is_promise(uint64_t op) const { return std::ranges::find(pending_, op, &Pending::op) != pending_.end(); }
  // Something was synced: a file or a directory.
  void synced() { drain(); }
  // A write or a sync has failed; which one, for a person.
  void failed(std::string what);
  // A fault has changed a stored bit. The product has to find out and to report it, but where it hit a commit that nothing vouches for.
  void flipped(std::string_view path, uint64_t offset);
  // A fault has made a sector unreadable: likewise, and a header block has no second copy elsewhere.
  void spoiled(std::string_view path, uint64_t offset);
  // A fault has removed a file. If anything in it was promised, the product has to find out and to report it.
  void file_lost(std::string_view path);
  // It has found damage in what it had promised and goes on as another voter: Raft's log, and what it said when its cluster was formed, may
  // end before what its former self had.
  void outlived() { may_be_short_ = {wal::kRaftLog, wal::kRaftFormation}; }
  // The process that has opened the directory counts its runs up to this one.
  void runs_as(Incarnation run) { run_ = run; }
  void died(sim::Death death);
  // People have changed the disk while nothing ran on it: it holds now what `copy` tells of (a copy of this ledger, or of another
  // machine's, at the time when the disk was copied); or its own again after a time on another one. Either way what it held meanwhile
  // is gone: damage that the simulator did.
  void becomes(const Ledger& copy);
  void is_back(const Ledger& own);
  // A promise leaves the node.
  void check_promise(std::string_view what);

  // --- what is durable ---
  MachineId node() const { return node_; }
  // As the newest segment header that was received names it; none without one.
  const Uuid& directory() const { return directory_; }
  // Of the segment with that header.
  uint64_t generation() const { return generation_; }
  const DurableLog* log(StreamId stream) const;          // null: nothing is there
  const DurableLog* written_log(StreamId stream) const;  // what the disk has received, durable or not
  int64_t durable_end(StreamId stream) const;            // 0 without a log
  std::optional<uint64_t> chain_at(StreamId stream, int64_t position) const;
  const wal::HardState& hard_state() const { return hard_state_; }
  // The last index that a durable Raft snapshot covers; 0 = none.
  int64_t snapshot_index() const;
  // The simulator took something durable from this node; nobody holds the node to it until it registers again.
  bool damaged() const { return damaged_ || exempt_; }
  // Likewise, for this stream: what begins after the loss is whole.
  bool damaged(StreamId stream) const { return damaged_ || (exempt_ && !begun_since_.contains(stream)); }
  // Some bit of its journal was flipped.
  bool rotten() const { return rotten_; }
  // A registration of this run is committed: what it says of its journal. Not `clean`: damage that counts for every stream. That of a run
  // which has ended says nothing of the disk that it has left.
  void registered(Incarnation run, bool clean = true, std::span<const StreamId> damaged = {});

 private:
  void takes(const Ledger& other);
  // A write to the journal that is not known to be durable yet: a commit, or (without records) a segment's header block.
  struct Pending {
    uint64_t op = 0;
    bool landed = false;
    bool is_commit = false;
    std::string path;
    uint64_t offset = 0;
    uint64_t length = 0;
    wal::CommitHeader header;       // of a commit
    wal::SegmentHeader segment;     // of a header block
    std::vector<LogEntry> appends;  // of the commit's append records, in order
    wal::HardState hard_state() const { return is_commit ? header.hard_state : segment.hard_state; }
  };
  struct Place {
    uint64_t sequence = 0;
    std::string path;
    uint64_t offset = 0;
    uint64_t length = 0;
    uint64_t generation = 0;
    bool hit = false;  // by a flipped bit, or gone with its file
  };
  static constexpr size_t kKeptPlaces = 64;
  struct FileUse {
    uint64_t generation = 0;
    uint64_t end = 0;  // bytes below it are durable and named by the log
    uint64_t commits = 0;
    uint64_t header_bytes = 0;
    bool header_unreadable = false;
  };

  void receive_segment(Pending pending);
  void receive_commit(Pending pending, ByteSpan bytes);
  void recovered_to(const wal::SegmentHeader& header);
  void recovered_short(const wal::ChainEnd& found, const std::string& who);
  void forget_places_behind(uint64_t sequence);
  bool on_disk(const Pending& pending) const;
  void check_hard_state(const wal::HardState& before, const wal::HardState& after, std::string_view where);
  void check_rewrite(std::string_view path, uint64_t offset, size_t length);
  LogEntry check_append(const Pending& pending, const wal::Record& record, ByteSpan payload);
  wal::HardState head_hard_state() const { return pending_.empty() ? hard_state_ : pending_.back().hard_state(); }
  uint64_t head_sequence() const;
  void drain();
  void apply(const Pending& pending);
  void fold(std::map<StreamId, DurableLog>& logs, const wal::Record& record, const LogEntry* entry);
  // The written log begins anew from what is durable and what recovery accepted.
  void rewind();
  void check_floor(uint64_t floor);

  MachineId node_;
  const DiskView* disk_;
  Judge* judge_;
  LedgerEvents* events_;
  Uuid directory_;
  std::map<StreamId, DurableLog> logs_;     // durable
  std::map<StreamId, DurableLog> written_;  // and what is pending
  wal::HardState hard_state_;
  std::deque<Pending> pending_;
  std::map<std::string, FileUse, std::less<>> files_;
  uint64_t sequence_ = 0;  // of the last durable commit
  uint32_t crc_ = 0;
  uint64_t generation_ = 0;  // of the last header block that was received
  uint64_t floor_ = 0;       // durable
  bool orderly_ = false;     // the last durable commit says that its process ended in an orderly way
  bool must_open_ = false;   // a process died: the next commit belongs into a new segment
  bool damaged_ = false;
  Incarnation run_{0};        // of the process that has opened it last
  Incarnation ended_{0};      // of the last one that is dead
  std::string failure_;       // the first of this process
  std::deque<Place> places_;  // of the last durable commits
  std::set<StreamId> may_be_short_;
  bool rotten_ = false;  // some bit of its journal was flipped
  bool exempt_ = false;  // it lost, unreported, what it could not know to be lost: for good
  std::set<StreamId> begun_since_;
  std::string unreported_;   // what is lost and was damaged: the next registration has to say so
  std::set<StreamId> hurt_;  // partitions with entries in a file that is gone: of these as well, be they ever so little known otherwise
};

}  // namespace sg::scenario
