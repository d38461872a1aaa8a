// Opening: locks, identity, recovery, and the new segment that every run begins.
#include <algorithm>
#include <ranges>

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

Journal::Journal(disk::Disk& disk, Options options, Rng rng, Log log)
    : disk_(disk),
      options_(std::move(options)),
      log_(std::move(log)),
      rng_(rng),
      cache_(options_.tail_cache_bytes, options_.block_bytes),
      segments_(disk, options_.directory, options_.block_bytes, options_.direct) {
  ENSURE(options_.block_bytes % kBlockBytes == 0 && options_.block_bytes > 0, "blocks of {} bytes", options_.block_bytes);
  ENSURE(options_.prepare_bytes_per_second > 0);
  if (options_.reserve_bytes == 0) options_.reserve_bytes = 2 * options_.segment_bytes;
}

Journal::~Journal() = default;

Result<> Journal::take_lock(Task& task) {
  TRY_DO(disk_.make_directory(task, options_.directory));
  TRY(lock_, disk_.open(task, options_.directory + "/LOCK", disk::OpenMode::create));
  auto locked = lock_->lock();
  if (locked.is(Errc::busy))
    return fail(Errc::busy, "the data directory is in use by another process (it holds " + options_.directory + "/LOCK)");
  return locked;
}

// The names above the identity are durable before it is: a power cut leaves no identity beside another lock file than its own.
Result<> Journal::make_identity(Task& task, const disk::FileInfo& lock) {
  TRY(auto names, disk_.list(task, options_.directory));
  for (const std::string& name : names)
    if (name.ends_with(".seg"))
      return fail(Errc::corrupt, fmt::format("{0}/identity is missing although {0} holds segments; restore it, or start this node with "
                                             "an empty directory",
                                             options_.directory));
  TRY_DO(disk_.sync_directory(task, ""));
  TRY_DO(disk_.sync_directory(task, options_.directory));
  Identity made;
  made.node_id = options_.node_id;
  made.cluster_id = options_.cluster_id;
  made.directory_id.high = rng_.next();
  made.directory_id.low = rng_.next() | 1;  // never zero
  made.voter_id = VoterId(rng_.next() | 1);
  made.settle_in(lock);
  TRY(identity_file_, IdentityFile::create(task, disk_, options_.directory, std::move(made), lock_deadline_));
  return {};
}

Result<> Journal::identify(Task& task) {
  TRY(disk::FileInfo lock, lock_->info(task));
  auto opened = IdentityFile::open(task, disk_, options_.directory, lock_deadline_);
  if (opened.is(Errc::not_found)) return make_identity(task, lock);
  if (!opened) return std::unexpected(opened.error());
  identity_file_ = std::move(*opened);
  if (identity().node_id != options_.node_id)
    return fail(Errc::invalid,
                fmt::format("the data directory belongs to node {}, this process is node {}", identity().node_id, options_.node_id));
  if (options_.copy_check && !identity().is_home(lock)) {
    REACHED("wal: a copy is refused");
    return fail(Errc::invalid,
                fmt::format("the data directory {0} is a copy or a restored backup of node {1}'s: its lock file is not the one that its "
                            "identity names. If it is complete and the original is gone for good: 'stormglassd adopt {0} --moved'; in "
                            "any other case: 'stormglassd adopt {0}', which makes it a new one (docs/OPERATIONS.md)",
                            options_.named.empty() ? "DIR" : options_.named, identity().node_id));
  }
  identity_file_->edit().settle_in(lock);  // durable with the run's counter
  return options_.cluster_id.is_zero() ? Result<>() : set_cluster_id(task, options_.cluster_id);
}

Result<> Journal::set_cluster_id(Task& task, const Uuid& cluster_id) {
  ENSURE(!cluster_id.is_zero());
  if (identity().cluster_id == cluster_id) return {};
  if (!identity().cluster_id.is_zero())
    return fail(Errc::invalid,
                fmt::format("the data directory belongs to cluster {}, this process to cluster {}", identity().cluster_id, cluster_id));
  identity_file_->edit().cluster_id = cluster_id;
  return identity_file_->save(task);
}

