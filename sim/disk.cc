#include "sim/disk.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/crc32c.h"
#include "sim/disk_file.h"

namespace sg::sim {
namespace {

// The trace folds a checksum of a write's first bytes: headers tell writes apart, and padding costs nothing.
constexpr size_t kTracedBytes = 256;

constexpr uint64_t error_number(const std::optional<Errc>& error) { return error ? static_cast<uint64_t>(*error) + 1 : 0; }

// How much of a write that fails reaches the file: up to a boundary of sectors, or all of it, or nothing.
uint64_t draw_prefix(const WriteImage& write, Rng& rng) {
  if (write.length == 0) return 0;
  const uint64_t first = write.offset / kSectorBytes;
  const uint64_t sectors = (write.offset + write.length - 1) / kSectorBytes - first + 1;
  const uint64_t kept = rng.below(sectors + 1);
  return kept == 0 ? 0 : std::min(write.length, (first + kept) * kSectorBytes - write.offset);
}

std::optional<Errc> error_of(const Result<size_t>& result) {
  if (result) return std::nullopt;
  return result.code();
}

}  // namespace

SimDisk::SimDisk(EventQueue& queue, Trace& trace, PagePool& pages, Rng rng, uint32_t node, DiskOptions options)
    : queue_(queue),
      trace_(trace),
      pages_(pages),
      rng_(rng),
      node_(node),
      options_(options),
      latency_(options.latency),
      capacity_(options.capacity_bytes) {
  ENSURE(options_.direct_alignment % kSectorBytes == 0 && options_.direct_alignment > 0);
}

SimDisk::~SimDisk() {
  for (auto& op : ops_)
    if (op->kind != Op::Kind::free) free_op(*op);
  ENSURE(open_.empty(), "{} files of node {} are still open", open_.size(), node_);
}

SimDisk::OpenFile::~OpenFile() { std::erase(disk->open_, this); }

std::unique_ptr<disk::Disk> SimDisk::endpoint(Life& life) { return std::make_unique<HostDisk>(*this, life); }

// --- operations ----------------------------------------------------------------------------------------------------------------

SimDisk::Op& SimDisk::new_op(Op::Kind kind, Life& life) {
  if (free_ops_.empty()) {
    free_ops_.push_back(static_cast<uint32_t>(ops_.size()));
    ops_.push_back(std::make_unique<Op>());
    ops_.back()->slot = free_ops_.back();
  }
  Op& op = *ops_[free_ops_.back()];
  free_ops_.pop_back();
  ENSURE(op.kind == Op::Kind::free);
  op.kind = kind;
  op.number = ++next_op_;
  op.life = &life;
  ++live_ops_;
  return op;
}

void SimDisk::free_op(Op& op) {
  ENSURE(op.kind != Op::Kind::free);
  op.kind = Op::Kind::free;
  op.ticket = 0;
  op.wait = nullptr;
  op.life = nullptr;
  op.fails = op.full = op.deferred = false;
  op.write.pages.clear();
  op.flush.parts.clear();
  op.file.reset();
  free_ops_.push_back(op.slot);
  --live_ops_;
}

void SimDisk::complete_at(Op& op, Time time) {
  op.ticket = ++next_ticket_;
  queue_.at(time, *this, op.ticket << 20 | op.slot);
}

void SimDisk::on_event(uint64_t argument) {
  Op& op = *ops_[argument & 0xfffff];
  if (op.kind == Op::Kind::free || op.ticket != argument >> 20) return;
  op.deferred = stalled();
  if (op.deferred) return complete_at(op, stalled_until_);
  complete(op);
}

void SimDisk::complete(Op& op) {
  Result<size_t> result = 0;
  // What completes is under way no more: survives() must not count it, already when observers are told.
  Op::Kind kind = std::exchange(op.kind, Op::Kind::other);
  switch (kind) {
    case Op::Kind::read: result = complete_read(op); break;
    case Op::Kind::write: result = complete_write(op); break;
    case Op::Kind::sync: result = complete_sync(op); break;
    case Op::Kind::sync_directory: result = complete_sync_directory(op); break;
    case Op::Kind::other: break;
    case Op::Kind::free: ENSURE(false);
  }
  Life* life = op.life;
  bool durable = kind == Op::Kind::sync || (kind == Op::Kind::write && op.durability == disk::Durability::synced);
  if (op.wait) {
    op.wait->result = std::move(result);
    op.wait->done = true;
    op.wait->task->wake();
  }
  free_op(op);
  // The operation is over, its caller does not know yet.
  if (!life) return;
  if (kind == Op::Kind::write && life->pass(CrashPoint::after_write)) return;
  if (durable) (void)life->pass(CrashPoint::after_sync);
}

SimDisk::Wait::Wait(Task& waiting, Op& op) : task(&waiting) { op.wait = this; }

Result<size_t> SimDisk::wait_for(Task& task, Life& life, Op& op, const char* what) {
  Wait wait(task, op);
  while (!wait.done && !life.dead()) (void)task.park(what, Time::never(), Interruptible::no);
  return wait.result;
}

Time SimDisk::after_earlier_flushes(const Inode& inode, Time time) {
  if (inode.id() >= last_flush_.size()) last_flush_.resize(inode.id() + 1);
  return last_flush_[inode.id()] = std::max(last_flush_[inode.id()], time);
}

Result<size_t> SimDisk::read(Task& task, Life& life, const std::shared_ptr<OpenFile>& file, uint64_t offset, MutableByteSpan into) {
  Op& op = new_op(Op::Kind::read, life);
  op.file = file;
  op.offset = offset;
  op.into = into;
  complete_at(op, draw(file->path, Op::Kind::read, false, into.size()));
  return wait_for(task, life, op, "disk read");
}

Result<size_t> SimDisk::complete_read(Op& op) {
  if (!op.file->inode->readable(op.offset, op.into.size())) {
    ++failures_given_;
    trace_.event(queue_.now(), node_, TraceKind::disk_read, op.file->inode->id(), op.offset, 0, error_number(Errc::io));
    return fail(Errc::io, fmt::format("read of '{}' at {} failed", op.file->path, op.offset));
  }
  size_t n = op.file->inode->read(op.offset, op.into);
  trace_.event(queue_.now(), node_, TraceKind::disk_read, op.file->inode->id(), op.offset, n);
  return n;
}

Result<size_t> SimDisk::write(Task& task, Life& life, const std::shared_ptr<OpenFile>& file, uint64_t offset,
                              std::span<const ByteSpan> pieces, disk::Durability durability) {
  Op& op = new_op(Op::Kind::write, life);
  op.file = file;
  op.offset = offset;
  op.durability = durability;
  op.write = WriteImage::copy_of(pages_, offset, pieces);
  bool synced = durability == disk::Durability::synced;
  op.fails = take_failure(synced ? sync_failures_ : write_failures_, file->path);
  uint64_t room = room_for(*file->inode, offset, op.write.length);
  op.full = room < op.write.length;
  uint32_t crc = pieces.empty() ? 0 : crc32c(pieces[0].first(std::min(pieces[0].size(), kTracedBytes)));
  life.trace(TraceKind::disk_write, file->inode->id(), offset, op.write.length, crc);
  if (!observers_.empty()) {
    ByteSpan bytes = pieces.size() == 1 ? pieces[0] : ByteSpan();
    if (pieces.size() > 1) {
      scratch_.clear();
      for (ByteSpan piece : pieces) scratch_.insert(scratch_.end(), piece.begin(), piece.end());
      bytes = scratch_;
    }
    observe([&](DiskObserver& o) { o.on_write(node_, op.number, ref_of(*file), offset, bytes, durability); });
  }
  if (op.full) op.write.cut_to(room);
  if (op.fails && !synced) op.write.cut_to(draw_prefix(op.write, rng_));
  Time done = draw(file->path, Op::Kind::write, synced, op.write.length);
  complete_at(op, synced ? after_earlier_flushes(*file->inode, done) : done);
  if (life.pass(CrashPoint::during_write)) return fail(Errc::stopped);
  return wait_for(task, life, op, "disk write");
}

Result<size_t> SimDisk::complete_write(Op& op) {
  Inode& inode = *op.file->inode;
  inode.note_write(op.number);
  // A process that was killed meanwhile waits for no flush: what it wrote may have got into the page cache and no further.
  const bool flushed = op.life != nullptr || rng_.chance(1, 2);
  const bool synced = op.durability == disk::Durability::synced && flushed;
  Result<size_t> result = op.write.length;
  if (op.fails && synced) {
    inode.fail_write_through(op.write, op.file->direct, rng_);
    result = fail(Errc::io, fmt::format("synced write of '{}' at {} failed", op.file->path, op.offset));
  } else if (op.fails) {
    inode.write(op.write, false, rng_);
    result = fail(Errc::io, fmt::format("write of '{}' at {} failed", op.file->path, op.offset));
  } else {
    inode.write(op.write, synced, rng_);
    if (synced)
      for (auto& other : ops_)
        if (other->kind == Op::Kind::sync && other->file->inode == op.file->inode) other->flush.forget(op.write);
    if (op.full) ++overflows_;
    if (op.full) result = fail(Errc::no_space, fmt::format("no space for '{}' at {}", op.file->path, op.offset + op.write.length));
  }
  std::optional<Errc> error = error_of(result);
  trace_.event(queue_.now(), node_, TraceKind::disk_written, inode.id(), op.offset, op.write.length, error_number(error));
  observe([&](DiskObserver& o) {
    o.on_written(node_, op.number, ref_of(*op.file), op.offset, op.write.length,
                 synced ? disk::Durability::synced : disk::Durability::buffered, error);
  });
  tell_failure(op, error);
  return result;
}

Result<size_t> SimDisk::sync(Task& task, Life& life, const std::shared_ptr<OpenFile>& file) {
  if (life.pass(CrashPoint::before_sync)) return fail(Errc::stopped);
  Op& op = new_op(Op::Kind::sync, life);
  op.file = file;
  op.flush = file->inode->begin_flush();
  op.fails = take_failure(sync_failures_, file->path);
  complete_at(op, after_earlier_flushes(*file->inode, draw(file->path, Op::Kind::sync, true, op.flush.sectors() * kSectorBytes)));
  if (life.pass(CrashPoint::during_sync)) return fail(Errc::stopped);
  return wait_for(task, life, op, "disk sync");
}

Result<size_t> SimDisk::complete_sync(Op& op) {
  Inode& inode = *op.file->inode;
  Result<size_t> result = 0;
  if (op.fails) {
    inode.fail_flush(op.flush, op.file->direct, rng_);
    result = fail(Errc::io, fmt::format("sync of '{}' failed", op.file->path));
  } else {
    inode.end_flush(op.flush);
  }
  std::optional<Errc> error = error_of(result);
  trace_.event(queue_.now(), node_, TraceKind::disk_sync, inode.id(), op.flush.sectors(), error_number(error));
  observe([&](DiskObserver& o) { o.on_sync(node_, ref_of(*op.file), error); });
  tell_failure(op, error);
  return result;
}

void SimDisk::tell_failure(const Op& op, std::optional<Errc> error) {
  if (error && op.life) observe([&](DiskObserver& o) { o.on_failure(node_, op.number, ref_of(*op.file), *error); });
}

Result<size_t> SimDisk::sync_directory(Task& task, Life& life, std::string_view path) {
  if (life.pass(CrashPoint::before_sync)) return fail(Errc::stopped);
  Op& op = new_op(Op::Kind::sync_directory, life);
  op.directory = path;
  op.names_before = names_.changes();
  op.fails = take_failure(sync_failures_, path);
  complete_at(op, draw(path, Op::Kind::sync, true, 0));
  if (life.pass(CrashPoint::during_sync)) return fail(Errc::stopped);
  return wait_for(task, life, op, "disk directory sync");
}

Result<size_t> SimDisk::complete_sync_directory(Op& op) {
  if (op.fails) return fail(Errc::io, fmt::format("sync of directory '{}' failed", op.directory));
  TRY(size_t durable, names_.sync_before(op.directory, op.names_before));
  trace_.event(queue_.now(), node_, TraceKind::disk_name_sync, durable);
  observe([&](DiskObserver& o) { o.on_sync_directory(node_, op.directory); });
  return durable;
}

Result<size_t> SimDisk::pass_time(Task& task, Life& life, std::string_view path) {
  Op& op = new_op(Op::Kind::other, life);
  complete_at(op, draw(path, Op::Kind::other, false, 0));
  return wait_for(task, life, op, "disk");
}

Result<std::shared_ptr<SimDisk::OpenFile>> SimDisk::open(Life& life, std::string_view path, disk::OpenMode mode, disk::Caching caching) {
  Result<InodeRef> found = names_.find(path);
  if (!found) {
    if (mode != disk::OpenMode::create || !found.is(Errc::not_found)) return std::unexpected(std::move(found).error());
    auto inode = std::make_shared<Inode>(pages_, ++next_inode_, queue_.now());
    TRY_DO(names_.create(path, inode));
    found = inode;
    name_changed(life, NameChange::create, path, {}, inode->id());
    if (life.dead()) return fail(Errc::stopped);
  }
  auto file = std::make_shared<OpenFile>();
  file->disk = this;
  file->inode = *found;
  file->path = path;
  file->direct = caching == disk::Caching::direct && options_.direct;
  file->writable = mode != disk::OpenMode::read_only;
  open_.push_back(file.get());
  life.trace(TraceKind::disk_open, file->inode->id(), static_cast<uint64_t>(mode));
  return file;
}

Result<> SimDisk::lock(OpenFile& file) {
  for (OpenFile* other : open_)
    if (other != &file && other->inode == file.inode && other->locked) return fail(Errc::busy, fmt::format("'{}' is locked", file.path));
  file.locked = true;
  return {};
}

void SimDisk::name_changed(Life& life, NameChange change, std::string_view from, std::string_view to, uint64_t file) {
  life.trace(TraceKind::disk_name, static_cast<uint64_t>(change), file);
  observe([&](DiskObserver& o) { o.on_name(node_, change, from, to); });
  (void)life.pass(CrashPoint::after_name);
}

uint64_t SimDisk::room_for(const Inode& inode, uint64_t offset, uint64_t length) const {
  if (offset + length <= inode.size() || capacity_ == DiskOptions{}.capacity_bytes) return length;
  uint64_t used = used_bytes() - inode.size();
  uint64_t limit = capacity_ > used ? capacity_ - used : 0;
  if (offset + length <= limit) return length;
  limit = std::max(limit / kSectorBytes * kSectorBytes, inode.size());
  return limit > offset ? std::min(length, limit - offset) : 0;
}

// --- time and failures ---------------------------------------------------------------------------------------------------------

const DiskLatency& SimDisk::latency_of(std::string_view path) const {
  for (const FileLatency& special : file_latencies_)
    if (path.starts_with(special.prefix)) return special.latency;
  return latency_;
}

Time SimDisk::draw(std::string_view path, Op::Kind kind, bool synced, size_t bytes) {
  const DiskLatency& l = latency_of(path);
  Duration low{0}, high{0};
  if (kind == Op::Kind::read) {
    low = l.read_min;
    high = l.read_max;
  } else if (kind == Op::Kind::write || kind == Op::Kind::other) {
    low = l.write_min;
    high = l.write_max;
  }
  if (synced) {
    low += l.sync_min;
    high += l.sync_max;
  }
  int64_t ns = rng_.between(low.count(), high.count());
  if (l.tail_per_million > 0 && rng_.chance(l.tail_per_million, 1'000'000))
    ns = rng_.log_between(std::max<int64_t>(1, high.count()), std::max(high, l.tail).count());
  if (l.bytes_per_us > 0) ns += static_cast<int64_t>(bytes * 1000 / l.bytes_per_us);
  return queue_.now() + Duration(ns);
}

void SimDisk::set_file_latency(std::string prefix, const DiskLatency& latency) {
  file_latencies_.insert(file_latencies_.begin(), FileLatency{std::move(prefix), latency});
}

bool SimDisk::take_failure(std::vector<ArmedFailure>& armed, std::string_view path) {
  bool fails = false;
  for (ArmedFailure& failure : armed) {
    if (!path.starts_with(failure.prefix)) continue;
    --failure.count;
    fails = true;
  }
  std::erase_if(armed, [](const ArmedFailure& failure) { return failure.count == 0; });
  failures_given_ += fails;
  return fails;
}

void SimDisk::fail_syncs(std::string prefix, uint64_t count) {
  if (count > 0) sync_failures_.push_back({std::move(prefix), count});
}

void SimDisk::fail_writes(std::string prefix, uint64_t count) {
  if (count > 0) write_failures_.push_back({std::move(prefix), count});
}

void SimDisk::disarm() {
  sync_failures_.clear();
  write_failures_.clear();
}

void SimDisk::heal() {
  hindered_until_ = hindered_until();
  latency_ = options_.latency;
  file_latencies_.clear();
  disarm();
  capacity_ = options_.capacity_bytes;
  stalled_until_ = Time{};
  std::vector<Op*> deferred;
  for (auto& op : ops_)
    if (op->kind != Op::Kind::free && std::exchange(op->deferred, false)) deferred.push_back(op.get());
  std::ranges::sort(deferred, {}, &Op::number);
  for (Op* op : deferred) complete_at(*op, queue_.now());
}

// --- death ---------------------------------------------------------------------------------------------------------------------

void SimDisk::end_process(Death death) {
  bool power = death == Death::power_cut || death == Death::wipe;
  for (auto& owned : ops_) {
    Op& op = *owned;
    if (op.kind == Op::Kind::free) continue;
    op.life = nullptr;
    if (Wait* wait = std::exchange(op.wait, nullptr)) wait->task->wake();
    if (op.kind == Op::Kind::read || op.kind == Op::Kind::other)
      free_op(op);
    else if (op.kind == Op::Kind::write && !power && rng_.chance(1, 2))
      complete_at(op, queue_.now() + Duration(rng_.between(0, options_.kill_landing_max.count())));
  }
  if (power) cut_power();
  if (death == Death::wipe) {
    names_ = Namespace();
    ++exchanges_;
  }
  observe([&](DiskObserver& o) { o.on_death(node_, death); });
}

void SimDisk::cut_power() {
  CutOdds odds = CutOdds::draw(rng_);
  CutCount count;
  std::vector<Op*> in_flight;
  for (auto& op : ops_)
    if (op->kind != Op::Kind::free) in_flight.push_back(op.get());
  std::ranges::sort(in_flight, {}, &Op::number);
  for (Op* op : in_flight) {
    if (op->kind == Op::Kind::write) op->file->inode->cut_write(op->write, odds, rng_, count);
    if (op->kind == Op::Kind::sync) op->file->inode->cut_flush(op->flush, odds, rng_, count);
    free_op(*op);
  }
  names_.cut(rng_);
  for (const auto& [path, inode] : names_.now())
    if (inode) inode->cut(odds, rng_, count);
  for (OpenFile* file : open_) file->locked = false;
  trace_.event(queue_.now(), node_, TraceKind::disk_cut, count.kept, count.lost, count.torn);
}

// --- people --------------------------------------------------------------------------------------------------------------------

void SimDisk::exchanged(DiskExchange what, uint64_t image) {
  if (what != DiskExchange::image) ++exchanges_;
  trace_.event(queue_.now(), node_, TraceKind::disk_exchange, static_cast<uint64_t>(what), image);
  observe([&](DiskObserver& o) { o.on_exchange(node_, what, image); });
}

DiskImage SimDisk::image() {
  DiskImage out;
  out.id_ = (uint64_t{node_} + 1) << 32 | ++images_;
  for (const auto& [path, inode] : names_.now()) out.files_.emplace(path, inode ? inode->copy(inode->id(), inode->birth()) : nullptr);
  exchanged(DiskExchange::image, out.id_);
  return out;
}

void SimDisk::put(const DiskImage& image) {
  ENSURE(open_.empty() && image.id_ != 0 && mounted(), "the disk of node {} is in use", node_);
  for (const auto& [path, inode] : image.files_)
    if (inode) next_inode_ = std::max(next_inode_, inode->id());  // every file is another file than the one that it was copied from
  Namespace::Names names;
  for (const auto& [path, inode] : image.files_) names.emplace(path, inode ? inode->copy(++next_inode_, queue_.now()) : nullptr);
  names_ = Namespace(std::move(names));
  exchanged(DiskExchange::put, image.id_);
}

void SimDisk::unmount() {
  ENSURE(open_.empty() && mounted(), "the disk of node {} is in use", node_);
  away_ = std::exchange(names_, Namespace());
  exchanged(DiskExchange::unmount);
}

void SimDisk::mount() {
  ENSURE(open_.empty() && !mounted(), "the disk of node {} is in use", node_);
  names_ = std::move(*away_);
  away_.reset();
  exchanged(DiskExchange::mount);
}

// --- questions -----------------------------------------------------------------------------------------------------------------

bool SimDisk::exists(std::string_view path) const { return names_.find(path).has_value(); }

std::vector<std::string> SimDisk::files() const {
  std::vector<std::string> paths;
  for (const auto& [path, inode] : names_.now())
    if (inode) paths.push_back(path);
  return paths;
}

ByteVec SimDisk::contents(std::string_view path) const {
  Result<InodeRef> inode = names_.find(path);
  ENSURE(inode, "no file '{}' on node {}", path, node_);
  ByteVec bytes((*inode)->size());
  (*inode)->read(0, bytes);
  return bytes;
}

bool SimDisk::survives(std::string_view path, uint64_t offset, uint64_t length) const {
  Result<InodeRef> found = names_.find(path);
  if (!found) return false;
  const Inode& inode = **found;
  if (names_.pending() > 0 && !names_.survives(path, &inode)) return false;
  if (!inode.survives(offset, length)) return false;
  if (live_ops_ == 0) return true;
  for (const auto& op : ops_) {
    if (op->kind == Op::Kind::sync && op->file->inode.get() == &inode && Inode::covers(op->flush, offset, length)) return false;
    if (op->kind != Op::Kind::write || op->file->inode.get() != &inode) continue;
    // A write in flight may tear every sector that it touches.
    uint64_t from = op->offset / kSectorBytes * kSectorBytes;
    uint64_t to = (op->offset + op->write.length + kSectorBytes - 1) / kSectorBytes * kSectorBytes;
    if (offset < to && from < offset + length) return false;
  }
  return true;
}

uint64_t SimDisk::used_bytes() const {
  uint64_t used = 0;
  for (const auto& [path, inode] : names_.now())
    if (inode) used += inode->size();
  return used;
}

std::optional<std::string> SimDisk::last_written(std::string_view prefix) const {
  std::optional<std::string> out;
  uint64_t last = 0;
  for (const auto& [path, inode] : names_.now()) {
    if (!inode || !path.starts_with(prefix) || inode->last_write() <= last) continue;
    last = inode->last_write();
    out = path;
  }
  return out;
}

void SimDisk::lose_file(const std::string& path) {
  Result<InodeRef> inode = names_.remove(path);
  ENSURE(inode, "no file '{}' on node {}", path, node_);
  const size_t slash = path.rfind('/');
  (void)names_.sync(slash == std::string::npos ? std::string_view() : std::string_view(path).substr(0, slash));
  ++losses_;
  observe([&](DiskObserver& o) { o.on_lost(node_, {(*inode)->id(), path}); });
}

void SimDisk::flip_bit(std::string_view path, uint64_t offset, int bit) {
  Result<InodeRef> inode = names_.find(path);
  ENSURE(inode, "no file '{}' on node {}", path, node_);
  (*inode)->flip_bit(offset, bit);
  ++flips_;
  observe([&](DiskObserver& o) { o.on_flip(node_, {(*inode)->id(), path}, offset); });
}

void SimDisk::spoil_sector(std::string_view path, uint64_t offset) {
  Result<InodeRef> inode = names_.find(path);
  ENSURE(inode, "no file '{}' on node {}", path, node_);
  (*inode)->spoil_sector(offset);
  ++spoils_;
  observe([&](DiskObserver& o) { o.on_spoil(node_, {(*inode)->id(), path}, offset); });
}

}  // namespace sg::sim
