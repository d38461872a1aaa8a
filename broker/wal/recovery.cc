#include "broker/wal/recovery.h"

#include <algorithm>

#include "base/probe.h"
#include "broker/wal/block_reader.h"
#include "broker/wal/scan.h"

namespace sg::wal {
namespace {

bool all_zero(ByteSpan bytes) {
  return std::ranges::all_of(bytes, [](uint8_t b) { return b == 0; });
}

class Recovery {
 public:
  Recovery(Task& task, Segments& segments, const Identity& identity, const Log& log)
      : task_(task), segments_(segments), identity_(identity), log_(log), block_(segments.block_bytes()), reader_(block_, 0) {}

  Result<Recovered> run(std::vector<SegmentPtr> files) {
    result_.damage = identity_.damage;
    TRY_DO(classify(std::move(files)));
    if (by_generation_.empty()) {
      // A directory that knows its cluster had a segment, also where an older program did not note which.
      result_.last_generation = std::max<uint64_t>(identity_.newest_segment, identity_.cluster_id.is_zero() ? 0 : 1);
      result_.floor = std::max<uint64_t>(result_.last_generation, 1);
      line_up();
      for (const SegmentPtr& segment : segments_.used()) {
        lose_segment(*segment);
        lose_again(*segment);
      }
      finish();
      return std::move(result_);
    }
    Segment& last = *by_generation_.rbegin()->second;
    result_.last_generation = std::max(last.generation(), identity_.newest_segment);
    for (const auto& [generation, segment] : by_generation_) {
      result_.floor = std::max(result_.floor, segment->header.floor);
      result_.last_incarnation = std::max(result_.last_incarnation, segment->header.incarnation);
    }
    result_.floor = std::max<uint64_t>(result_.floor, 1);
    TRY(auto tail, load(last, std::nullopt));  // first, because it knows the floor
    for (const ScannedCommit& c : tail.commits) result_.floor = std::max(result_.floor, c.header.floor);

    line_up();
    for (const SegmentPtr& segment : segments_.used()) {
      TRY_DO(fold_segment(*segment, last, tail));
      lose_again(*segment);
    }
    result_.torn = tail.torn;
    result_.orderly = !tail.commits.empty() && (tail.commits.back().header.flags & kOrderlyStop);
    result_.hard_state = tail.commits.empty() ? last.header.hard_state : fold_.hard_state();
    finish();
    return std::move(result_);
  }

 private:
  Result<> fold_segment(Segment& segment, Segment& last, const Scan& tail) {
    if (!segment.file) {
      lose_segment(segment);
      return {};
    }
    if (&segment == &last) {
      apply(segment, tail);
      return {};
    }
    bool empty = false;
    auto sealed = named_end(segment.generation(), empty);
    if (empty) return {};
    TRY(auto scan, load(segment, sealed));
    apply(segment, scan);
    return {};
  }

  // Which files hold a segment of the log, and which are free.
  Result<> classify(std::vector<SegmentPtr> files) {
    for (SegmentPtr& file : files) {
      reader_.turn_to(*file->file, file->file_bytes);
      TRY(ByteSpan block, reader_.range(task_, 0, block_));
      const bool zero = reader_.unreadable_blocks() == 0 && all_zero(block);
      auto header = decode_segment_block(block);
      if (header) {
        TRY_DO(check_identity(*header, file->path));
        if (header->block_bytes != block_)
          return fail(Errc::invalid, fmt::format("{} was written in blocks of {} bytes, this process is set to {}", file->path,
                                                 header->block_bytes, block_));
        file->header = *header;
      } else {
        // Its first commit may still tell which segment it is.
        TRY(ByteSpan rest, reader_.range(task_, block_, block_));
        auto size = peek_header_bytes(rest);
        if (!size) {
          (zero ? free_ : unknown_).push_back(std::move(file));
          continue;
        }
        TRY(ByteSpan whole, reader_.range(task_, block_, *size));
        auto commit = decode_header(whole);
        if (!commit || !identity_.owns(commit->directory_id) || commit->position != block_) {
          unknown_.push_back(std::move(file));
          continue;
        }
        REACHED("wal: a segment is known by its first commit");
        log_.warn("segment-header-lost path={} generation={}", file->path, commit->generation);
        file->header = SegmentHeader{commit->cluster_id,
                                     commit->directory_id,
                                     commit->generation,
                                     commit->incarnation,
                                     0,
                                     static_cast<uint32_t>(block_),
                                     {commit->generation - 1, 0, commit->sequence - 1, commit->previous_crc},
                                     commit->hard_state,
                                     {}};
      }
      uint64_t generation = file->generation();
      if (!by_generation_.try_emplace(generation, file).second)
        return fail(Errc::corrupt, fmt::format("{}: two files claim segment {} of the journal", file->path, generation));
    }
    return {};
  }

