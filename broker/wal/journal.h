// The journal: one log per node that carries everything that must be durable before it is answered (Raft entries, term and vote, and
// every partition's batches), so that one stream of syncs serves thousands of partitions. Architecture, section 4.
//
// Invariant: what was reported durable is found again by the next open(), or the loss is reported; a commit is one contiguous write,
// one is in flight at a time, and it vouches for all before it. Format and recovery table: docs/formats/journal.md.
//
// Life: open() takes the locks and recovers; start() spawns the commit task and the segment preparer; close() flushes and writes the
// orderly-stop commit. Requests never suspend; durability comes back through the JournalListener.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/log.h"
#include "base/rng.h"
#include "base/sync.h"
#include "broker/wal/commit_queue.h"
#include "broker/wal/file_lock.h"
#include "broker/wal/recovery.h"
#include "broker/wal/segments.h"
#include "broker/wal/stream_log.h"
#include "broker/wal/tail_cache.h"
#include "broker/wal/types.h"
#include "disk/disk.h"

namespace sg::wal {

struct Options {
  NodeId node_id{1};
  Uuid cluster_id;         // zero: not known (yet); otherwise it must match what the directory says
  bool copy_check = true;  // refuses a directory that is a copy of the one that its identity was written in
  std::string named;       // the data directory, for messages
  std::string directory = "journal";
  uint64_t segment_bytes = 64ull << 20;       // of a segment's file; one commit always fits, however small this is
  uint64_t first_segment_bytes = 4ull << 20;  // small, so that start-up does not wait for its zeros
  uint64_t tail_cache_bytes = 64ull << 20;
  uint64_t budget_bytes = 4096ull << 20;  // of all segments together
  uint64_t reserve_bytes = 0;             // of the budget, kept from partitions for metadata; 0: two segments
  uint64_t prepare_bytes_per_second = 256ull << 20;
  size_t block_bytes = kBlockBytes;
  size_t max_commit_bytes = 1 << 20;
  Duration idle_vouch = 10ms;
  Duration watch_every = 3s;       // between two looks at the names and sizes of the segment files
  Duration lock_wait = kLockWait;  // for the last write of a killed predecessor; another live process is refused at once
  bool direct = true;
};

enum class StartKind : uint8_t {
  fresh,      // an empty directory
  orderly,    // the last run ended with close()
  clean_end,  // a crash; nothing was being written
  torn_tail,  // a crash; the commit that was being written, which nobody was promised, was cut
  damaged,    // something promised is missing; see StreamState::damaged
};
std::string_view to_string(StartKind kind);

class Journal;

struct OpenResult {
  std::unique_ptr<Journal> journal;
  Run run;  // this one; durable
  VoterId voter;
  Uuid cluster_id;  // zero: not known yet
  HardState hard_state;
  StartKind start = StartKind::fresh;
  std::vector<StreamState> streams;  // sorted by id
  // Something is missing, now or since an earlier run, and nobody knows what it was: no stream of this node counts as whole to others,
  // whether `streams` names it or not.
  bool unattributed_damage = false;
};

class Journal {
 public:
  // Errc::busy: another process holds the directory. Errc::invalid: the directory belongs to another node or cluster, is a copy, or its
  // identity is older than its segments. Errc::corrupt: its identity is unreadable. Errc::io.  `rng` draws ids and the run's nonce. The
  // references outlive the journal.
  static Result<OpenResult> open(Task& task, disk::Disk& disk, Options options, Rng rng, Log log);
  ~Journal();
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;

  VoterId voter() const { return identity().voter_id; }  // as it was drawn last
  // Damage that counts for this stream, by its places: of its own, and, while it is suspect, what nobody could attribute.
  std::vector<Damage> damage_of(StreamId stream) const;
  // Before start(), and before anything of Raft's streams is cut: the voter that goes on where this damage was found. Drawn anew, and
  // durable together with the damage that it answers for; not drawn again for that damage, now or after a restart, nor twice in one run,
  // of which nobody has heard yet.
  Result<VoterId> draw_voter_id(Task& task, const Damage& damage);
  // Before start(): makes durable what was asked for so far.
  Result<> settle(Task& task);
  // Spawns the tasks into `group`, which the caller stops and joins. The listener outlives the group's tasks.
  void start(TaskGroup& group, JournalListener& listener);
  // Writes what is queued, then the orderly-stop commit. The commit task has ended when this returns.
  Result<> close(Task& task);
  // Remembers the cluster that this directory belongs to. Durable when it returns.  Errc::invalid: it belongs to another one.
  Result<> set_cluster_id(Task& task, const Uuid& cluster_id);

  // Requests. Each returns its ticket; a request after close() or failed() is dropped (its ticket never becomes durable).
  // append: `first` is the stream's end (kRaftSnapshots: at or after it), `epoch` not below the last one.
  uint64_t append(Append append);
  // Removes whole entries until the end is at most `new_end`; boundary_below() tells where that will be.
  uint64_t truncate(StreamId stream, int64_t new_end, int64_t epoch);
  // Entries wholly below `new_start` are dead. Beyond the end: the stream is empty and goes on at `new_start`.
  uint64_t advance_start(StreamId stream, int64_t new_start);
  uint64_t set_hard_state(HardState state);
  // The stream is gone with all its entries. The id of a partition is never used again; Raft's streams begin anew once that is durable.
  uint64_t drop(StreamId stream);
  // What counted as damage of the stream until now is mended, or its loss accepted; after a restart it does not count either.
  uint64_t heal(StreamId stream);
  // Notes a high watermark. Rides along in later commits, starts none; after a restart it is a lower bound.
  void set_mark(StreamId stream, int64_t position);

