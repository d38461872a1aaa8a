// The simulated disk of one node: page cache, medium, names, locks, and operations that take time.
//
// What it keeps: only what was synced survives a power cut for certain; a kill loses nothing that a call has returned for, and a
// write in flight may land at any later time, during which the lock of its open file is held. A sync covers what was written before
// it began. The disk outlives the node's processes. People may copy it, put a copy in its place, and unmount it. Model of one file:
// sim/inode.h; of the names: sim/namespace.h. Spec: architecture §2; correctness.md part 1, 1.
#pragma once

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/rng.h"
#include "disk/disk.h"
#include "sim/event_queue.h"
#include "sim/life.h"
#include "sim/namespace.h"
#include "sim/page.h"
#include "sim/trace.h"

namespace sg::sim {

struct DiskLatency {
  Duration read_min = 5us, read_max = 80us;
  Duration write_min = 2us, write_max = 40us;
  Duration sync_min = 60us, sync_max = 400us;  // added to the write of a synced write
  uint32_t tail_per_million = 0;               // chance of an operation to take up to `tail` instead
  Duration tail = 50ms;
  uint64_t bytes_per_us = 1000;  // 0 = unlimited
  bool operator==(const DiskLatency&) const = default;
};

struct DiskOptions {
  DiskLatency latency;
  bool direct = true;  // grants Caching::direct
  size_t direct_alignment = 4096;
  uint64_t capacity_bytes = uint64_t{1} << 40;  // of all files' sizes together
  Duration kill_landing_max = 200ms;            // how late a write may land whose process was killed
};

// A file as observers see it. The path is the present one (the last one, if the file was removed).
struct FileRef {
  uint64_t id = 0;  // never reused on this disk
  std::string_view path;
};

// A copy of a whole disk, as its programs saw it at one moment: an operator's backup. Kept as long as anybody likes.
class DiskImage {
 public:
  DiskImage() = default;
  uint64_t id() const { return id_; }  // unique in the world; 0 = none was taken

 private:
  friend class SimDisk;
  uint64_t id_ = 0;
  Namespace::Names files_;
};

// What people do to a disk while nothing runs on it.
enum class DiskExchange : uint8_t {
  image,    // a copy was taken; this may also be while a program runs
  put,      // a copy took the place of what was there
  unmount,  // an empty file system is seen in its stead
  mount,    // the true one is back, and what was written meanwhile is gone
};

// Sees the disk from outside. Spans are borrowed. Must not change the disk; may ask survives().
class DiskObserver {
 public:
  virtual ~DiskObserver() = default;
  // The disk receives a write; nothing of it is promised yet. `op` ties it to its later events.
  virtual void on_write([[maybe_unused]] uint32_t node, [[maybe_unused]] uint64_t op, const FileRef&, [[maybe_unused]] uint64_t offset,
                        ByteSpan, disk::Durability) {}
  // The write is done (error: none of it can be relied on). After a synced one, survives() holds for its range.
  // As it was carried out: a synced write whose process was killed meanwhile may end buffered.
  virtual void on_written([[maybe_unused]] uint32_t node, [[maybe_unused]] uint64_t op, const FileRef&, [[maybe_unused]] uint64_t offset,
                          [[maybe_unused]] uint64_t length, disk::Durability, std::optional<Errc>) {}
  virtual void on_sync([[maybe_unused]] uint32_t node, const FileRef&, std::optional<Errc>) {}
  // A process is told that its write or its sync of a file has failed; of what a dead one left behind nobody is told.
  virtual void on_failure([[maybe_unused]] uint32_t node, [[maybe_unused]] uint64_t op, const FileRef&, Errc) {}
  // A fault has removed a file.
  virtual void on_lost([[maybe_unused]] uint32_t node, const FileRef&) {}
  // A fault has changed a stored bit.
  virtual void on_flip([[maybe_unused]] uint32_t node, const FileRef&, [[maybe_unused]] uint64_t offset) {}
  // A fault has made the sector at this offset unreadable. Who does not tell this from a flipped bit need not.
  virtual void on_spoil(uint32_t node, const FileRef& file, uint64_t offset) { on_flip(node, file, offset); }
  virtual void on_truncate([[maybe_unused]] uint32_t node, const FileRef&, [[maybe_unused]] uint64_t size) {}
  virtual void on_name([[maybe_unused]] uint32_t node, NameChange, std::string_view, std::string_view) {}
  virtual void on_sync_directory([[maybe_unused]] uint32_t node, std::string_view) {}
  // `image`: which copy was taken or put; 0 with the others.
  virtual void on_exchange([[maybe_unused]] uint32_t node, DiskExchange, [[maybe_unused]] uint64_t image) {}
  // The process has died (kill) or the power was cut or the disk wiped.
  virtual void on_death([[maybe_unused]] uint32_t node, Death) {}
};

class SimDisk final : private EventHandler {
 public:
  SimDisk(EventQueue& queue, Trace& trace, PagePool& pages, Rng rng, uint32_t node, DiskOptions options);
  ~SimDisk();
  SimDisk(const SimDisk&) = delete;
  SimDisk& operator=(const SimDisk&) = delete;

