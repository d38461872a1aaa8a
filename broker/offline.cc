#include "broker/offline.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "broker/accept_damage.h"
#include "broker/wal/adopt.h"
#include "broker/wal/journal.h"

namespace sg::broker {
namespace {

std::string describe(const wal::Identity& id) {
  std::string out = fmt::format("node {}\ndirectory {}\n", id.node_id, id.directory_id);
  out += id.cluster_id.is_zero() ? "cluster not known yet\n" : fmt::format("cluster {}\n", id.cluster_id);
  out += fmt::format("voter {} since run {}\nrun {} nonce {:016x}\nnewest segment {}\n", id.voter_id, id.voter_since, id.counter, id.nonce,
                     id.newest_segment);
  for (const Uuid& former : id.former) out += fmt::format("made from directory {}\n", former);
  return out;
}

std::string describe(const wal::KnownDamage& k) {
  const wal::Damage& d = k.what;
  std::string where = d.is_unattributed() ? "every stream" : fmt::format("stream {} [{}, {})", d.stream, d.first, d.next);
  return fmt::format("damage {} segment {}{}\n", where, d.generation, k.answered ? ", a voter id was drawn for it" : "");
}

Result<wal::Identity> identity_of(Task& task, disk::Disk& disk, const std::string& directory) {
  auto identity = wal::IdentityFile::read(task, disk, directory);
  if (identity.is(Errc::not_found)) return fail(Errc::not_found, "there is no journal: this is not the data directory of a node");
  return identity;
}

Result<std::string> inspect(Task& task, disk::Disk& disk, const std::string& directory) {
  auto lock = disk.open(task, directory + "/LOCK", disk::OpenMode::read_only);
  if (lock && (*lock)->lock().is(Errc::busy)) return fail(Errc::busy, "the data directory is in use by another process; stop it first");
  TRY(const wal::Identity identity, identity_of(task, disk, directory));
  std::string out = describe(identity);
  if (lock) {
    TRY(disk::FileInfo info, (*lock)->info(task));
    if (!identity.is_home(info)) out += "a copy or a restored backup: its lock file is not the one that the identity names\n";
  }
  wal::Segments segments(disk, directory, wal::kBlockBytes, false);
  TRY(auto files, segments.open_all(task, task.now() + wal::Options().lock_wait));
  TRY(auto found, wal::recover(task, segments, std::move(files), identity, Log()));
  for (const wal::SegmentPtr& s : segments.used())
    out += s->file ? fmt::format("segment {} file {} bytes {} run {} voter {} commits {}\n", s->generation(), s->path, s->file_bytes,
                                 s->header.incarnation, s->header.voter_id, s->commits)
                   : fmt::format("segment {} missing\n", s->generation());
  out += fmt::format("term {} vote {} voter {}\n", found.hard_state.term, found.hard_state.vote, found.hard_state.vote_id);
  for (const auto& [id, facts] : found.streams) {
    out += fmt::format("stream {} [{}, {}) epoch {} mark {}{}\n", id, facts.log.start(), facts.log.end(), facts.log.last_epoch(),
                       facts.log.mark(), facts.damaged() ? " damaged" : "");
    for (const wal::Hole& hole : facts.holes) out += fmt::format("  missing [{}, {})\n", hole.first, hole.next);
  }
  for (const wal::KnownDamage& k : found.damage.entries()) out += describe(k);
  return out;
}

std::string describe(const AcceptedDamage& a) {
  std::string out = fmt::format("kept: the metadata up to entry {}, with {}\n", a.kept_to,
                                a.topics.empty() ? "no topics" : fmt::format("the topics {}", fmt::join(a.topics, ", ")));
  if (a.lost_to > a.kept_to)
    out += fmt::format("lost: the entries from {} to {}, and what they made, changed or deleted\n", a.kept_to + 1, a.lost_to);
  if (a.end_unknown) out += "lost: perhaps entries behind that; nothing of them is left\n";
  if (!a.unnamed.empty())
    out += fmt::format("lost: {} partitions of topics that are not known any more; the next start drops their records\n", a.unnamed.size());
  if (a.partitions_suspect) out += "not accepted: partitions lack records, too; they stay as they are\n";
  return out;
}

Result<std::string> accept(Task& task, disk::Disk& disk, const OfflineCommand& command, const std::string& directory, Rng rng) {
  TRY(const wal::Identity identity, identity_of(task, disk, directory));
  wal::Options options;
  options.node_id = identity.node_id;
  options.named = command.directory;
  options.direct = false;
  TRY(auto opened, wal::Journal::open(task, disk, options, rng, Log()));
  TRY(AcceptedDamage accepted, accept_damage(task, opened, identity.node_id));
  return fmt::format("accepted what is missing of the metadata in {}: the node leads again when it is started\n{}", command.directory,
                     describe(accepted));
}

}  // namespace

Result<std::string> run_offline(Task& task, disk::Disk& disk, const OfflineCommand& command, Rng rng) {
  const std::string directory = wal::Options().directory;
  if (command.kind == OfflineCommand::Kind::inspect) return inspect(task, disk, directory);
  if (command.kind == OfflineCommand::Kind::accept_damage) return accept(task, disk, command, directory, rng);
  auto how = command.moved ? wal::Adoption::moved : wal::Adoption::anew;
  TRY(wal::Identity identity, wal::adopt(task, disk, directory, how, rng));
  return fmt::format("adopted {} as {}\n{}", command.directory, command.moved ? "the same directory" : "a new directory",
                     describe(identity));
}

}  // namespace sg::broker