  Result<> check_identity(const SegmentHeader& header, const std::string& path) const {
    if (!identity_.owns(header.directory_id))
      return fail(Errc::invalid,
                  fmt::format("{} belongs to directory {}, the identity file says {}", path, header.directory_id, identity_.directory_id));
    if (!header.cluster_id.is_zero() && !identity_.cluster_id.is_zero() && header.cluster_id != identity_.cluster_id)
      return fail(Errc::invalid,
                  fmt::format("{} belongs to cluster {}, the identity file says {}", path, header.cluster_id, identity_.cluster_id));
    // An identity that does not count its runs yet was written by an older program; a former directory counted for itself.
    const bool counted = identity_.counter.v != 0 && header.directory_id == identity_.directory_id;
    const bool later_run = counted && header.incarnation > identity_.counter;
    const bool other_voter = header.directory_id == identity_.directory_id && header.incarnation > identity_.voter_since &&
                             header.voter_id != identity_.voter_id;
    if (!later_run && !other_voter) return {};
    REACHED("wal: an identity that is older than the segments");
    return fail(
        Errc::invalid,
        fmt::format("the identity file is older than the journal beside it: {} was written by run {} as voter {}, the identity knows "
                    "of run {} and voter {}; put back the identity file that belongs to these segments, or take the directory "
                    "away and start this node with an empty one",
                    path, header.incarnation, header.voter_id, identity_.counter, identity_.voter_id));
  }

  // Generations from the floor on become the log; the others are free.
  void line_up() {
    bool missing = false;
    for (uint64_t g = result_.floor; g <= result_.last_generation; ++g) {
      auto found = by_generation_.find(g);
      if (found != by_generation_.end()) {
        segments_.adopt(found->second);
        continue;
      }
      missing = true;
      auto lost = std::make_shared<Segment>();
      lost->header.generation = g;
      segments_.adopt(std::move(lost));
    }
    for (const auto& [generation, segment] : by_generation_)
      if (generation < result_.floor) segments_.add_free(segment);
    for (SegmentPtr& file : free_) segments_.add_free(std::move(file));
    // With a segment missing, a file that nobody can read may be that segment: it is left alone.
    if (!missing)
      for (SegmentPtr& file : unknown_) segments_.add_free(std::move(file));
    unknown_.clear();
  }

  // Where the commits of a segment that is not the last end, as the segments behind it tell; nothing if nobody knows.
  std::optional<ChainEnd> named_end(uint64_t generation, bool& empty) const {
    auto next = by_generation_.upper_bound(generation);
    if (next == by_generation_.end()) return std::nullopt;
    const ChainEnd& end = next->second->header.previous;
    empty = end.generation < generation;
    if (end.generation != generation) return std::nullopt;
    return end;
  }

  Result<Scan> load(Segment& segment, std::optional<ChainEnd> sealed) {
    if (sealed && sealed->position > 0) {
      TRY(auto indexed, load_index(segment, *sealed));
      if (indexed) return std::move(*indexed);
    }
    ScanRequest request{segment.header.directory_id, segment.generation(), block_, segment.file_bytes, segment.header.previous, sealed};
    TRY(auto scan, scan_segment(task_, *segment.file, block_, request));
    if (!scan.lost.empty() || scan.mended > 0 || scan.unreadable_blocks > 0)
      log_.warn("segment-damaged path={} generation={} lost_stretches={} mended_commits={} unreadable_blocks={}", segment.path,
                segment.generation(), scan.lost.size(), scan.mended, scan.unreadable_blocks);
    // Only what is whole gets an index: damage is to be found again by the next start.
    bool whole = scan.lost.empty() && std::ranges::all_of(scan.commits, [](const ScannedCommit& c) { return c.unreadable.empty(); });
    if (whole && !scan.commits.empty()) remember_headers(segment, scan);
    return scan;
  }

