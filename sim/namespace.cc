#include "sim/namespace.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/ensure.h"

namespace sg::sim {

std::string_view to_string(NameChange change) {
  switch (change) {
    case NameChange::create: return "create";
    case NameChange::remove: return "remove";
    case NameChange::rename: return "rename";
    case NameChange::make_directory: return "make_directory";
  }
  return "?";
}

std::string_view Namespace::parent(std::string_view path) {
  size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? std::string_view() : path.substr(0, slash);
}

bool Namespace::is_directory(std::string_view path) const {
  if (path.empty()) return true;
  auto it = now_.find(path);
  return it != now_.end() && !it->second;
}

Result<> Namespace::check(std::string_view path) {
  for (std::string_view rest = path;;) {
    size_t slash = std::min(rest.find('/'), rest.size());
    std::string_view part = rest.substr(0, slash);
    if (part.empty() || part == "." || part == "..")
      return fail(Errc::invalid, fmt::format("'{}' is not a path below the data directory", path));
    if (slash == rest.size()) return {};
    rest.remove_prefix(slash + 1);
  }
}

Result<> Namespace::check_parent(std::string_view path) const {
  if (is_directory(parent(path))) return {};
  return fail(Errc::not_found, fmt::format("no directory for '{}'", path));
}

Result<InodeRef> Namespace::find(std::string_view path) const {
  TRY_DO(check(path));
  auto it = now_.find(path);
  if (it == now_.end()) return fail(Errc::not_found, fmt::format("no file '{}'", path));
  if (!it->second) return fail(Errc::invalid, fmt::format("'{}' is a directory", path));
  return it->second;
}

void Namespace::apply(Names& names, const Change& change) {
  switch (change.kind) {
    case NameChange::create:
    case NameChange::make_directory: names.insert_or_assign(change.from, change.inode); break;
    case NameChange::remove: names.erase(change.from); break;
    case NameChange::rename:
      names.erase(change.from);
      names.insert_or_assign(change.to, change.inode);
      break;
  }
}

void Namespace::change(Change change) {
  change.number = ++changes_;
  apply(now_, change);
  pending_.push_back(std::move(change));
}

Result<> Namespace::create(std::string_view path, InodeRef inode) {
  ENSURE(inode && !now_.contains(path));
  TRY_DO(check(path));
  TRY_DO(check_parent(path));
  change({NameChange::create, std::string(path), {}, std::move(inode), 0});
  return {};
}

Result<InodeRef> Namespace::remove(std::string_view path) {
  TRY(InodeRef inode, find(path));
  change({NameChange::remove, std::string(path), {}, inode, 0});
  return inode;
}

Result<InodeRef> Namespace::rename(std::string_view from, std::string_view to) {
  TRY(InodeRef inode, find(from));
  TRY_DO(check(to));
  TRY_DO(check_parent(to));
  if (is_directory(to)) return fail(Errc::invalid, fmt::format("'{}' is a directory", to));
  if (from == to) return inode;
  change({NameChange::rename, std::string(from), std::string(to), inode, 0});
  return inode;
}

Result<> Namespace::make_directory(std::string_view path) {
  TRY_DO(check(path));
  if (is_directory(path)) return {};
  if (now_.contains(path)) return fail(Errc::exists, fmt::format("'{}' is a file", path));
  TRY_DO(check_parent(path));
  change({NameChange::make_directory, std::string(path), {}, nullptr, 0});
  return {};
}

Result<std::vector<std::string>> Namespace::list(std::string_view path) const {
  if (!is_directory(path)) return fail(Errc::not_found, fmt::format("no directory '{}'", path));
  std::vector<std::string> names;
  for (const auto& [name, inode] : now_)
    if (parent(name) == path) names.push_back(name.substr(path.empty() ? 0 : path.size() + 1));
  return names;
}

Result<size_t> Namespace::sync(std::string_view directory) { return sync_before(directory, changes_); }

Result<size_t> Namespace::sync_before(std::string_view directory, uint64_t changes) {
  if (!is_directory(directory)) return fail(Errc::not_found, fmt::format("no directory '{}'", directory));
  size_t limit = 0;
  while (limit < pending_.size() && pending_[limit].number <= changes) ++limit;
  // A rename that becomes durable takes along what came before it under its two names: they cannot come back afterwards.
  std::vector<bool> flushed(pending_.size());
  for (size_t i = limit; i-- > 0;) {
    const Change& change = pending_[i];
    bool rename = change.kind == NameChange::rename;
    flushed[i] = parent(change.from) == directory || (rename && parent(change.to) == directory);
    for (size_t later = i + 1; later < limit && !flushed[i]; ++later)
      flushed[i] = flushed[later] && pending_[later].kind == NameChange::rename && pending_[later].touches(change);
  }
  std::vector<Change> rest;
  size_t made_durable = 0;
  for (size_t i = 0; i < pending_.size(); ++i) {
    if (flushed[i]) {
      apply(durable_, pending_[i]);
      ++made_durable;
    } else {
      rest.push_back(std::move(pending_[i]));
    }
  }
  pending_ = std::move(rest);
  return made_durable;
}

bool Namespace::survives(std::string_view path, const Inode* inode) const {
  auto it = durable_.find(path);
  if (it == durable_.end() || it->second.get() != inode) return false;
  for (std::string_view at = path; !at.empty(); at = parent(at)) {
    if (!durable_.contains(at)) return false;
    for (const Change& change : pending_)
      if (change.from == at || change.to == at) return false;
  }
  return true;
}

// A file in a directory that is not there cannot be reached.
void Namespace::drop_orphans(Names& names) {
  std::erase_if(names, [&](const auto& entry) {
    for (std::string_view at = parent(entry.first); !at.empty(); at = parent(at))
      if (!names.contains(at)) return true;
    return false;
  });
}

void Namespace::cut(Rng& rng) {
  for (const Change& change : pending_)
    if (rng.chance(1, 2)) apply(durable_, change);
  pending_.clear();
  drop_orphans(durable_);
  now_ = durable_;
}

}  // namespace sg::sim
