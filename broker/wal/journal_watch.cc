// The watch: a running journal notices that one of its segment files is gone, shorter, or another file. It holds every file open, so it
// could go on for days, and lose all of it at the next start. Content is verified by whoever reads it.
#include <algorithm>

#include "base/probe.h"
#include "broker/wal/journal.h"

namespace sg::wal {

void Journal::run_watch(Task& task) {
  while (!failure_ && !closing_ && task.sleep_for(options_.watch_every)) {
    auto looked = look(task);
    if (looked || looked.is(Errc::stopped)) continue;
    fail_with(looked.error());
    work_.notify_all();
  }
}

Result<> Journal::look(Task& task) {
  const std::vector<SegmentPtr> segments(segments_.used().begin(), segments_.used().end());
  for (const SegmentPtr& segment : segments) {
    if (!segment->file || segment->missed) continue;
    const uint64_t bytes = segment->file_bytes;  // before the question: the file only grows
    auto info = disk_.info(task, segment->path);
    if (!info && !info.is(Errc::not_found)) return std::unexpected(info.error());
    if (segments_.find(segment->generation()) != segment) continue;  // recycled meanwhile
    if (!info)
      TRY_DO(lose_file(task, *segment, "is gone"));
    else if (info->inode != segment->inode)
      TRY_DO(lose_file(task, *segment, "was replaced by another file"));
    else if (info->size < bytes)
      TRY_DO(lose_file(task, *segment, "is shorter than it was"));
  }
  return {};
}

// Every entry in it counts as lost, whatever the open file still gives out. What else the segment told, nobody can tell after a restart:
// so much is noted for the next run.
Result<> Journal::lose_file(Task& task, Segment& segment, std::string_view why) {
  REACHED("wal: the watch misses a segment file");
  segment.missed = true;
  ++segment.live;
  std::vector<StreamId> hurt;
  for (auto& [id, s] : streams_) {
    const size_t before = s.holes.size();
    for (const Entry& e : s.log.entries())
      if (e.generation == segment.generation()) s.add_hole(e.first, e.next);
    if (s.holes.size() > before && !s.dropped) hurt.push_back(id);
  }
  const Error what{Errc::corrupt,
                   fmt::format("the journal's file {} {} while this node runs, and with it what {} stream(s) of this node hold there: find "
                               "out who touches the data directory {}; do not put a copy of the file back",
                               segment.path, why, hurt.size(), options_.named)};
  log_.error("journal-file-lost path={} generation={} streams={} what=\"{}\"", segment.path, segment.generation(), hurt.size(), what.what);
  identity_file_->edit().damage.note({kEveryStream, segment.generation()});
  TRY_DO(identity_file_->save(task));
  // What goes on to be written there is lost at the next start, and so would be what Raft has promised.
  const bool promises = segments_.active().generation() == segment.generation() || std::ranges::any_of(hurt, is_metadata);
  if (promises) return std::unexpected(what);
  if (listener_) listener_->on_damaged(hurt, what);
  return {};
}

}  // namespace sg::wal