  // What a program sees of the disk, for as long as `life` lives.
  std::unique_ptr<disk::Disk> endpoint(Life& life);
  // Its Life has ended already: wakes every fiber that waits here, and decides what is left.
  void end_process(Death death);

  // --- what the harness asks ---
  bool exists(std::string_view path) const;
  std::vector<std::string> files() const;  // all paths of files, sorted
  // The current bytes. The file is there.
  ByteVec contents(std::string_view path) const;
  // Would a power cut now, whatever it keeps or loses, leave exactly these current bytes under this path?
  bool survives(std::string_view path, uint64_t offset, uint64_t length) const;
  // Bytes of all files' sizes.
  uint64_t used_bytes() const;
  size_t operations_in_flight() const { return live_ops_; }
  size_t open_files() const { return open_.size(); }
  // How many writes found no room for all of their bytes.
  uint64_t overflows() const { return overflows_; }
  // How many syncs, writes and reads have failed because of fail_syncs(), fail_writes() and spoil_sector().
  uint64_t failures() const { return failures_given_; }
  // How often people have exchanged what is stored on it, or it was wiped.
  uint64_t exchanges() const { return exchanges_; }
  // How many bits of it were flipped, how many sectors made unreadable, and how many files were lost.
  uint64_t flips() const { return flips_; }
  uint64_t spoils() const { return spoils_; }
  uint64_t losses() const { return losses_; }
  uint64_t damages() const { return flips_ + spoils_ + losses_; }
  // Of the files whose path begins with the prefix, the one that received the last write.
  std::optional<std::string> last_written(std::string_view prefix) const;

  // --- faults ---
  void set_latency(const DiskLatency& latency) {
    hindered_until_ = hindered_until();
    latency_ = latency;
  }
  const DiskLatency& latency() const { return latency_; }
  // For files whose path begins with the prefix, instead of the disk's.
  void set_file_latency(std::string prefix, const DiskLatency& latency);
  // Nothing completes before then. Of several ends the last one counts.
  void stall(Time until) { stalled_until_ = std::max(stalled_until_, until); }
  bool stalled() const { return stalled_until_ > queue_.now(); }
  // When it was last stalled or slower than it was made; now, if it is.
  Time hindered_until() const {
    if (stalled() || latency_ != options_.latency) return queue_.now();
    return std::max(hindered_until_, stalled_until_);
  }
  // The next `count` syncs or synced writes on files whose path begins with the prefix fail. What fails counts for all that are armed.
  void fail_syncs(std::string prefix, uint64_t count);
  // Likewise of writes that are not synced: of each a prefix of its sectors is kept, or nothing.
  void fail_writes(std::string prefix, uint64_t count);
  // What was to fail and has not yet will not.
  void disarm();
  // Where there is room for a part of a write only, its first sectors are written.
  void set_capacity(uint64_t bytes) { capacity_ = bytes; }
  uint64_t capacity() const { return capacity_; }
  // As it was made.
  const DiskOptions& options() const { return options_; }
  void flip_bit(std::string_view path, uint64_t offset, int bit);
  // Reads that touch the sector of that byte fail until it has been written again. A copy of the disk has none of these.
  void spoil_sector(std::string_view path, uint64_t offset);
  // It is gone for good. Whoever has it open does not notice.
  void lose_file(const std::string& path);
  // Back to the options of the start: latency, stall, capacity, no armed failure. What is damaged stays so, unreadable sectors too.
  void heal();

  // --- what people do: nothing is under way on the disk, as after a power cut, but for image() ---
  DiskImage image();
  // All that was there is gone; all of the copy is durable.
  void put(const DiskImage& image);
  void unmount();
  void mount();
  bool mounted() const { return !away_; }

  void add_observer(DiskObserver* observer) { observers_.push_back(observer); }

 private:
  friend class HostDisk;
  friend class SimFile;

