// Opening: locks, identity, recovery, and the new segment that every run begins.
#include "base/probe.h"
#include "broker/wal/journal.h"

namespace sg::wal {

std::string_view to_string(StartKind kind) {
  switch (kind) {
    case StartKind::fresh: return "fresh";
    case StartKind::orderly: return "orderly";
    case StartKind::clean_end: return "clean_end";
    case StartKind::torn_tail: return "torn_tail";
    case StartKind::damaged: return "damaged";
  }
  return "?";
}

Journal::Journal(disk::Disk& disk, Options options, Log log)
    : disk_(disk),
      options_(std::move(options)),
      log_(std::move(log)),
      cache_(options_.tail_cache_bytes, options_.block_bytes),
      segments_(disk, options_.directory, options_.block_bytes, options_.direct) {
  ENSURE(options_.block_bytes % kBlockBytes == 0 && options_.block_bytes > 0, "blocks of {} bytes", options_.block_bytes);
  ENSURE(options_.prepare_bytes_per_second > 0);
  if (options_.reserve_bytes == 0) options_.reserve_bytes = 2 * options_.segment_bytes;
}

Journal::~Journal() = default;

Result<> Journal::take_lock(Task& task) {
  TRY_DO(disk_.make_directory(task, options_.directory));
  TRY_DO(disk_.sync_directory(task, ""));
  TRY(lock_, disk_.open(task, options_.directory + "/LOCK", disk::OpenMode::create));
  auto locked = lock_->lock();
  if (locked.is(Errc::busy))
    return fail(Errc::busy, "the data directory is in use by another process (it holds " + options_.directory + "/LOCK)");
  return locked;
}

Result<> Journal::identify(Task& task, Rng rng) {
  TRY(auto known, read_identity(task, disk_, options_.directory));
  if (!known) {
    TRY(auto names, disk_.list(task, options_.directory));
    for (const std::string& name : names)
      if (name.ends_with(".seg"))
        return fail(Errc::corrupt, fmt::format("{0}/identity is missing although {0} holds segments; restore it, or start this node with "
                                               "an empty directory",
                                               options_.directory));
    identity_.node_id = options_.node_id;
    identity_.cluster_id = options_.cluster_id;
    identity_.directory_id.high = rng.next();
    identity_.directory_id.low = rng.next() | 1;  // never zero
    return write_identity(task, disk_, options_.directory, identity_);
  }
  identity_ = *known;
  if (identity_.node_id != options_.node_id)
    return fail(Errc::invalid,
                fmt::format("the data directory belongs to node {}, this process is node {}", identity_.node_id, options_.node_id));
  return options_.cluster_id.is_zero() ? Result<>() : set_cluster_id(task, options_.cluster_id);
}

Result<> Journal::set_cluster_id(Task& task, const Uuid& cluster_id) {
  ENSURE(!cluster_id.is_zero());
  if (identity_.cluster_id == cluster_id) return {};
  if (!identity_.cluster_id.is_zero())
    return fail(Errc::invalid,
                fmt::format("the data directory belongs to cluster {}, this process to cluster {}", identity_.cluster_id, cluster_id));
  Identity identity = identity_;
  identity.cluster_id = cluster_id;
  TRY_DO(write_identity(task, disk_, options_.directory, identity));
  identity_ = identity;
  return {};
}

Result<Recovered> Journal::recover_files(Task& task) {
  Time give_up = task.now() + options_.lock_wait;
  auto files = segments_.open_all(task);
  while (files.is(Errc::busy) && task.now() < give_up) {
    REACHED("wal: waited for the last write of a killed process");
    TRY_DO(task.sleep_for(5ms));
    files = segments_.open_all(task);
  }
  if (!files) return std::unexpected(files.error());
  return recover(task, segments_, std::move(*files), identity_, log_);
}

Result<> Journal::begin_segment(Task& task, uint64_t generation, uint64_t capacity) {
  SegmentPtr segment;
  if (segments_.has_free()) {
    segment = segments_.take_free();
  } else {
    TRY(segment, segments_.create(task));
    if (!started_) TRY_DO(zero_fill(task, *segment, capacity, false));
  }
  SegmentHeader header{
      identity_.cluster_id, identity_.directory_id, generation, incarnation_, floor_, static_cast<uint32_t>(options_.block_bytes), chain_,
      composed_hard_state_};
  TRY_DO(segments_.activate(task, std::move(segment), header, capacity));
  used_bytes_ = segments_.used_bytes();
  return {};
}

Result<OpenResult> Journal::open(Task& task, disk::Disk& disk, Options options, Rng rng, Log log) {
  std::unique_ptr<Journal> journal(new Journal(disk, std::move(options), std::move(log)));
  Journal& j = *journal;
  TRY_DO(j.take_lock(task));
  TRY_DO(j.identify(task, std::move(rng)));
  TRY(auto found, j.recover_files(task));

  j.incarnation_ = std::max(found.last_incarnation + 1, j.options_.incarnation);
  j.composed_hard_state_ = found.hard_state;
  j.chain_ = found.chain;
  j.floor_ = std::max<uint64_t>(found.floor, 1);
  // What was accepted may still be in the page cache of a process that was killed; the new segment's header vouches for it.
  if (!j.segments_.used().empty() && j.segments_.active().file) TRY_DO(j.segments_.active().file->sync(task));
  TRY_DO(disk.sync_directory(task, j.options_.directory));
  TRY_DO(j.begin_segment(task, found.last_generation + 1, j.options_.first_segment_bytes));

  OpenResult result;
  for (auto& [id, facts] : found.streams) {
    result.streams.push_back(facts.state());
    j.streams_.try_emplace(id, std::move(facts));
  }
  result.directory_id = j.identity_.directory_id;
  result.cluster_id = j.identity_.cluster_id;
  result.incarnation = j.incarnation_;
  result.hard_state = found.hard_state;
  result.unattributed_damage = found.unattributed;
  result.start = found.damaged                ? StartKind::damaged
                 : found.last_generation == 0 ? StartKind::fresh
                 : found.orderly              ? StartKind::orderly
                 : found.torn                 ? StartKind::torn_tail
                                              : StartKind::clean_end;
  j.log_.info("journal-opened start={} directory_id={} incarnation={} streams={} segments={} sequence={}", to_string(result.start),
              result.directory_id, result.incarnation, result.streams.size(), j.segments_.used().size(), j.chain_.sequence);
  result.journal = std::move(journal);
  return result;
}

}  // namespace sg::wal