  Result<std::optional<Scan>> load_index(Segment& segment, const ChainEnd& end) {
    reader_.turn_to(*segment.file, segment.file_bytes);
    TRY(ByteSpan start, reader_.range(task_, end.position, block_));
    auto size = peek_index_bytes(start);
    if (!size || *size > segment.file_bytes) return std::nullopt;
    TRY(ByteSpan whole, reader_.range(task_, end.position, static_cast<size_t>(*size)));
    auto index = decode_index(whole);
    if (!index || index->directory_id != segment.header.directory_id || index->generation != segment.generation() ||
        index->last_sequence != end.sequence) {
      REACHED("wal: a damaged index is rebuilt by scanning");
      return std::nullopt;
    }
    Scan scan;
    scan.end = segment.header.previous;
    for (CommitHeader& h : index->commits) {
      if (h.sequence != scan.end.sequence + 1 || h.previous_crc != scan.end.crc) return std::nullopt;
      scan.end = h.end();
      scan.commits.push_back({std::move(h), {}});
    }
    if (scan.end != end) return std::nullopt;
    return scan;
  }

  static void remember_headers(Segment& segment, const Scan& scan) {
    ByteVec header;
    for (const ScannedCommit& c : scan.commits) {
      begin_header(header);
      for (const Record& r : c.header.records) append_record(header, r);
      finish_header(header, c.header, static_cast<uint32_t>(c.header.records.size()));
      segment.headers.insert(segment.headers.end(), header.begin(), header.end());
    }
    segment.index_wanted = true;
  }

  void apply(Segment& segment, const Scan& scan) {
    const ChainEnd& before = segment.header.previous;
    if (result_.chain.sequence != 0 && (before.sequence != result_.chain.sequence || before.crc != result_.chain.crc))
      lose(segment, broken_chain(segment), "the segment does not continue the one before it");
    for (const Damage& damage : scan.lost) lose(segment, damage, "commits are lost");
    for (const ScannedCommit& c : scan.commits) {
      fold_.apply(c.header, c.unreadable);
      result_.last_incarnation = std::max(result_.last_incarnation, c.header.incarnation);
    }
    result_.chain = scan.end;
    segment.commits = scan.commits.size();
    segment.last_sequence = scan.end.sequence;
    segment.position = scan.commits.empty() ? block_ : scan.end.position;
  }

  Damage broken_chain(const Segment& segment) const {
    auto [first, last] = std::minmax(result_.chain.sequence, segment.header.previous.sequence);
    return {kEveryStream, segment.generation(), static_cast<int64_t>(first + 1), static_cast<int64_t>(std::max(first + 1, last) + 1)};
  }

  void lose_segment(Segment& segment) { lose(segment, {kEveryStream, segment.generation()}, "the segment's file is missing"); }

  void lose(Segment& segment, const Damage& damage, std::string_view why) {
    REACHED("wal: damage counts for every stream");
    log_.error("journal-damaged segment={} path={} commits=[{}, {}) known={} what=\"{}\": every stream of this node counts as damaged",
               damage.generation, segment.path, damage.first, damage.next, identity_.damage.knows(damage), why);
    result_.damage.note(damage);
    fold_.lose_everything();
  }

  // Behind a segment of which something is lost, known from an earlier run (whatever can be read of it today) or found just now: what
  // mends it lies in a later one, since every run begins a segment.
  void lose_again(Segment& segment) {
    auto here = [&](const KnownDamage& k) { return k.what.is_unattributed() && k.what.generation == segment.generation(); };
    if (std::ranges::none_of(result_.damage.entries(), here)) return;
    ++segment.live;  // recycling would take it out of its place in the log
    fold_.lose_everything();
  }

  void finish() {
    // A segment below the floor held nothing that was in the log.
    result_.damage.lift([this](const Damage& d) { return d.generation < result_.floor || !fold_.recall(d); });
    result_.streams = fold_.take();
    for (auto& [id, facts] : result_.streams) {
      for (const Entry& e : facts.log.entries()) segments_.hold(e.generation);
      for (const Hole& hole : facts.holes) remember(facts, hole);
    }
  }

  // Entries of a hole that are in the log; what never was leaves a gap that every start finds again.
  void remember(const StreamFacts& facts, const Hole& hole) {
    for (const Entry& e : facts.log.from(hole.first)) {
      if (e.first >= hole.next) break;
      result_.damage.note({facts.log.stream(), e.generation, e.first, e.next});
    }
  }

  Task& task_;
  Segments& segments_;
  const Identity& identity_;
  const Log& log_;
  size_t block_;
  BlockReader reader_;  // for what is read of a segment without scanning it
  std::map<uint64_t, SegmentPtr> by_generation_;
  std::vector<SegmentPtr> free_;
  std::vector<SegmentPtr> unknown_;
  Fold fold_;
  Recovered result_;
};

}  // namespace

Result<Recovered> recover(Task& task, Segments& segments, std::vector<SegmentPtr> files, const Identity& identity, const Log& log) {
  return Recovery(task, segments, identity, log).run(std::move(files));
}

}  // namespace sg::wal