  // An open file. Operations in flight keep it alive beyond the handle, and with it the lock.
  struct OpenFile {
    OpenFile() = default;
    OpenFile(const OpenFile&) = delete;
    OpenFile& operator=(const OpenFile&) = delete;
    ~OpenFile();
    InodeRef inode;
    std::string path;
    SimDisk* disk = nullptr;
    bool locked = false;
    bool direct = false;
    bool writable = false;
  };
  // Where a waiting fiber finds its result; on the fiber's stack.
  struct Op;
  struct Wait {
    Wait(Task& waiting, Op& op);
    Task* task;
    bool done = false;
    Result<size_t> result{0};
  };
  struct Op {
    enum class Kind : uint8_t { free, read, write, sync, sync_directory, other } kind = Kind::free;
    uint32_t slot = 0;
    uint64_t number = 0;  // as observers know it; grows
    uint64_t ticket = 0;  // of the one event that completes it
    std::shared_ptr<OpenFile> file;
    Wait* wait = nullptr;  // null: its process has died
    Life* life = nullptr;
    MutableByteSpan into;
    uint64_t offset = 0;
    WriteImage write;
    FlushImage flush;
    std::string directory;
    uint64_t names_before = 0;
    disk::Durability durability = disk::Durability::buffered;
    bool fails = false;
    bool full = false;
    bool deferred = false;  // to the end of a stall
  };
  struct FileLatency {
    std::string prefix;
    DiskLatency latency;
  };
  struct ArmedFailure {
    std::string prefix;
    uint64_t count;
  };

  void on_event(uint64_t argument) override;
  Op& new_op(Op::Kind kind, Life& life);
  void free_op(Op& op);
  void complete_at(Op& op, Time time);
  void complete(Op& op);
  Result<size_t> complete_read(Op& op);
  Result<size_t> complete_write(Op& op);
  Result<size_t> complete_sync(Op& op);
  Result<size_t> complete_sync_directory(Op& op);
  void tell_failure(const Op& op, std::optional<Errc> error);
  // Parks the task until the operation is done or the node is dead.
  Result<size_t> wait_for(Task& task, Life& life, Op& op, const char* what);

  // What the handles ask for; each may suspend, and none is called on a dead node.
  Result<size_t> read(Task& task, Life& life, const std::shared_ptr<OpenFile>& file, uint64_t offset, MutableByteSpan into);
  Result<size_t> write(Task& task, Life& life, const std::shared_ptr<OpenFile>& file, uint64_t offset, std::span<const ByteSpan> pieces,
                       disk::Durability durability);
  Result<size_t> sync(Task& task, Life& life, const std::shared_ptr<OpenFile>& file);
  Result<size_t> sync_directory(Task& task, Life& life, std::string_view path);
  // The time that a change of names or of a size takes.
  Result<size_t> pass_time(Task& task, Life& life, std::string_view path);
  Result<std::shared_ptr<OpenFile>> open(Life& life, std::string_view path, disk::OpenMode mode, disk::Caching caching);
  Result<> lock(OpenFile& file);
  void name_changed(Life& life, NameChange change, std::string_view from, std::string_view to, uint64_t file);
  // How much of an extension to `end` there is room for: a prefix of the write.
  uint64_t room_for(const Inode& inode, uint64_t offset, uint64_t length) const;

  Time draw(std::string_view path, Op::Kind kind, bool synced, size_t bytes);
  const DiskLatency& latency_of(std::string_view path) const;
  bool take_failure(std::vector<ArmedFailure>& armed, std::string_view path);
  FileRef ref_of(const OpenFile& file) const { return {file.inode->id(), file.path}; }
  template <class F>
  void observe(F&& f) {
    for (DiskObserver* observer : observers_) f(*observer);
  }
  void cut_power();
  void exchanged(DiskExchange what, uint64_t image = 0);
  static disk::FileInfo info_of(const Inode& inode) { return {inode.size(), inode.id(), inode.birth().ns}; }
  Time after_earlier_flushes(const Inode& inode, Time time);

  EventQueue& queue_;
  Trace& trace_;
  PagePool& pages_;
  Rng rng_;
  uint32_t node_;
  DiskOptions options_;
  DiskLatency latency_;
  uint64_t capacity_;
  std::vector<FileLatency> file_latencies_;
  std::vector<ArmedFailure> sync_failures_;
  std::vector<ArmedFailure> write_failures_;
  uint64_t failures_given_ = 0;
  uint64_t overflows_ = 0;
  uint64_t flips_ = 0;
  uint64_t spoils_ = 0;
  uint64_t exchanges_ = 0;
  Time stalled_until_;
  Time hindered_until_;
  Namespace names_;
  std::optional<Namespace> away_;  // the true one, while another is seen
  uint64_t images_ = 0;
  std::vector<OpenFile*> open_;
  std::vector<std::unique_ptr<Op>> ops_;
  std::vector<uint32_t> free_ops_;
  size_t live_ops_ = 0;
  uint64_t next_op_ = 0;
  uint64_t next_ticket_ = 0;
  std::vector<Time> last_flush_;  // by file id: syncs of one file end in the order in which they began
  uint64_t next_inode_ = 0;
  uint64_t losses_ = 0;
  std::vector<DiskObserver*> observers_;
  ByteVec scratch_;
};

}  // namespace sg::sim