Result<Recovered> Journal::recover_files(Task& task) {
  TRY(auto files, segments_.open_all(task, lock_deadline_));
  return recover(task, segments_, std::move(files), identity(), log_);
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
      identity().cluster_id, identity().directory_id, generation, run_.counter, floor_, static_cast<uint32_t>(options_.block_bytes), chain_,
      composed_hard_state_,  identity().voter_id};
  TRY_DO(segments_.activate(task, std::move(segment), header, capacity));
  used_bytes_ = segments_.used_bytes();
  return {};
}

// The run's counter, and what recovery found to be missing, are durable before the new segment's header repeats them and before anybody
// hears of the run. What was accepted may still be in the page cache of a process that was killed; the new segment's header vouches for
// it. The three syncs do not need one another, so the identity's goes beside the other two.
Result<> Journal::begin_run(Task& task, const Recovered& found) {
  Identity& next = identity_file_->edit();
  next.counter = std::max(next.counter, found.last_incarnation) + 1;
  next.nonce = rng_.split("nonce", next.counter.v).next();
  next.damage = found.damage;
  run_ = {next.directory_id, next.counter, next.nonce};

  Result<> saved;
  TaskGroup beside(task.scheduler());
  beside.spawn("journal-run", [&](Task& t) { saved = identity_file_->save(t); });
  Result<> synced;
  auto last = std::ranges::find_if(segments_.used() | std::views::reverse, [](const SegmentPtr& s) { return s->file != nullptr; });
  if (last != segments_.used().rend()) synced = (*last)->file->sync(task);
  if (synced) synced = disk_.sync_directory(task, options_.directory);
  beside.join(task);
  TRY_DO(std::move(saved));
  return synced;
}

Result<VoterId> Journal::draw_voter_id(Task& task, const Damage& damage) {
  ENSURE(!started_, "a voter id is drawn while others may have heard of this one");
  if (identity().damage.answered(damage)) return identity().voter_id;
  Identity& next = identity_file_->edit();
  next.damage.answer(damage);
  if (next.voter_since != run_.counter) {
    REACHED("wal: a voter id is drawn anew");
    next.voter_id = VoterId(rng_.split("voter", run_.counter.v).next() | 1);
    next.voter_since = run_.counter;
    log_.warn("voter-drawn voter={} run={} stream={} segment={} range=[{}, {})", next.voter_id, run_, damage.stream, damage.generation,
              damage.first, damage.next);
  }
  TRY_DO(identity_file_->save_in_both(task));
  return identity().voter_id;
}

Result<OpenResult> Journal::open(Task& task, disk::Disk& disk, Options options, Rng rng, Log log) {
  std::unique_ptr<Journal> journal(new Journal(disk, std::move(options), rng, std::move(log)));
  Journal& j = *journal;
  j.lock_deadline_ = task.now() + j.options_.lock_wait;
  TRY_DO(j.take_lock(task));
  TRY_DO(j.identify(task));
  TRY(auto found, j.recover_files(task));

  j.composed_hard_state_ = found.hard_state;
  j.chain_ = found.chain;
  j.floor_ = std::max<uint64_t>(found.floor, 1);
  TRY_DO(j.begin_run(task, found));
  TRY_DO(j.begin_segment(task, found.last_generation + 1, j.options_.first_segment_bytes));

  OpenResult result;
  result.unattributed_damage = found.damage.unattributed();
  bool damaged = result.unattributed_damage;
  for (auto& [id, facts] : found.streams) {
    damaged = damaged || facts.damaged();
    result.streams.push_back(facts.state());
    j.streams_.try_emplace(id, std::move(facts));
  }
  result.run = j.run_;
  result.voter = j.identity().voter_id;
  result.cluster_id = j.identity().cluster_id;
  result.hard_state = found.hard_state;
  result.start = damaged                      ? StartKind::damaged
                 : found.last_generation == 0 ? StartKind::fresh
                 : found.orderly              ? StartKind::orderly
                 : found.torn                 ? StartKind::torn_tail
                                              : StartKind::clean_end;
  j.log_.info("journal-opened start={} run={} voter={} streams={} segments={} sequence={} damage={}", to_string(result.start), result.run,
              result.voter, result.streams.size(), j.segments_.used().size(), j.chain_.sequence, found.damage.entries().size());
  result.journal = std::move(journal);
  return result;
}

}  // namespace sg::wal