  // Reads. Entries from the one that holds `position`, up to max_bytes of payload (but one in any case when `at_least_one`), from
  // memory where possible, also those that are queued or in flight. Empty at the end.
  // Errc::not_found: below the start, above the end, or gone meanwhile. Errc::corrupt: a hole, or damage that this read has found
  // (damaged() says so from now on). Errc::io.
  Result<std::vector<ReadBatch>> read(Task& task, StreamId stream, int64_t position, size_t max_bytes, bool at_least_one);
  // The part of the answer that is in memory; nothing if the entry at `position` is not.
  std::optional<std::vector<ReadBatch>> read_cached(StreamId stream, int64_t position, size_t max_bytes, bool at_least_one) const;

  // Descriptors, without reading payloads. Valid until the next request.
  EntryRange entries(StreamId stream, int64_t from) const;
  int64_t start_of(StreamId stream) const;
  int64_t end_of(StreamId stream) const;          // includes what is queued
  int64_t durable_end_of(StreamId stream) const;  // as last reported
  int64_t boundary_below(StreamId stream, int64_t position) const;
  const std::vector<EpochStart>& epoch_starts(StreamId stream) const;
  bool damaged(StreamId stream) const;

  // Pressure. full(): appends of partitions are to be refused (Errc::no_space) until segments are recycled; metadata, truncations and
  // deletions go on within the reserve.
  size_t queued_bytes() const { return queue_.bytes(); }
  bool full() const;
  bool failed() const { return failure_.has_value(); }
  Tickets durable() const { return durable_; }
  // The streams whose live entries keep the oldest segment from being recycled, sorted. kRaftLog among them: take a snapshot.
  std::vector<StreamId> oldest_live_streams() const;

  struct Stats {
    uint64_t commits = 0;
    uint64_t commit_bytes = 0;
    uint64_t vouches = 0;
    uint64_t rolls = 0;
    uint64_t recycled = 0;
    uint64_t buffers_allocated = 0;
    uint64_t segments = 0;  // in use
    uint64_t segment_bytes = 0;
  };
  Stats stats() const;

 private:
  Journal(disk::Disk& disk, Options options, Rng rng, Log log);
  const Identity& identity() const { return identity_file_->now(); }
  struct Commit;  // the one under way

  // journal.cc: requests.
  Stream* find(StreamId stream);
  const Stream* find(StreamId stream) const;
  const Stream& get(StreamId stream) const;
  Stream& find_or_add(StreamId stream);
  uint64_t enqueue(Request request);
  void forget(const Entry& entry);

  // journal_open.cc
  Result<> take_lock(Task& task);
  Result<> identify(Task& task);
  Result<> make_identity(Task& task, const disk::FileInfo& lock);
  Result<> begin_run(Task& task, const Recovered& found);
  Result<Recovered> recover_files(Task& task);
  Result<> begin_segment(Task& task, uint64_t generation, uint64_t capacity);

  // journal_commit.cc: the commit task.
  void run_commits(Task& task);
  Result<> commit_once(Task& task, uint16_t flags);
  bool must_roll() const;
  Result<> roll(Task& task);
  Result<> write_first(Task& task, Segment& segment, ByteSpan commit);
  Commit compose(uint16_t flags, Tickets upto);
  uint64_t raise_floor(Tickets upto);
  void add_bases(Commit& commit);
  void add_requests(Commit& commit);
  void add_marks(Commit& commit);
  void fill(Commit& commit);
  void touch(Commit& commit, Stream& stream);
  void complete(Commit& commit);
  void evict();
  void fail_with(Error error);

  // journal_prepare.cc: the segment preparer.
  void run_preparer(Task& task);
  Result<> prepare_segment(Task& task);
  Result<> zero_fill(Task& task, Segment& segment, uint64_t bytes, bool paced);
  Result<> write_indexes(Task& task);
  Result<> remove_surplus(Task& task);

  // journal_watch.cc: the look at the files, and what a running journal learns of damage.
  void run_watch(Task& task);
  Result<> look(Task& task);
  Result<> lose_file(Task& task, Segment& segment, std::string_view why);

  // journal_read.cc
  Result<std::vector<ReadBatch>> read_from_disk(Task& task, StreamId stream, std::vector<Entry> wanted);
  bool still_there(StreamId stream, const Entry& entry) const;

  disk::Disk& disk_;
  Options options_;
  Log log_;
  Rng rng_;
  std::unique_ptr<disk::File> lock_;
  Time lock_deadline_{};  // until when the last writes of a killed predecessor are waited for
  std::unique_ptr<IdentityFile> identity_file_;
  Run run_;
  JournalListener* listener_ = nullptr;

  std::map<StreamId, Stream> streams_;
  CommitQueue queue_;
  TailCache cache_;
  Segments segments_;
  HardState composed_hard_state_;
  ChainEnd chain_;      // after the last durable commit
  uint64_t floor_ = 1;  // as of the last durable commit
  Tickets durable_;
  uint64_t used_bytes_ = 0;  // of segments in use
  std::vector<StreamId> dirty_marks_;

  // Scratch of the commit under way, reused.
  std::vector<Request> taken_;
  ByteVec header_;
  std::vector<StreamEnd> ends_;

  std::optional<Error> failure_;
  Signal work_;      // something was queued, or close() was called
  Signal rolled_;    // wakes the preparer
  Signal prepared_;  // wakes a roll that waits for the preparer
  Signal ended_signal_;
  bool started_ = false;
  bool closing_ = false;
  bool ended_ = true;       // no commit task runs
  bool unvouched_ = false;  // the last commit carries something and none has followed
  bool preparing_ = false;
  bool roll_waits_ = false;
  bool disk_full_ = false;
  Stats stats_;
};

}  // namespace sg::wal
